"""Tables of what `python -m benchmarks.answers` kept, in Markdown.

    python -m benchmarks.answers_tables company FOLDER
    python -m benchmarks.answers_tables leads FOLDER
    python -m benchmarks.answers_tables ahead FOLDER OURS
    python -m benchmarks.answers_tables summary FOLDER > SUMMARY.jsonl

AUROC is macro over the classes with five positive test records or more, then the mean over tasks;
the first number is the mean over seeds, the second (±) its deviation over them. Intervals hold 95 %
of 1,000 draws of the patients, of the mean over seeds; those of differences are paired.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import typer

from benchmarks.answers import COUNTS, WAYS
from kmerl import seeds
from kmerl.evaluation.bootstrap import draw_patients, interval
from kmerl.evaluation.metrics import auroc_replicates, macro
from kmerl.files import rounded
from kmerl.leads import LEADS

MIN_POSITIVES, REPLICATES, LEVEL = 5, 1000, 0.95
OTHER_WAYS = WAYS[1:-1]  # than the task's; the last is the context
app = typer.Typer(add_completion=False)


class Run:
    """One training's scores on the test records."""

    def __init__(self, path: Path) -> None:
        self.name, _, seed = path.stem.rpartition("-s")
        self.seed = int(seed)
        self.kept = np.load(path)

    @cached_property
    def tasks(self) -> list[str]:
        found = re.findall(r"test/(\w+)/truth", " ".join(self.kept.files))
        return [task for task in found if self.wanted(task).any()]

    def wanted(self, task: str) -> np.ndarray:
        """The classes with enough positives."""
        enough: np.ndarray = self.kept[f"test/{task}/truth"].sum(axis=0) >= MIN_POSITIVES
        return enough

    def has(self, key: str) -> bool:
        return f"test/{self.tasks[0]}/{key}" in self.kept.files

    @cache  # noqa: B019, a run lives as long as the program
    def replicates(self, task: str, key: str) -> np.ndarray:
        """(1 + replicate, class) AUROC; the first row is of all records."""
        here, wanted = f"test/{task}", self.wanted(task)
        patients = [str(one) for one in self.kept[f"{here}/patients"]]
        drawn = draw_patients(patients, REPLICATES, seeds.generator(0, "answers"))
        weights = np.concatenate([np.ones((len(drawn), 1), drawn.dtype), drawn], axis=1)
        truth, score = (self.kept[f"{here}/{name}"][:, wanted] for name in ("truth", key))
        return auroc_replicates(truth, score, weights)

    def macro(self, key: str, task: str | None = None) -> np.ndarray:
        """(1 + replicate,) of a task, or the mean over tasks."""
        tasks = [task] if task else self.tasks
        return np.mean([macro(self.replicates(one, key), 1) for one in tasks], axis=0)


def read(folder: Path) -> dict[str, list[Run]]:
    """Runs by name, each with its seeds."""
    found: dict[str, list[Run]] = {}
    for path in sorted(folder.glob("*-s*.npz")):
        run = Run(path)
        found.setdefault(run.name, []).append(run)
    return found


def over_seeds(runs: Sequence[Run], key: str, task: str | None = None) -> str:
    values = [float(run.macro(key, task)[0]) for run in runs if run.has(key)]
    if not values:
        return ""
    deviation = f" ±{stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{deviation}"


