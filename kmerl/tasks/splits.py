"""Which records a task has, their split and their labels: from the corpora, or from MERL's files.

Officially, PTB-XL's folds 1 to 8 are trained on, 9 validates and 10 tests; CPSC2018 and CSN name
no patients and are split by a hash of the record (kmerl.corpora). MERL's files (Table 3) have
splits of their own for those two, and labels with faults (kmerl.tasks.merl_splits).
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Shaped

from kmerl import store
from kmerl.params import ParamsError, checked
from kmerl.tasks import merl_splits
from kmerl.tasks.classes import TASKS, Task, official
from kmerl.tasks.cohort import SPLITS, Cohort
from kmerl.tasks.merl_splits import MerlTask
from kmerl.tasks.simulated import is_simulated

MISSING_COLUMNS = ("task", "split", "record", "reason")
ABSENT = "not_in_corpus"


@checked
class Splits:
    """The `splits` section of params.yaml."""

    source: Literal["official", "merl"]
    labels: Literal["corrected", "merl"]
    merl: str

    def __post_init__(self) -> None:
        if self.source == "official" and self.labels == "merl":
            raise ValueError(
                "labels is merl, but source is official: MERL's labels belong to MERL's records. "
                "Set source to merl too, or labels to corrected"
            )


@dataclass(frozen=True)
class TaskSplits:
    """A task as stage `splits` found it.

    `merl` is what MERL's files say, where they are the source; `missing` are rows
    (`MISSING_COLUMNS`) of those files whose record is not in the store.
    """

    cohort: Cohort
    merl: MerlTask | None
    missing: list[tuple[str, str, str, str]]


def read_task(store_root: Path, task: Task, settings: Splits, simulated: set[str]) -> TaskSplits:
    """A task from the source that `settings` names; one's own is always from the store.

    Args:
        store_root: holds the store of each corpus, `store_root/<corpus>`.
        simulated: the corpora of this run that are not real.

    Raises:
        ValueError: see `from_store` and `from_merl`.
        ParamsError: MERL's files belong to real recordings and the corpus is simulated, or the
            other way round.
    """
    if settings.source == "official" or task.name not in TASKS:
        return TaskSplits(from_store(store_root, task), None, [])
    corpus, folder = task.corpus, Path(settings.merl)
    some = store.read_table(store_root / corpus, ["record"]).num_rows > 0
    if some and is_simulated(folder) != (corpus in simulated):
        kinds = ("simulated", "real") if corpus in simulated else ("real", "simulated")
        raise ParamsError(
            f"corpus {corpus} is {kinds[0]}, but splits.merl ({folder}) lists {kinds[1]} records: "
            f"set splits.merl, or corpora.{corpus}.root, so that both are of one kind"
        )
    found = merl_splits.read(folder, task.name)
    cohort, missing = from_merl(store_root, found, settings.labels)
    return TaskSplits(cohort, found, missing)


def from_store(store_root: Path, task: Task) -> Cohort:
    """The members of a task, their splits and labels as the corpus itself gives them.

    Raises:
        ValueError: a record has labels for some classes only, an unknown split, or comes twice.
    """
    corpus = task.corpus
    columns = [store.label_column(task.name, kind.code) for kind in task.classes]
    table = store.read_table(store_root / corpus, ["record", "patient", "split", *columns])
    known = np.array([table[c].is_valid().to_pylist() for c in columns], dtype=bool).T
    truth = np.array([table[c].fill_null(False).to_pylist() for c in columns], dtype=bool).T
    names = ("record", "patient", "split")
    records, patients, splits = (np.array(table[c].to_pylist(), dtype=str) for c in names)
    _reject(
        records[known.any(axis=1) != known.all(axis=1)], corpus, f"labels of {task.name} in part"
    )
    _reject(records[~np.isin(splits, SPLITS)], corpus, f"a split that is none of {SPLITS}")
    order = np.argsort(records, kind="stable")
    _reject(records[order][1:][records[order][1:] == records[order][:-1]], corpus, "two rows")
    everyone = Cohort(*task, records, patients, splits, truth)
    return everyone.take(order[known[order].all(axis=1)])


def from_merl(
    store_root: Path, merl: MerlTask, labels: Literal["corrected", "merl"]
) -> tuple[Cohort, list[tuple[str, str, str, str]]]:
    """The records of MERL's files that the store holds, and the others with the reason.

    Patients are the store's. A record without any correct label stays a member, as in Table 3.

    Raises:
        ValueError: the store has records, and none of them is MERL's.
    """
    task = official(merl.task)
    corpus = task.corpus
    table = store.read_table(store_root / corpus, ["record", "patient"])
    patient_of = dict(zip(table["record"].to_pylist(), table["patient"].to_pylist(), strict=True))
    held = np.array([record in patient_of for record in merl.records.tolist()], dtype=bool)
    if patient_of and len(held) and not held.any():
        raise ValueError(
            f"none of MERL's {len(held)} records of {merl.task} (such as "
            f"{str(merl.records[0])!r}) is in {store_root / corpus}, which has {len(patient_of)} "
            f"(such as {min(patient_of)!r}); corpora.{corpus}.root is not the corpus that MERL used"
        )
    reasons = _rejections(store_root / corpus)
    missing = sorted(
        (merl.task, split, record, reasons.get(record, ABSENT))
        for record, split in zip(merl.records[~held].tolist(), merl.splits[~held], strict=True)
    )
    rows = np.flatnonzero(held)
    rows = rows[np.argsort(merl.records[rows], kind="stable")]
    records = merl.records[rows]
    patients = np.array([patient_of[record] for record in records.tolist()], dtype=str)
    truth = {"merl": merl.given, "corrected": merl.truth}[labels][rows]
    return Cohort(*task, records, patients, merl.splits[rows], truth), missing


def check_own(cohort: Cohort, table: Path) -> None:
    """That something can be learned and measured of a task of one's own. Official ones may lack
    anything: what has no records, or no positive one, has no metric.

    Args:
        table: where its labels are from, to name it.

    Raises:
        ValueError: a split has no record of the task, or a class no positive one.
    """
    members = f"{len(cohort.records)} records with labels of task {cohort.task}"
    left_out = f"what was left out of it is in data/ecg/{cohort.corpus}/rejected.csv"
    for name in SPLITS:
        if not len(cohort.split(name).records):
            raise ValueError(
                f"{table}: of {members} none is in split {name}; name some in the column 'split', "
                f"or have more patients ({left_out})"
            )
    for (code, name), labels in zip(cohort.classes, cohort.truth.T, strict=True):
        if not labels.any():
            raise ValueError(
                f"{table}: none of {members} has a 1 in column {code!r} ({name}); correct the "
                f"column, or leave the class out of corpora.{cohort.corpus}.tasks.{cohort.task} "
                f"({left_out})"
            )


def _rejections(directory: Path) -> dict[str, str]:
    """{record: reason} of the records that stage `ingest` left out."""
    with (directory / "rejected.csv").open(encoding="utf-8", newline="") as file:
        return {row["record"]: row["reason"] for row in csv.DictReader(file)}


def _reject(records: Shaped[np.ndarray, " record"], corpus: str, fault: str) -> None:
    if len(records):
        raise ValueError(
            f"{corpus}: record {str(records[0])!r} has {fault} ({len(records)} such records); "
            f"run `dvc repro ingest@{corpus}` again"
        )
