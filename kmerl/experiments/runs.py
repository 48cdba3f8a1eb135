"""experiments.json: what the experiments that ran gave; `kmerl experiments collect` writes it."""

import dataclasses
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from kmerl import files
from kmerl.params import ParamsError, build, checked

FILE = Path("experiments.json")
_Number = Annotated[float, Field(ge=-1e9, le=1e9)]  # the sums of statistics are finite
_Triple = tuple[_Number | None, _Number | None, _Number | None]
_TRIPLE = re.compile(r"\[([^\[\]{}]*)\]")  # value, lower and upper end on one line


@checked
class Value:
    """A metric with its interval, None where the run has none."""

    value: float | None
    lo: float | None = None
    hi: float | None = None


@checked
class Run:
    """One experiment with one seed.

    `scale` is the profile it ran at (a file of params/, or "own"), `words` that scale in plain
    words ("1,200 simulated records, nano encoder, 8 epochs"), `commit` the commit it was queued at,
    `revision` DVC's own, `lock` the SHA-256 of its dvc.lock, `values` the metrics that
    experiments.yaml's columns name.
    """

    experiment: str
    seed: int
    scale: str
    words: str
    commit: str
    revision: str
    lock: str
    values: dict[str, Value]

    @property
    def key(self) -> tuple[str, str, int]:
        """One run is kept of each."""
        return self.experiment, self.scale, self.seed


def read(path: Path | str = FILE) -> list[Run]:
    """All runs of the file; none, where there is no file.

    Raises:
        ParamsError: the file is damaged, or not of this version; the message says where.
    """
    path = Path(path)
    if not path.exists():
        return []
    try:
        rows = build(list[dict[str, Any]], files.read_json(path), f"{path}: ")
    except files.DamagedError as error:
        raise ParamsError(f"{error}; collect again") from None
    return [_run(row, f"{path}: run {number}") for number, row in enumerate(rows)]


def write(runs: Iterable[Run], path: Path | str = FILE) -> None:
    """Sorted by experiment, scale and seed, five significant digits: equal runs, equal bytes."""
    ordered = sorted(runs, key=lambda run: run.key)
    rows = [dataclasses.asdict(run) | {"values": _triples(run)} for run in ordered]
    text = json.dumps(files.rounded(rows, digits=5), indent=1, sort_keys=True, allow_nan=False)
    files.write_text(path, _TRIPLE.sub(_one_line, text) + "\n")


def _one_line(found: re.Match[str]) -> str:
    return f"[{' '.join(found[1].split())}]"


def _triples(run: Run) -> dict[str, list[float | None]]:
    return {metric: [v.value, v.lo, v.hi] for metric, v in run.values.items()}


def _run(row: dict[str, Any], where: str) -> Run:
    triples = build(dict[str, _Triple], row.get("values", {}), f"{where}.values")
    values = {name: dict(zip(("value", "lo", "hi"), t, strict=True)) for name, t in triples.items()}
    return build(Run, {**row, "values": values}, where)