def difference(
    ours: Sequence[Run], ours_key: str, theirs: Sequence[Run], key: str, task: str | None = None
) -> str:
    """Ours less theirs with the paired interval, over the seeds that both have."""
    pairs = [(a, b) for a, b in product(ours, theirs) if a.seed == b.seed]
    rows = [a.macro(ours_key, task) - b.macro(key, task) for a, b in pairs]
    if not rows:
        return ""
    values = np.mean(rows, axis=0)
    low, high = interval(values[1:], LEVEL)
    return f"{values[0]:+.3f} [{low:+.3f}, {high:+.3f}]"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    typer.echo(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        typer.echo(f"| {' | '.join(map(str, row))} |")
    typer.echo("")


@app.command()
def company(folder: Path) -> None:
    """Ways of asking by run and leads; the task that company moves most; classes it inverts."""
    known = {name: runs for name, runs in read(folder).items() if runs[0].has("12/alone")}
    rows = [
        [name, len(runs), leads, *(over_seeds(runs, f"{leads}/{way}") for way in WAYS)]
        for name, runs in known.items()
        for leads in ("12", "2", "1")
    ]
    table(["run", "seeds", "leads", *WAYS], rows)
    moved = []
    for name, runs in known.items():
        cells = [
            (
                abs(np.mean([r.macro(f"12/{w}", t)[0] - r.macro("12/task", t)[0] for r in runs])),
                w,
                t,
            )
            for w, t in product(OTHER_WAYS, runs[0].tasks)
        ]
        _, way, task = max(cells)
        most = difference(runs, f"12/{way}", runs, "12/task", task)
        moved.append([name, f"{way}, {task}", most, inverted(runs)])
    table(["run", "moved most on 12 leads", "by (of the task's)", "inverted when alone"], moved)


def inverted(runs: Sequence[Run]) -> str:
    """Classes above 0.5 asked together and below it alone, over all seeds: "3 of 141"."""
    pairs = [
        (run.replicates(task, "12/task")[0], run.replicates(task, "12/alone")[0])
        for run in runs
        for task in run.tasks
    ]
    turned = sum(int(((together > 0.5) & (alone < 0.5)).sum()) for together, alone in pairs)
    return f"{turned} of {sum(len(together) for together, _ in pairs)}"


@app.command()
def leads(folder: Path) -> None:
    """AUROC by number of leads; what one pass over twelve has beyond twelve single ones; time."""
    rows = []
    for name, runs in read(folder).items():
        whole = [run for run in runs if run.has("singles/task")]
        reading = difference(whole, "12/task", whole, "singles/task")
        cost = mean(float(run.kept["seconds"]) for run in runs)
        cells = [over_seeds(runs, f"{count}/task") for count in COUNTS]
        rows.append(
            [name, len(runs), f"{float(runs[0].kept['shown']):g}", *cells, reading, f"{cost:.0f}"]
        )
    head = ["run", "seeds", f"leads shown of {len(LEADS)}", *COUNTS]
    table([*head, "12 less mean of single leads", "CPU s"], rows)


@app.command()
def summary(folder: Path) -> None:
    """Each run and seed as a JSON line: what it changes, what it cost, the hash of its scores, and
    macro AUROC by "task/leads/way"."""
    for run in (one for same in read(folder).values() for one in same):
        keys = sorted({key.split("/", 2)[2] for key in run.kept.files if key.count("/") == 3})
        of_test = {
            f"{task}/{key}": float(run.macro(key, task)[0]) for task in run.tasks for key in keys
        }
        digest = hashlib.sha256((folder / f"{run.name}-s{run.seed}.npz").read_bytes()).hexdigest()
        row = {
            "run": run.name,
            "seed": run.seed,
            "changes": str(run.kept["changes"]).split(),
            "seconds": float(run.kept["seconds"]),
            "scores": digest,
            "auroc": of_test,
        }
        typer.echo(json.dumps(rounded(row)))


@app.command()
def ahead(folder: Path, ours: str) -> None:
    """How far `ours` is ahead of every other run, by number of leads."""
    known = read(folder)
    rows = [
        [
            name,
            *(
                difference(known[ours], f"{n}/task", runs, f"{n}/task")
                if runs[0].has(f"{n}/task")
                else ""
                for n in COUNTS
            ),
        ]
        for name, runs in known.items()
        if name != ours
    ]
    table([f"{ours} less", *COUNTS], rows)


if __name__ == "__main__":
    app()
