"""A protocol's metrics on disk: all of them, and the few that two runs are compared by.

metrics/<protocol>.json holds every task, lead set, interval and count, thousands of numbers.
metrics/summary/<protocol>.json holds a dozen of them, at the same keys; these files alone are
metrics of DVC, so that `dvc metrics diff` and `dvc exp show` can be read. Each stage writes its
own, so that a run of some stages leaves no summary of an older run behind.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from kmerl.files import write_json

METRICS, SUMMARY = Path("metrics"), Path("metrics/summary")
FEW = {
    "zero_shot": ("average.1.auroc", "average.2.auroc", "*.12.auroc", "average.12.f1"),
    "linear_probe": (
        "average.*.12.auroc", "average.100.1.auroc", "average.100.2.auroc", "*.100.12.auroc",
    ),
    "fine_tune": ("average.*.auroc", "average.*.scratch_auroc"),
    "seen_unseen": ("*.auroc", "*.f1", "*.entities"),
}  # fmt: skip
"""Which keys are few: paths in the file, * for any part of one."""


def write(protocol: str, table: Mapping[str, Any]) -> None:
    """Both files of a protocol."""
    write_json(METRICS / f"{protocol}.json", table)
    write_json(SUMMARY / f"{protocol}.json", few(table, FEW[protocol]))


def few(table: Mapping[str, Any], patterns: tuple[str, ...]) -> dict[str, Any]:
    """The numbers of `table` whose path is one of `patterns`, at the same place."""
    kept: dict[str, Any] = {}
    for path, value in flat(table):
        if any(fnmatchcase(".".join(path), pattern) for pattern in patterns):
            inner = kept
            for part in path[:-1]:
                inner = inner.setdefault(part, {})
            inner[path[-1]] = value
    return kept


def flat(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Each number with the keys that lead to it."""
    for key, value in table.items():
        path = (*above, str(key))
        if isinstance(value, Mapping):
            yield from flat(value, path)
        else:
            yield path, value
