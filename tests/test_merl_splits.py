"""MERL's split files: Table 3, the faults of two tasks, and every fault that has spoilt results."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from kmerl.cli import app
from kmerl.files import read_yaml, write_csv, write_text
from kmerl.tasks import data_report, merl_splits
from kmerl.tasks.classes import TASKS, classes, official, tasks_of
from kmerl.tasks.cohort import SPLITS, Cohort, read_cohort
from kmerl.tasks.merl_splits import MerlError, MerlTask, path, read
from kmerl.tasks.splits import TaskSplits, from_merl
from tests.cohorts import merl_row, write_merl

DATA = Path(os.environ.get("KMERL_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
ROOT = DATA / "merl_splits"
released = pytest.mark.skipif(not ROOT.exists(), reason="MERL's split files are not here")

CASES = read_yaml(Path("tests/cases/merl_splits.yaml"))


# ---------------------------------------------------------------- the released files


@pytest.fixture(scope="module")
def tasks() -> dict[str, MerlTask]:
    return {task: read(ROOT, task) for task in TASKS}


@released
def test_the_paper_has_the_same_table():
    text = (DATA.parent / "paper" / "k-merl.txt").read_text(encoding="utf-8")
    for counts in CASES["table_3"].values():
        assert "\t".join(f"{count:,}" for count in counts) in text


@released
def test_what_the_correction_changes(tasks):
    assert {task for task, found in tasks.items() if found.rows_changed()} == {"csn", "ptbxl_sub"}
    found = tasks["csn"]
    codes = [code for code, _ in classes("csn")]
    pairs = zip(codes, found.given.sum(axis=0), found.truth.sum(axis=0), strict=True)
    changed = {code: [int(one), int(two)] for code, one, two in pairs if one != two}
    assert (found.rows_changed(), found.moved, changed) == (3_817, {}, CASES["csn"])
    found = tasks["ptbxl_sub"]  # three columns of the train file are rotated
    assert found.moved == {"train": ["AVB", "RAO/RAE", "ISC"]}
    (split, counts), *others = found.changes().items()
    used = {code: one["merl"] for code, one in counts.items()}
    true = {code: one["corrected"] for code, one in counts.items()}
    assert (split, others) == ("train", [])
    assert used == {"ISC": true["AVB"], "AVB": true["RAO/RAE"], "RAO/RAE": true["ISC"]}


@released
def test_table_3_is_what_stage_splits_keeps(tasks, tmp_path):
    """Of a store that holds every record of MERL's files, each its own patient."""
    for corpus in set(TASKS.values()):
        held = sorted({r for task in tasks_of(corpus) for r in tasks[task].records.tolist()})
        write_text(tmp_path / corpus / "rejected.csv", "record,reason,detail\n")
        table = pa.table({"record": held, "patient": held})
        pq.write_table(table, tmp_path / corpus / "signals-00000.parquet")
    for task, merl in tasks.items():
        for labels in ("merl", "corrected"):
            cohort, missing = from_merl(tmp_path, merl, labels)
            told = data_report.task_report(TaskSplits(cohort, merl, missing))
            assert [told["classes"], *told["rows"].values()] == CASES["table_3"][task]
            assert (missing, told["records_missing"]) == ([], {})
            for code, both in CASES["csn"].items() if task == "csn" else ():
                found = sum(told["positives"][split][code] for split in SPLITS)
                assert found == both[labels == "corrected"]
        cohort.write(tmp_path)
        kept = read_cohort(tmp_path, official(task))
        for name in ("records", "patients", "splits", "truth"):
            assert np.array_equal(getattr(kept, name), getattr(cohort, name))


def test_the_command_prints_the_whole_report_or_what_is_missing(evaluation_cohort, tmp_path):
    root = evaluation_cohort / "raw/merl"
    done = CliRunner().invoke(app, ["splits", str(root)])
    assert json.loads(done.stdout) == merl_splits.report(root)
    done = CliRunner().invoke(app, ["splits", str(tmp_path)])
    assert done.exit_code != 0
    assert "data_split" in done.output


# ---------------------------------------------------------------- a file for every fault


def test_a_code_inside_another_is_no_label(tmp_path):
    rows = {split: [merl_row("csn", f"JS{split}", ["AFIB", "STTC"])] for split in SPLITS}
    found = read(write_merl(tmp_path, "csn", rows), "csn")
    codes = np.array([code for code, _ in classes("csn")])
    assert found.records.tolist() == ["JStrain", "JSval", "JStest"]
    assert set(codes[found.given[0]]) == {"AFIB", "AF", "STTC", "ST"}
    assert set(codes[found.truth[0]]) == {"AFIB", "STTC"}
    assert found.rows_changed() == 3
    changed = [("csn", "train", "JStrain", code, 1, 0) for code in ("AF", "ST")]
    assert list(found.cells())[:2] == changed
    del rows["val"][0]["diagnose"]
    with pytest.raises(MerlError, match=r"chapman_val\.csv has no column 'diagnose'"):
        read(write_merl(tmp_path, "csn", rows), "csn")


