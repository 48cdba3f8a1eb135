"""Stage encode: the frozen encoder over the evaluation corpora, once for each set of leads."""

from pathlib import Path

import torch

from kmerl import files, params, runtime
from kmerl.corpora.classes import TASKS
from kmerl.evaluation import prompts
from kmerl.evaluation.encode import EncodeParams, Names, encode_corpus
from kmerl.training.launch import device
from kmerl.training.model import load


def main() -> None:
    machine = runtime.load()
    where = device(machine)
    threads = 1
    if where == "cpu":  # a batch a thread beats a thread a matrix, and sums keep their order
        threads = machine.thread_count
        torch.set_num_threads(1)
    config, model = load(Path("models"), where)
    kind = prompts.chosen(params.read()["prompts"])
    asked = prompts.read_asked(Path("data/asked"), kind)
    place = {name: row for row, name in enumerate(asked.texts)}
    names = Names(torch.from_numpy(asked.vectors), place)
    out = files.fresh_directory("data/encode")
    for corpus in sorted(set(TASKS.values())):
        encode_corpus(
            corpus,
            Path("data/ecg") / corpus,
            model,
            params.load("encode", EncodeParams),
            config.signal,
            names,
            out,
            where,
            threads,
        )


if __name__ == "__main__":
    main()
