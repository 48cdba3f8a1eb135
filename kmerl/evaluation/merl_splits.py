"""The splits that MERL released for the six tasks, read by name, and where their labels are wrong.

MERL's 18 CSV files say which records a task has, their split and their labels. Two tasks have
faults (docs/decisions.md): the train file of PTBXL-Sub has three columns in another order than its
test file, and was read by position; the columns of CSN were made by asking whether a code is a
substring of the record's diagnoses, so that AFIB is also AF.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, Shaped

from kmerl.corpora.classes import TASKS, classes
from kmerl.evaluation.cohort import SPLITS

FILES = {
    "ptbxl_super": "ptbxl/super_class/ptbxl_super_class",
    "ptbxl_sub": "ptbxl/sub_class/ptbxl_sub_class",
    "ptbxl_form": "ptbxl/form/ptbxl_form",
    "ptbxl_rhythm": "ptbxl/rhythm/ptbxl_rhythm",
    "cpsc2018": "icbeb/icbeb",
    "csn": "chapman/chapman",
}
"""Path of each task's files below `data_split`, without `_train.csv` and its like."""

RECORD: dict[str, Callable[[dict[str, str]], str]] = {
    "ptb-xl": lambda row: row["ecg_id"],
    "cpsc2018": lambda row: row["filename"],
    "csn": lambda row: PurePosixPath(row["ecg_path"]).stem,
}
"""How each corpus's rows name their record. CPSC2018's `ecg_id` is a place in a directory listing
of the machine that made the file."""


class MerlError(ValueError):
    """A file of MERL's splits is missing or is not what it should be; the message names it."""


@dataclass(frozen=True)
class MerlTask:
    """One task of MERL's: every record of the three files, in their order.

    `given` has the labels as MERL's code uses them, `truth` the corrected ones; both have a column
    a class of `kmerl.corpora.classes.classes(task)`.
    """

    task: str
    records: Shaped[np.ndarray, " record"]
    splits: Shaped[np.ndarray, " record"]
    given: Bool[np.ndarray, "record class"]
    truth: Bool[np.ndarray, "record class"]

    def rows_changed(self) -> int:
        """Records with a label that the correction changes."""
        return int((self.given != self.truth).any(axis=1).sum())

    def changes(self) -> dict[str, dict[str, dict[str, int]]]:
        """split -> class -> positives by `merl` and `corrected`, and cells that change.

        Only classes with a change.
        """
        found: dict[str, dict[str, dict[str, int]]] = {}
        for split in SPLITS:
            rows = self.splits == split
            for column, (code, _) in enumerate(classes(self.task)):
                given, truth = self.given[rows, column], self.truth[rows, column]
                if (given != truth).any():
                    found.setdefault(split, {})[code] = {
                        "merl": int(given.sum()),
                        "corrected": int(truth.sum()),
                        "cells": int((given != truth).sum()),
                    }
        return found


def read(root: Path, task: str) -> MerlTask:
    """A task from MERL's files below `root` (the folder that holds `data_split`).

    Raises:
        MerlError: a file or a column is missing, a label is not 0 or 1, a record stands twice.
    """
    codes = [code for code, _ in classes(task)]
    tables = {split: _table(root, task, split, codes) for split in SPLITS}
    order = [code for code in tables["test"][0] if code in codes]
    records, splits, given, truth = [], [], [], []
    for split, (header, rows) in tables.items():
        by_position = [code for code in header if code in codes]
        for row in rows:
            records.append(RECORD[TASKS[task]](row))
            splits.append(split)
            as_used = dict(zip(order, (row[code] for code in by_position), strict=True))
            given.append([as_used[code] == "1" for code in codes])
            truth.append(_true_labels(row, task, codes))
    twice = len(records) - len(set(records))
    if twice:
        raise MerlError(f"MERL's files of {task} name {twice} records twice")
    return MerlTask(task, np.array(records), np.array(splits), np.array(given), np.array(truth))


def _true_labels(row: dict[str, str], task: str, codes: list[str]) -> list[bool]:
    """CSN's from the diagnoses themselves, any other task's from the column of that name."""
    if task != "csn":
        return [row[code] == "1" for code in codes]
    diagnoses = set(row["diagnose"].split(","))
    return [code in diagnoses for code in codes]


def _table(
    root: Path, task: str, split: str, codes: list[str]
) -> tuple[list[str], list[dict[str, str]]]:
    path = root / "data_split" / f"{FILES[task]}_{split}.csv"
    if not path.exists():
        raise MerlError(
            f"{path} does not exist; the folder given must hold the `data_split` folder of MERL's "
            "repository"
        )
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        header = list(reader.fieldnames or ())
        rows = list(reader)
    missing = sorted(set(codes) - set(header))
    if missing:
        raise MerlError(f"{path} has no column {missing[0]!r}, a class of {task}")
    for number, row in enumerate(rows, 2):
        wrong = next((code for code in codes if row[code] not in ("0", "1")), None)
        if wrong is not None:
            raise MerlError(f"{path}, line {number}: {wrong} is {row[wrong]!r}, not 0 or 1")
    return header, rows


def report(root: Path) -> dict[str, dict[str, object]]:
    """For each task the rows of each split (Table 3), and what the correction changes.

    Raises:
        MerlError: see `read`.
    """
    found: dict[str, dict[str, object]] = {}
    for task in TASKS:
        one = read(root, task)
        found[task] = {
            "classes": len(classes(task)),
            "rows": {split: int((one.splits == split).sum()) for split in SPLITS},
            "rows_changed": one.rows_changed(),
            "changes": one.changes(),
        }
    return found
