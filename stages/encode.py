"""Stage encode: the frozen encoder over the evaluation corpora, once for each set of leads."""

import json
from pathlib import Path

from safetensors.torch import load_file

from kmerl import files, params, runtime
from kmerl.corpora.classes import TASKS
from kmerl.evaluation.encode import EncodeParams, Names, encode_corpus
from kmerl.training.launch import device
from kmerl.training.model import load


def main() -> None:
    where = device(runtime.load())
    config, model = load(Path("models"), where)
    place = {name: row for row, name in enumerate(_names())}
    names = Names(load_file("data/text/names.safetensors")["classes"], place)
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
        )


def _names() -> list[str]:
    return json.loads(Path("data/text/names.json").read_text(encoding="utf-8"))["classes"]


if __name__ == "__main__":
    main()
