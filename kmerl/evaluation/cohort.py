"""The records of a downstream task: who they are, their split and their labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int, Shaped

from kmerl import store
from kmerl.corpora.classes import TASKS, ClassName, classes

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Cohort:
    """The members of a task, sorted by record id, with one label a class.

    A record is a member when the corpus gives it at least one label of the task (facts A2).
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


def read_cohort(store_root: Path, task: str) -> Cohort:
    """The members of a task from the store of its corpus, `store_root/<corpus>`.

    Raises:
        ValueError: a record has labels for some classes only, an unknown split, or comes twice.
    """
    corpus = TASKS[task]
    columns = [store.label_column(task, name.code) for name in classes(task)]
    table = store.read_table(store_root / corpus, ["record", "patient", "split", *columns])
    known = np.array([table[c].is_valid().to_pylist() for c in columns], dtype=bool).T
    truth = np.array([table[c].fill_null(False).to_pylist() for c in columns], dtype=bool).T
    records, patients, splits = (_strings(table, c) for c in ("record", "patient", "split"))
    _reject(records[known.any(axis=1) != known.all(axis=1)], corpus, f"labels of {task} in part")
    _reject(records[~np.isin(splits, SPLITS)], corpus, f"a split that is none of {SPLITS}")
    order = np.argsort(records, kind="stable")
    _reject(records[order][1:][records[order][1:] == records[order][:-1]], corpus, "two rows")
    everyone = Cohort(task, corpus, classes(task), records, patients, splits, truth)
    return everyone.take(order[known[order].all(axis=1)])


def _strings(table: pa.Table, column: str) -> Shaped[np.ndarray, " record"]:
    return np.array(table[column].to_pylist(), dtype=str)


def _reject(records: Shaped[np.ndarray, " record"], corpus: str, fault: str) -> None:
    if len(records):
        raise ValueError(
            f"{corpus}: record {str(records[0])!r} has {fault} ({len(records)} such records); "
            f"run `dvc repro ingest@{corpus}` again"
        )
