"""A hand-made corpus with every fault that has spoilt published results: each found and named."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kmerl.tasks import data_report, merl_splits, prompts
from kmerl.tasks.classes import TASKS, classes
from kmerl.tasks.cohort import SPLITS, Cohort
from kmerl.tasks.merl_splits import MerlError, MerlTask
from kmerl.tasks.splits import TaskSplits

TASK = "ptbxl_super"
CODES = [kind.code for kind in classes(TASK)]
Table = list[list[str]]


def files(root: Path, change: Callable[[dict[str, Table]], None] = lambda tables: None) -> Path:
    """Two records a split, of patients p1 to p6; the second one has the split's own class."""
    tables: dict[str, Table] = {}
    for number, split in enumerate(SPLITS):
        rows = [[str(2 * number + 1 + i), "1" if i == 0 else "0"] for i in range(2)]
        others = [["1" if (i, k) == (1, number) else "0" for k in range(1, 5)] for i in range(2)]
        tables[split] = [["ecg_id", *CODES], *(a + b for a, b in zip(rows, others, strict=True))]
    change(tables)
    for split, table in tables.items():
        path = merl_splits.path(root, TASK, split)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(table)
    return root


def cohort(merl: MerlTask, patients: list[str]) -> TaskSplits:
    names = (merl.records, np.array(patients), merl.splits)
    return TaskSplits(Cohort(TASK, TASKS[TASK], classes(TASK), *names, merl.truth), merl, [])


PATIENTS = ["p1", "p2", "p3", "p4", "p5", "p6"]


def test_the_corpus_without_a_trap(tmp_path: Path) -> None:
    found = merl_splits.read(files(tmp_path), TASK)
    assert (found.rows_changed(), found.moved) == (0, {})
    assert found.records.tolist() == ["1", "2", "3", "4", "5", "6"]
    report = data_report.task_report(cohort(found, PATIENTS))
    assert report["positives"]["val"] == dict(zip(CODES, [1, 1, 0, 0, 0], strict=True))


def test_columns_in_another_order_in_one_split(tmp_path: Path) -> None:
    def swap(tables: dict[str, Table]) -> None:
        for row in tables["train"]:
            row[2], row[3] = row[3], row[2]
        tables["train"][2][2:4] = ["0", "1"]  # record 2 is NORM, in the column of that name

    found = merl_splits.read(files(tmp_path, swap), TASK)
    assert found.moved == {"train": ["MI", "NORM"]}
    assert list(found.cells()) == [
        (TASK, "train", "2", "NORM", 0, 1),
        (TASK, "train", "2", "MI", 1, 0),
    ]
    report = data_report.task_report(cohort(found, PATIENTS))
    assert report["positives"]["train"]["NORM"] == 1
    assert report["merl"]["changes"]["train"]["MI"] == {"merl": 1, "corrected": 0, "cells": 1}


def test_a_class_without_positives_is_named_and_no_error(tmp_path: Path) -> None:
    report = data_report.task_report(cohort(merl_splits.read(files(tmp_path), TASK), PATIENTS))
    assert report["without_positives"] == {
        "train": ["normal ecg", "myocardial infarction", "conduction disturbance", "st-t changes"],
        "val": ["myocardial infarction", "conduction disturbance", "st-t changes"],
        "test": ["normal ecg", "conduction disturbance", "st-t changes"],
    }


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("val", r"super_class_val\.csv lists record '2', which stands in the train file before"),
        ("train", r"super_class_train\.csv lists record '2', which stands in the train file"),
    ],
)
def test_a_record_that_stands_twice(tmp_path: Path, split: str, message: str) -> None:
    def repeat(tables: dict[str, Table]) -> None:
        tables[split].append(tables["train"][2])

    with pytest.raises(MerlError, match=message):
        merl_splits.read(files(tmp_path, repeat), TASK)


def test_a_patient_in_two_splits(tmp_path: Path) -> None:
    found = merl_splits.read(files(tmp_path), TASK)
    one = cohort(found, ["p1", "p2", "p3", "p4", "p2", "p6"])
    message = r"ptbxl_super: 1 patients .* the first is 'p2' \(test, train\)"
    with pytest.raises(data_report.LeakageError, match=message):
        data_report.task_report(one)


@pytest.mark.parametrize("label", ["2", "", "1.0", "yes"])
def test_a_label_that_is_neither_0_nor_1(tmp_path: Path, label: str) -> None:
    def spoil(tables: dict[str, Table]) -> None:
        tables["test"][2][3] = label

    message = rf"super_class_test\.csv, line 3: MI is '{label}', not 0 or 1"
    with pytest.raises(MerlError, match=message):
        merl_splits.read(files(tmp_path, spoil), TASK)


def test_a_row_that_ends_early(tmp_path: Path) -> None:
    def cut(tables: dict[str, Table]) -> None:
        del tables["val"][1][-1]

    with pytest.raises(MerlError, match=r"super_class_val\.csv, line 2: STTC is None"):
        merl_splits.read(files(tmp_path, cut), TASK)


@pytest.mark.parametrize("text", [None, " "])
def test_a_class_without_a_text(tmp_path: Path, text: str | None) -> None:
    texts = {kind.code: kind.name for task in TASKS for kind in classes(task)}
    texts |= {"JEB": text} if text is not None else {}
    if text is None:
        del texts["JEB"]
    path = tmp_path / prompts.CKEPE
    path.write_text(json.dumps(texts))
    found = prompts.by_ckepe(path)
    prompts.Asked(str(path), found, np.zeros((len(found), 4), np.float32)).write(tmp_path, "ckepe")
    message = r"CKEPE_prompt\.json has no text for class 'JEB' \(junctional escape beat\) of csn"
    with pytest.raises(ValueError, match=message):
        prompts.read_asked(tmp_path, "ckepe")