def test_files_without_a_row_are_a_task_without_records(tmp_path):
    for split in SPLITS:
        write_csv(path(tmp_path, "csn", split), list(merl_row("csn", "", ())), [])
    found = read(tmp_path, "csn")
    assert (found.records.shape, found.given.shape, found.truth.shape) == ((0,), (0, 38), (0, 38))
    assert (found.changes(), found.moved, list(found.cells())) == ({}, {}, [])


TASK = "ptbxl_super"
CODES = [kind.code for kind in classes(TASK)]
HEAD = ",".join(["ecg_id", *CODES])
PLAIN = {  # two records a split; the first has HYP, the second the split's own class, if any
    "train": f"{HEAD}\n1,1,0,0,0,0\n2,0,0,0,0,0\n",
    "val": f"{HEAD}\n3,1,0,0,0,0\n4,0,1,0,0,0\n",
    "test": f"{HEAD}\n5,1,0,0,0,0\n6,0,0,1,0,0\n",
}


def merl(root: Path, **changed: str) -> MerlTask:
    for split, text in (PLAIN | changed).items():
        write_text(path(root, TASK, split), text)
    return read(root, TASK)


def report(found: MerlTask, patients: str = "abcdef") -> dict:
    names = (found.records, np.array(list(patients)), found.splits)
    cohort = Cohort(TASK, TASKS[TASK], classes(TASK), *names, found.truth)
    return data_report.task_report(TaskSplits(cohort, found, []))


def test_the_files_without_a_fault(tmp_path):
    found = merl(tmp_path)
    assert (found.rows_changed(), found.moved) == (0, {})
    assert found.records.tolist() == ["1", "2", "3", "4", "5", "6"]
    told = report(found)
    assert told["positives"]["val"] == dict(zip(CODES, [1, 1, 0, 0, 0], strict=True))
    assert told["without_positives"] == {  # named, and no error
        "train": ["normal ecg", "myocardial infarction", "conduction disturbance", "st-t changes"],
        "val": ["myocardial infarction", "conduction disturbance", "st-t changes"],
        "test": ["normal ecg", "conduction disturbance", "st-t changes"],
    }
    message = r"ptbxl_super: 1 patients .* the first is 'b' \(test, train\)"
    with pytest.raises(data_report.LeakageError, match=message):
        report(found, "abcdbf")


def test_columns_in_another_order_in_one_split_are_read_by_name(tmp_path):
    swapped = ",".join(["ecg_id", *(CODES[place] for place in (0, 2, 1, 3, 4))])
    found = merl(tmp_path, train=f"{swapped}\n1,1,0,0,0,0\n2,0,0,1,0,0\n")  # record 2 is NORM
    assert found.moved == {"train": ["MI", "NORM"]}
    changed = [(TASK, "train", "2", "NORM", 0, 1), (TASK, "train", "2", "MI", 1, 0)]
    assert list(found.cells()) == changed
    told = report(found)
    assert told["positives"]["train"]["NORM"] == 1
    assert told["merl"]["changes"]["train"]["MI"] == {"merl": 1, "corrected": 0, "cells": 1}


@pytest.mark.parametrize(
    ("split", "text", "message"),
    [
        ("val", PLAIN["val"] + "2,0,0,0,0,0", "lists record '2', which stands in the train file"),
        ("train", PLAIN["train"] + "2,0,0,0,0,0", "lists record '2', which stands in the train"),
        ("val", HEAD + "\n3,1,0,0,0", "line 2: STTC is None"),
        ("val", HEAD.removesuffix(",STTC") + "\n3,1,0,0,0", "has no column 'STTC'"),
        ("val", HEAD.removeprefix("ecg_id,") + "\n1,0,0,0,0", "has no column 'ecg_id'"),
        ("val", HEAD + ",STTC\n3,1,0,0,0,0,0", "has two columns 'STTC'"),
        *(
            ("test", f"{PLAIN['test']}7,0,0,{label},0,0", f"line 4: MI is '{label}', not 0 or 1")
            for label in ("2", "", "1.0", "yes")
        ),
    ],
)
def test_a_fault_of_a_file_is_named(tmp_path, split, text, message):
    with pytest.raises(MerlError, match=rf"super_class_{split}\.csv.* {message}"):
        merl(tmp_path, **{split: text})
    with pytest.raises(MerlError, match="must hold the `data_split` folder"):
        read(tmp_path, "cpsc2018")
