"""What a model that saw simulated hearts alone knows of real ones: zero-shot on real PTB-XL.

    python -m benchmarks.simulated RUN --real PTBXL --version v1 --folds 1-8   # to improve by
    python -m benchmarks.simulated RUN --real PTBXL --version v1 >> docs/simulated/v1.jsonl

RUN is where `dvc repro pretrain` ran: it holds models/, params.yaml and metrics/pretrain.json.
Folds 1-8 are development data, which the simulator is improved by; 9 and 10 are looked at once a
version. A line on standard output is a task under a lead set: macro AUROC over the classes with
five positives, its interval over patients, and each class with what it has on hearts that this
code simulates anew, which no training drew.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from torch import Tensor

from kmerl import params
from kmerl.corpora.conform import Ingest
from kmerl.corpora.ingest import ingest
from kmerl.engines import Engine
from kmerl.evaluation import metric_rows
from kmerl.evaluation.bootstrap import Statistics, class_intervals
from kmerl.evaluation.scores import Scores, scored
from kmerl.files import read_json, read_yaml, rounded
from kmerl.leads import LEADS, lead_indices, parse_leads
from kmerl.methods import Cosine, Method, Query
from kmerl.models.inputs import normalised
from kmerl.predict.vocabulary import Vocabulary
from kmerl.store import read_signals, read_table, whole_range
from kmerl.synthetic.cohort import CORPORA, Synthesize, synthesize
from kmerl.tasks.classes import official, tasks_of
from kmerl.tasks.cohort import Cohort
from kmerl.tasks.splits import from_store
from kmerl.training.model import WEIGHTS, ModelConfig, load

CORPUS = "ptb-xl"
FOLDS = {"1-8": ("train",), "9-10": ("val", "test"), "all": ("train", "val", "test")}
SETS = ("12", "I+II", "I")
BATCH = 32
STATISTICS = Statistics(replicates=1000, level=0.95, min_positives=5)
SIMULATED, SEED = 1200, 2**30
"""Recordings of the simulated hearts, and their seed, which is no training's."""


def main(
    run: Annotated[Path, typer.Argument(help="models/, params.yaml and metrics/pretrain.json.")],
    real: Annotated[Path, typer.Option(help="Real PTB-XL in its official layout.")],
    version: Annotated[str, typer.Option(help="Of the simulator that the model saw.")],
    folds: Annotated[Literal["1-8", "9-10"], typer.Option(help="9-10 once a version.")] = "9-10",
    stores: Annotated[Path | None, typer.Option(help="Keeps what was ingested, for more.")] = None,
    threads: Annotated[int, typer.Option(help="Torch threads.")] = 1,
) -> None:
    """Ask the model about real and simulated recordings, and print a line a task and lead set."""
    torch.set_num_threads(threads)
    config, model = load(run / "models")
    with kept(stores) as folder:
        here = score(config, model, real_store(folder, real, threads), FOLDS[folds])
        there = score(config, model, simulated_store(folder, threads), FOLDS["all"])
    known = {"version": version, "folds": folds, **told(run)}
    beside = by_class(there)
    evaluations = metric_rows.evaluate(here, STATISTICS, 0)
    classes = by_class(here, evaluations)
    for task, by_leads in metric_rows.metric_table(evaluations, STATISTICS).items():
        for leads, row in by_leads.items():
            line: dict[str, Any] = known | {"task": task, "leads": leads} | few(row)
            if task in classes:
                both = classes[task][leads], beside[task][leads]
                line["by_class"] = {
                    code: both[0][code] | _simulated(both[1][code]) for code in both[0]
                }
            typer.echo(json.dumps(rounded(line)))


def told(run: Path) -> dict[str, Any]:
    """What a run's folder says of its training."""
    values, metrics = read_yaml(run / "params.yaml"), read_json(run / "metrics/pretrain.json")
    return {
        "code": simulator()[:12],
        "weights": hashlib.sha256((run / "models" / WEIGHTS).read_bytes()).hexdigest()[:12],
        "method": values["method"],
        "encoder": values["encoder"]["size"],
        "seed": values["seed"],
        "pairs": metrics["pairs"],
        "epochs": int(metrics["epoch"]),
    }


def simulator() -> str:
    """The digest of the simulator's code and tables, as they are here."""
    folder = Path(synthesize.__code__.co_filename).parent
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".yaml")):
        digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def kept(stores: Path | None) -> Iterator[Path]:
    """A folder that stays, or a temporary one."""
    if stores:
        yield stores
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def real_store(folder: Path, root: Path, workers: int) -> Path:
    """`folder`/real/ptb-xl, made where it is missing: the root's records, as params.yaml says."""
    return _store(folder / "real", root, workers)


