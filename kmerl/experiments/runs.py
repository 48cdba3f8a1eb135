"""experiments.json: what the experiments that ran gave; `kmerl experiments collect` writes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path("experiments.json")


@dataclass(frozen=True)
class Value:
    """A metric with its interval, None where the run has none."""

    value: float | None
    lo: float | None = None
    hi: float | None = None


@dataclass(frozen=True)
class Run:
    """One experiment with one seed.

    `scale` is the profile it ran at (demo, ptbxl, paper, or "own"), `words` that scale in plain
    words ("1,168 simulated pairs, nano encoder, 8 epochs"), `commit` the commit it was queued at,
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
    values: Mapping[str, Value]
