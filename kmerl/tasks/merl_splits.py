"""The splits that MERL released for the six tasks, read by name, and where their labels are wrong.

MERL's 18 CSV files say which records a task has, their split and their labels. Two tasks have
faults (docs/decisions.md): the train file of PTBXL-Sub has three columns in another order than its
test file, and was read by position; the columns of CSN were made by asking whether a code is a
substring of the record's diagnoses, so that AFIB is also AF.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, Shaped

from kmerl.tasks.classes import TASKS, classes
from kmerl.tasks.cohort import SPLITS

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

NEEDED = {"ptb-xl": ("ecg_id",), "cpsc2018": ("filename",), "csn": ("ecg_path", "diagnose")}
"""Columns that are read beside those of the classes."""


class MerlError(ValueError):
    """A file of MERL's splits is missing or is not what it should be; the message names it."""


@dataclass(frozen=True)
class MerlTask:
    """One task of MERL's: every record of the three files, in their order.

    `given` has the labels as MERL's code uses them, `truth` the corrected ones; both have a column
    a class of `kmerl.tasks.classes.classes(task)`. `moved` has, for each split whose file orders
    its columns otherwise than the test file, the classes that stand in another's place.
    """

    task: str
    records: Shaped[np.ndarray, " record"]
    splits: Shaped[np.ndarray, " record"]
    given: Bool[np.ndarray, "record class"]
    truth: Bool[np.ndarray, "record class"]
    moved: dict[str, list[str]]

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

    def cells(self) -> Iterator[tuple[str, str, str, str, int, int]]:
        """Rows of `CELL_COLUMNS`: every label that the correction changes, in the files' order."""
        codes = [code for code, _ in classes(self.task)]
        for row, column in np.argwhere(self.given != self.truth):
            labels = int(self.given[row, column]), int(self.truth[row, column])
            yield self.task, str(self.splits[row]), str(self.records[row]), codes[column], *labels


CELL_COLUMNS = ("task", "split", "record", "class", "merl", "corrected")


def read(root: Path, task: str) -> MerlTask:
    """A task from MERL's files below `root` (the folder that holds `data_split`).

    Raises:
        MerlError: a file or a column is missing, a column or a record stands twice, a label is not
            0 or 1.
    """
    codes = [code for code, _ in classes(task)]
    tables = {split: _table(root, task, split, codes) for split in SPLITS}
    order = [code for code in tables["test"][0] if code in codes]
    moved, given, truth = {}, [], []
    split_of: dict[str, str] = {}
    for split, (header, rows) in tables.items():
        by_position = [code for code in header if code in codes]
        others = [one for one, other in zip(by_position, order, strict=True) if one != other]
        if others:
            moved[split] = others
        for row in rows:
            record = RECORD[TASKS[task]](row)
            if record in split_of:
                raise MerlError(
                    f"{path(root, task, split)} lists record {record!r}, which stands in the "
                    f"{split_of[record]} file before; a record may stand once"
                )
            split_of[record] = split
            as_used = dict(zip(order, (row[code] for code in by_position), strict=True))
            given.append([as_used[code] == "1" for code in codes])
            truth.append(_true_labels(row, task, codes))
    shape = (len(split_of), len(codes))
    return MerlTask(
        task,
        np.array(list(split_of), dtype=str),
        np.array(list(split_of.values()), dtype=str),
        np.array(given, dtype=bool).reshape(shape),
        np.array(truth, dtype=bool).reshape(shape),
        moved,
    )


def path(root: Path, task: str, split: str) -> Path:
    """The file of one split of a task, below the folder that holds `data_split`."""
    return root / "data_split" / f"{FILES[task]}_{split}.csv"


def _true_labels(row: dict[str, str], task: str, codes: list[str]) -> list[bool]:
    """CSN's from the diagnoses themselves, any other task's from the column of that name."""
    if task != "csn":
        return [row[code] == "1" for code in codes]
    diagnoses = set(row["diagnose"].split(","))
    return [code in diagnoses for code in codes]


def _table(
    root: Path, task: str, split: str, codes: list[str]
) -> tuple[list[str], list[dict[str, str]]]:
    file = path(root, task, split)
    if not file.exists():
        raise MerlError(
            f"{file} does not exist; the folder given must hold the `data_split` folder of MERL's "
            "repository"
        )
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines)
            header = list(reader.fieldnames or ())
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise MerlError(f"{file} is no CSV file in UTF-8 ({error}); restore MERL's file") from None
    for column in (*NEEDED[TASKS[task]], *codes):
        if header.count(column) != 1:
            fault = "two columns" if column in header else "no column"
            raise MerlError(f"{file} has {fault} {column!r}; restore MERL's file of {task}")
    for number, row in enumerate(rows, 2):
        wrong = next((code for code in codes if row[code] not in ("0", "1")), None)
        if wrong is not None:
            raise MerlError(f"{file}, line {number}: {wrong} is {row[wrong]!r}, not 0 or 1")
    return header, rows


def summary(task: MerlTask) -> dict[str, object]:
    """The rows of each split (Table 3), and what the correction changes."""
    return {
        "classes": len(classes(task.task)),
        "rows": {split: int((task.splits == split).sum()) for split in SPLITS},
        "rows_changed": task.rows_changed(),
        "columns_moved": task.moved,
        "changes": task.changes(),
    }


def report(root: Path) -> dict[str, dict[str, object]]:
    """The `summary` of each task.

    Raises:
        MerlError: see `read`.
    """
    return {task: summary(read(root, task)) for task in TASKS}