def simulated_store(folder: Path, workers: int, records: int = SIMULATED) -> Path:
    """A PTB-XL of hearts that this code simulates, with a seed that no training has."""
    out = folder / f"simulated-{simulator()[:12]}-{records}"
    if not (out / CORPUS).exists():
        counts = {name: records if name == CORPUS else 0 for name in CORPORA}
        wanted = Synthesize(records=counts, validation_share=0.1, test_share=0.1)
        raw = out / "raw"
        synthesize(wanted, SEED, root=raw, truth=out / "truth", engine=Engine(workers=workers))
        return _store(out, raw / CORPUS, workers)
    return out / CORPUS


def _store(folder: Path, root: Path, workers: int) -> Path:
    out = folder / CORPUS
    if not out.exists():
        settings, engine = params.load("ingest", Ingest), Engine(workers=workers)
        ingest(CORPUS, root, out, folder / "ingest.json", settings=settings, engine=engine)
    return out


@torch.inference_mode()
def score(config: ModelConfig, model: Method, store: Path, splits: Sequence[str]) -> list[Scores]:
    """Zero-shot scores of every record of these splits, of each task of PTB-XL under each of
    `SETS`; no thresholds, as no record is there to set them by."""
    cohorts = [from_store(store.parent, official(task)) for task in tasks_of(CORPUS)]
    cohorts = [one.take(np.isin(one.splits, splits)) for one in cohorts]
    wanted = np.unique(np.concatenate([one.records for one in cohorts]))
    records = np.array(read_table(store, ["record"])["record"].to_pylist(), dtype=str)
    rows = np.flatnonzero(np.isin(records, wanted))
    asked = _asked(config, cohorts)
    parts: dict[str, list[np.ndarray]] = {}
    low, high = whole_range(store)
    for chosen, block in read_signals(store, LEADS, BATCH, rows):
        for key in SETS:
            index = lead_indices(parse_leads(key))
            ends = low[chosen], high[chosen]
            shown = torch.from_numpy(normalised(block[:, index], ends, config.signal))
            tokens = model.encoder(shown, torch.tensor(index).expand(len(shown), -1))
            for task, answers in _answers(model, tokens, asked).items():
                parts.setdefault(f"{task}/{key}", []).append(answers.numpy())
    place = {record: number for number, record in enumerate(records[rows].tolist())}
    return [_scores(one, [place[r] for r in one.records.tolist()], parts) for one in cohorts]


def _asked(config: ModelConfig, cohorts: Sequence[Cohort]) -> dict[str, Tensor]:
    vocabulary = Vocabulary(config.text_encoder, {}, config.text_width)
    return {one.task: vocabulary.vectors([kind.name for kind in one.classes]) for one in cohorts}


def _answers(model: Method, tokens: Tensor, asked: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if isinstance(model, Query):
        return dict(zip(asked, model.score(tokens, *asked.values()), strict=True))
    if isinstance(model, Cosine):
        return {task: model.similarity(tokens, names) for task, names in asked.items()}
    raise SystemExit(f"method {type(model).__module__} never saw a text: it answers no name")


def _scores(cohort: Cohort, rows: list[int], parts: Mapping[str, list[np.ndarray]]) -> Scores:
    nobody = cohort.take(np.arange(0))
    none = dict.fromkeys(SETS, np.empty((0, len(cohort.classes)), np.float32))
    found = {key: np.concatenate(parts[f"{cohort.task}/{key}"])[rows] for key in SETS}
    return scored(nobody, cohort, none, found, {key: parse_leads(key) for key in SETS})


ByClass = dict[str, dict[str, dict[str, dict[str, float | int]]]]


def by_class(
    scores: Sequence[Scores], evaluations: metric_rows.Evaluations | None = None
) -> ByClass:
    """By task, lead set and class: positives, AUROC and its interval."""
    found: ByClass = {}
    evaluations = evaluations or metric_rows.evaluate(scores, STATISTICS, 0)
    for task in scores:
        for leads, one in evaluations[task.task].items():
            low, high = class_intervals(one.auroc_replicates, STATISTICS.level)
            columns = one.positives.tolist(), one.auroc, low, high
            names = ("positives", "auroc", "low", "high")
            rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
            found.setdefault(task.task, {})[leads] = dict(zip(task.codes, rows, strict=True))
    return found


def few(row: metric_rows.Row) -> dict[str, Any]:
    """What a line says of a whole task."""
    names = ("records", "common_classes", "auroc_common", "auroc_common_lo", "auroc_common_hi")
    short = ("records", "classes", "auroc", "low", "high")
    return {ours: row[name] for ours, name in zip(short, names, strict=True)}


def _simulated(row: Mapping[str, float | int]) -> dict[str, float | int]:
    return {f"simulated_{name}": row[name] for name in ("positives", "auroc")}


if __name__ == "__main__":
    typer.run(main)
