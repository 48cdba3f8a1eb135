"""Stage encode: the frozen encoder over the evaluation corpora, once for each set of leads."""

from pathlib import Path

from kmerl import files, params, runtime
from kmerl.errors import clear_errors
from kmerl.evaluation.encode import CorpusEncoder, EncodeParams, held_out
from kmerl.tasks import prompts
from kmerl.tasks.classes import TASKS, tasks_of
from kmerl.tasks.cohort import read_cohort
from kmerl.training.model import initial, load


def main() -> None:
    settings = params.load("encode", EncodeParams)
    machine = runtime.load()
    where = runtime.device(machine)
    threads = runtime.side_by_side(machine, where)
    config, model = load(Path("models"), where)
    untrained = initial(config, params.seed()).encoder.eval().to(where)
    kind = prompts.chosen(params.read()["prompts"])
    asked = prompts.read_asked(Path("data/asked"), kind)
    encoder = CorpusEncoder(model, untrained, settings, config.signal, asked, where, threads)
    out = files.fresh_directory("data/encode")
    for corpus in sorted(set(TASKS.values())):
        scored = held_out(read_cohort(Path("data/splits"), task) for task in tasks_of(corpus))
        encoder.encode(corpus, Path("data/ecg") / corpus, scored, out)


if __name__ == "__main__":
    with clear_errors("encode"):
        main()
