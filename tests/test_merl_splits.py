"""MERL's split files: Table 3, the faults of two tasks, and every fault that has spoilt results."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kmerl.cli import app
from kmerl.files import write_csv
from kmerl.tasks import data_report
from kmerl.tasks.classes import TASKS, classes
from kmerl.tasks.cohort import SPLITS, Cohort
from kmerl.tasks.merl_splits import MerlError, MerlTask, path, read
from kmerl.tasks.splits import TaskSplits

DATA = Path(os.environ.get("KMERL_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
ROOT = DATA / "merl_splits"
released = pytest.mark.skipif(not ROOT.exists(), reason="MERL's split files are not here")

TABLE_3 = {  # classes, train, val, test
    "ptbxl_super": (5, 17_084, 2_146, 2_158),
    "ptbxl_sub": (23, 17_084, 2_146, 2_158),
    "ptbxl_form": (19, 7_197, 901, 880),
    "ptbxl_rhythm": (12, 16_832, 2_100, 2_098),
    "cpsc2018": (9, 4_950, 551, 1_376),
    "csn": (38, 16_546, 1_860, 4_620),
}


CSN_CHANGES = {  # positives by MERL's files, and by the diagnoses
    "2AVB": (38, 22), "VB": (916, 3), "SA": (2_828, 2_107), "CR": (216, 75),
    "AF": (4_753, 3_340), "AVB": (913, 176), "ST": (6_338, 5_154),
}  # fmt: skip


def write_files(root: Path, task: str, rows: dict[str, list[dict[str, str]]]) -> Path:
    """The three files of a task: the columns of the first row, in their order."""
    for split in SPLITS:
        header = list(rows[split][0])
        write_csv(path(root, task, split), header, [list(row.values()) for row in rows[split]])
    return root


def csn_row(record: str, diagnose: str, given: set[str]) -> dict[str, str]:
    labels = {code: str(int(code in given)) for code, _ in classes("csn")}
    return {"ecg_path": f"/chapman/WFDBRecords/01/{record}.mat", "age": "12",
            "diagnose": diagnose, **labels}  # fmt: skip


# ---------------------------------------------------------------- the released files


@released
def test_the_paper_has_the_same_table():
    text = (DATA.parent / "paper" / "k-merl.txt").read_text(encoding="utf-8")
    for counts in TABLE_3.values():
        assert "\t".join(f"{count:,}" for count in counts) in text


@released
@pytest.mark.parametrize("task", TABLE_3)
def test_what_the_correction_changes(task):
    found, codes = read(ROOT, task), [code for code, _ in classes(task)]
    pairs = zip(codes, found.given.sum(axis=0), found.truth.sum(axis=0), strict=True)
    changed = {code: (int(one), int(two)) for code, one, two in pairs if one != two}
    if task == "csn":
        assert (found.rows_changed(), changed) == (3_817, CSN_CHANGES)
    elif task == "ptbxl_sub":  # three columns of the train file are rotated
        assert found.moved == {"train": ["AVB", "RAO/RAE", "ISC"]}
        assert set(found.changes()) == {"train"}
        counts = found.changes()["train"]
        used = {code: one["merl"] for code, one in counts.items()}
        true = {code: one["corrected"] for code, one in counts.items()}
        assert used == {"ISC": true["AVB"], "AVB": true["RAO/RAE"], "RAO/RAE": true["ISC"]}
    else:
        assert (found.rows_changed(), found.moved, list(found.cells())) == (0, {}, [])


@released
def test_the_command_prints_the_whole_report():
    found = json.loads(CliRunner().invoke(app, ["splits", str(ROOT)]).stdout)
    assert found["csn"]["rows_changed"] == 3_817
    assert found["ptbxl_sub"]["rows"] == {"train": 17_084, "val": 2_146, "test": 2_158}
    assert set(found) == set(TABLE_3)


def test_the_command_says_what_is_missing(tmp_path):
    done = CliRunner().invoke(app, ["splits", str(tmp_path)])
    assert done.exit_code != 0
    assert "data_split" in done.output


# ---------------------------------------------------------------- a file for every fault


def test_a_code_inside_another_is_no_label(tmp_path):
    labels = "AFIB,STTC", {"AFIB", "AF", "STTC", "ST"}
    rows = {split: [csn_row(f"JS{i}", *labels)] for i, split in enumerate(SPLITS)}
    found = read(write_files(tmp_path, "csn", rows), "csn")
    codes = np.array([code for code, _ in classes("csn")])
    assert found.records.tolist() == ["JS0", "JS1", "JS2"]
    assert set(codes[found.given[0]]) == {"AFIB", "AF", "STTC", "ST"}
    assert set(codes[found.truth[0]]) == {"AFIB", "STTC"}
    assert found.rows_changed() == 3
    assert list(found.cells())[:2] == [
        ("csn", "train", "JS0", "AF", 1, 0), ("csn", "train", "JS0", "ST", 1, 0),
    ]  # fmt: skip


def test_the_diagnoses_are_needed(tmp_path):
    rows = {split: [csn_row(f"JS{i}", "SR", {"SR"})] for i, split in enumerate(SPLITS)}
    del rows["val"][0]["diagnose"]
    with pytest.raises(MerlError, match=r"chapman_val\.csv has no column 'diagnose'"):
        read(write_files(tmp_path, "csn", rows), "csn")


def test_files_without_a_row_are_a_task_without_records(tmp_path):
    rows = {split: [csn_row(f"JS{i}", "SR", {"SR"})] for i, split in enumerate(SPLITS)}
    for file in write_files(tmp_path, "csn", rows).rglob("*.csv"):
        file.write_text(file.read_text().splitlines(keepends=True)[0])
    found = read(tmp_path, "csn")
    assert (found.records.shape, found.given.shape, found.truth.shape) == ((0,), (0, 38), (0, 38))
    assert (found.changes(), found.moved, list(found.cells())) == ({}, {}, [])


TASK = "ptbxl_super"
CODES = [kind.code for kind in classes(TASK)]
PATIENTS = ["p1", "p2", "p3", "p4", "p5", "p6"]
Table = list[list[str]]


def spoilt(root: Path, change: Callable[[dict[str, Table]], None] = lambda tables: None) -> Path:
    """Two records a split, of patients p1 to p6; the second one has the split's own class."""
    tables: dict[str, Table] = {}
    for number, split in enumerate(SPLITS):
        rows = [[str(2 * number + 1 + i), "1" if i == 0 else "0"] for i in range(2)]
        others = [["1" if (i, k) == (1, number) else "0" for k in range(1, 5)] for i in range(2)]
        tables[split] = [["ecg_id", *CODES], *(a + b for a, b in zip(rows, others, strict=True))]
    change(tables)
    for split, (header, *rows) in tables.items():
        write_csv(path(root, TASK, split), header, rows)
    return root


