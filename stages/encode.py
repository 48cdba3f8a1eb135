"""Stage encode: the frozen encoder over the evaluation corpora, once for each set of leads."""

from functools import partial
from pathlib import Path

from kmerl import files, params, runtime
from kmerl.errors import clear_errors
from kmerl.evaluation import pieces
from kmerl.evaluation.encode import ON_GPU, Corpus, CorpusEncoder, EncodeParams
from kmerl.tasks import of_run, prompts
from kmerl.tasks.cohort import read_cohort
from kmerl.training.launch import run
from kmerl.training.model import initial, load

MODELS, ASKED = Path("models"), Path("data/asked")
SPLITS, STORE = Path("data/splits"), Path("data/ecg")


def main() -> None:
    run(encode, runtime.load(), "stages.encode", apart=True)


def encode(device: str) -> None:
    settings, seed = params.load("encode", EncodeParams), params.seed()
    config, model = load(MODELS, device)
    untrained = initial(config, seed).encoder.eval().to(device)
    kind = prompts.chosen(params.read()["prompts"])
    tasks = of_run.read(Path("data/tasks.json"))
    asked = prompts.read_asked(ASKED, kind, tasks)
    threads = runtime.side_by_side(runtime.load(), device, ON_GPU)
    encoder = CorpusEncoder(model, untrained, settings, config.signal, asked, device, threads)
    corpora = []
    for name in of_run.corpora_of(tasks):
        cohorts = [read_cohort(SPLITS, task) for task in tasks if task.corpus == name]
        corpora.append(Corpus.read(name, STORE / name, cohorts))
    parts = {corpus.name: corpus.pieces(settings.batch) for corpus in corpora}
    every = {name: piece for of_corpus in parts.values() for name, piece in of_corpus.items()}
    sizes = {name: float(len(piece.rows)) for name, piece in every.items()}
    inputs = [MODELS, ASKED, SPLITS, *(corpus.directory for corpus in corpora)]
    work = partial(encoder.encode, every)

    with pieces.dealt("encode", [settings, seed, kind], inputs, sizes, work) as made:
        if made is not None:
            out = files.fresh_directory("data/encode")
            for corpus in corpora:
                encoder.write(corpus, [made[name] for name in parts[corpus.name]], out)


if __name__ == "__main__":
    with clear_errors("encode"):
        main()
