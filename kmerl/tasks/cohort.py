"""The records of a downstream task: who they are, their split and their labels."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Int, Shaped

from kmerl.files import atomic
from kmerl.store import read_parquet
from kmerl.tasks.classes import ClassName, Task

SPLITS = ("train", "val", "test")
_KEYS = ("record", "patient", "split")


@dataclass(frozen=True)
class Cohort:
    """The members of a task, sorted by record id, with one label a class.

    Where the corpora themselves are the source, a record is a member when its corpus gives it at
    least one label of the task (facts A2); where MERL's files are, when they list it.
    """

    task: str
    corpus: str
    classes: tuple[ClassName, ...]
    records: Shaped[np.ndarray, " record"]
    patients: Shaped[np.ndarray, " record"]
    splits: Shaped[np.ndarray, " record"]
    truth: Bool[np.ndarray, "record class"]

    def take(self, index: Int[np.ndarray, " taken"] | Bool[np.ndarray, " record"]) -> "Cohort":
        """The chosen records, in the order asked for."""
        parts = (self.records, self.patients, self.splits, self.truth)
        return Cohort(self.task, self.corpus, self.classes, *(part[index] for part in parts))

    def split(self, name: str) -> "Cohort":
        """The records of "train", "val" or "test"."""
        return self.take(self.splits == name)

    def write(self, directory: Path) -> None:
        """`directory/<task>.parquet`: record, patient, split, and a bool column a class code."""
        keys = zip(_KEYS, (self.records, self.patients, self.splits), strict=True)
        columns = {key: pa.array(values.tolist(), pa.string()) for key, values in keys}
        for kind, labels in zip(self.classes, self.truth.T, strict=True):
            columns[kind.code] = pa.array(labels.tolist(), pa.bool_())
        with atomic(directory / f"{self.task}.parquet") as partial:
            pq.write_table(pa.table(columns), partial, compression="zstd")


def read_cohort(directory: Path, task: Task) -> Cohort:
    """The members of a task as stage `splits` wrote them.

    Raises:
        FileNotFoundError: stage `splits` has not run.
        DamagedError: the file is torn, or a column of another type.
        ValueError: other classes than the task's, an unknown split, or records that are not in
            ascending order or stand twice.
    """
    path = directory / f"{task.name}.parquet"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run `dvc repro splits`")
    table = read_parquet(path, _AGAIN, dict.fromkeys(_KEYS, pa.string()), others=pa.bool_())
    if table.column_names != [*_KEYS, *(kind.code for kind in task.classes)]:
        raise ValueError(f"{path} has not the classes that {task.name} has now; {_AGAIN}")
    records, patients, splits = (np.array(table[key].to_pylist(), dtype=str) for key in _KEYS)
    for one, two in pairwise(records.tolist()):
        if one >= two:
            raise ValueError(f"{path}: record {two!r} comes after {one!r}; {_AGAIN}")
    for record, split in zip(records.tolist(), splits.tolist(), strict=True):
        if split not in SPLITS:
            raise ValueError(f"{path}: record {record!r} is in split {split!r}; {_AGAIN}")
    truth = np.array([table[kind.code].to_pylist() for kind in task.classes], dtype=bool).T
    return Cohort(*task, records, patients, splits, truth)


_AGAIN = "run `dvc repro splits` again"