def report(merl: MerlTask, patients: list[str] = PATIENTS) -> dict:
    names = (merl.records, np.array(patients), merl.splits)
    cohort = Cohort(TASK, TASKS[TASK], classes(TASK), *names, merl.truth)
    return data_report.task_report(TaskSplits(cohort, merl, []))


def test_the_files_without_a_fault(tmp_path):
    found = read(spoilt(tmp_path), TASK)
    assert (found.rows_changed(), found.moved) == (0, {})
    assert found.records.tolist() == ["1", "2", "3", "4", "5", "6"]
    told = report(found)
    assert told["positives"]["val"] == dict(zip(CODES, [1, 1, 0, 0, 0], strict=True))
    assert told["without_positives"] == {  # named, and no error
        "train": ["normal ecg", "myocardial infarction", "conduction disturbance", "st-t changes"],
        "val": ["myocardial infarction", "conduction disturbance", "st-t changes"],
        "test": ["normal ecg", "conduction disturbance", "st-t changes"],
    }
    message = r"ptbxl_super: 1 patients .* the first is 'p2' \(test, train\)"
    with pytest.raises(data_report.LeakageError, match=message):
        report(found, ["p1", "p2", "p3", "p4", "p2", "p6"])


def test_columns_in_another_order_in_one_split_are_read_by_name(tmp_path):
    def swap(tables: dict[str, Table]) -> None:
        for row in tables["train"]:
            row[2], row[3] = row[3], row[2]
        tables["train"][2][2:4] = ["0", "1"]  # record 2 is NORM, in the column of that name

    found = read(spoilt(tmp_path, swap), TASK)
    assert found.moved == {"train": ["MI", "NORM"]}
    changed = [(TASK, "train", "2", "NORM", 0, 1), (TASK, "train", "2", "MI", 1, 0)]
    assert list(found.cells()) == changed
    told = report(found)
    assert told["positives"]["train"]["NORM"] == 1
    assert told["merl"]["changes"]["train"]["MI"] == {"merl": 1, "corrected": 0, "cells": 1}


def set_label(label: str) -> Callable[[dict[str, Table]], None]:
    return lambda tables: tables["test"][2].__setitem__(3, label)


FAULTS = {
    "val file repeats a train record": (
        lambda tables: tables["val"].append(tables["train"][2]),
        r"super_class_val\.csv lists record '2', which stands in the train file before",
    ),
    "train file repeats a record": (
        lambda tables: tables["train"].append(tables["train"][2]),
        r"super_class_train\.csv lists record '2', which stands in the train file",
    ),
    "a row ends early": (
        lambda tables: tables["val"][1].pop(), r"super_class_val\.csv, line 2: STTC is None"
    ),
    "no class": (
        lambda tables: [row.pop() for row in tables["val"]],
        r"super_class_val\.csv has no column 'STTC'",
    ),
    "no record": (
        lambda tables: [row.pop(0) for row in tables["val"]],
        r"super_class_val\.csv has no column 'ecg_id'",
    ),
    "a class twice": (
        lambda tables: [row.append(row[-1]) for row in tables["val"]], "has two columns 'STTC'"
    ),
    **{
        f"label {label!r}": (
            set_label(label),
            rf"super_class_test\.csv, line 3: MI is '{label}', not 0 or 1",
        )
        for label in ("2", "", "1.0", "yes")
    },
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_a_file_is_named(tmp_path, change, message):
    with pytest.raises(MerlError, match=message):
        read(spoilt(tmp_path, change), TASK)
    with pytest.raises(MerlError, match="must hold the `data_split` folder"):
        read(tmp_path, "cpsc2018")
