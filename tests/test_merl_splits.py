"""MERL's split files: Table 3, the faults of two tasks, and files that cannot be used."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kmerl.cli import app
from kmerl.tasks.classes import classes
from kmerl.tasks.cohort import SPLITS
from kmerl.tasks.merl_splits import FILES, MerlError, MerlTask, read

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


def write_files(root: Path, task: str, rows: dict[str, list[dict[str, str]]]) -> Path:
    """The three files of a task: the columns of the first row, in their order."""
    for split in SPLITS:
        path = root / "data_split" / f"{FILES[task]}_{split}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[split][0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows[split])
    return root


def csn_row(record: str, diagnose: str, given: set[str]) -> dict[str, str]:
    labels = {code: str(int(code in given)) for code, _ in classes("csn")}
    return {"ecg_path": f"/chapman/WFDBRecords/01/{record}.mat", "age": "12",
            "diagnose": diagnose, **labels}  # fmt: skip


@released
@pytest.mark.parametrize("task", TABLE_3)
def test_table_3(task: str) -> None:
    found = read(ROOT, task)
    counts = [int((found.splits == split).sum()) for split in SPLITS]
    assert (len(classes(task)), *counts) == TABLE_3[task]
    assert len(set(found.records.tolist())) == len(found.records)


@released
def test_the_paper_has_the_same_table() -> None:
    text = (DATA.parent / "paper" / "k-merl.txt").read_text(encoding="utf-8")
    for counts in TABLE_3.values():
        assert "\t".join(f"{count:,}" for count in counts) in text


@released
def test_csn_has_3817_wrong_rows_in_seven_columns() -> None:
    found = read(ROOT, "csn")
    codes = [code for code, _ in classes("csn")]
    before, after = found.given.sum(axis=0), found.truth.sum(axis=0)
    changed = {c: (int(b), int(a)) for c, b, a in zip(codes, before, after, strict=True) if b != a}
    assert found.rows_changed() == 3_817
    assert changed == {
        "2AVB": (38, 22), "VB": (916, 3), "SA": (2_828, 2_107), "CR": (216, 75),
        "AF": (4_753, 3_340), "AVB": (913, 176), "ST": (6_338, 5_154),
    }  # fmt: skip


@released
def test_ptbxl_sub_has_three_columns_rotated_in_train() -> None:
    found = read(ROOT, "ptbxl_sub")
    assert set(found.changes()) == {"train"}
    assert found.moved == {"train": ["AVB", "RAO/RAE", "ISC"]}
    changes = found.changes()["train"]
    assert set(changes) == {"AVB", "RAO/RAE", "ISC"}
    used = {code: counts["merl"] for code, counts in changes.items()}
    true = {code: counts["corrected"] for code, counts in changes.items()}
    assert used == {"ISC": true["AVB"], "AVB": true["RAO/RAE"], "RAO/RAE": true["ISC"]}


@released
@pytest.mark.parametrize("task", ["ptbxl_super", "ptbxl_form", "ptbxl_rhythm", "cpsc2018"])
def test_the_other_tasks_need_no_correction(task: str) -> None:
    found = read(ROOT, task)
    assert (found.rows_changed(), found.moved, list(found.cells())) == (0, {}, [])


def test_a_code_inside_another_is_no_label(tmp_path: Path) -> None:
    rows = {
        split: [csn_row(f"JS{i}", "AFIB,STTC", {"AFIB", "AF", "STTC", "ST"})]
        for i, split in enumerate(SPLITS)
    }
    found = read(write_files(tmp_path, "csn", rows), "csn")
    assert found.records.tolist() == ["JS0", "JS1", "JS2"]
    assert _labels(found, "merl")[0] == {"AFIB", "AF", "STTC", "ST"}
    assert _labels(found, "corrected")[0] == {"AFIB", "STTC"}
    assert found.rows_changed() == 3
    assert list(found.cells())[:2] == [
        ("csn", "train", "JS0", "AF", 1, 0),
        ("csn", "train", "JS0", "ST", 1, 0),
    ]


def test_columns_in_another_order_are_read_by_name(tmp_path: Path) -> None:
    codes = [code for code, _ in classes("ptbxl_super")]
    head = {"patient_id": "1.0", "strat_fold": "1", "filename_lr": "", "filename_hr": ""}
    rows = {}
    for number, split in enumerate(SPLITS):
        order = codes[::-1] if split == "train" else codes
        labels = {code: str(int(code == codes[0])) for code in order}
        rows[split] = [{"ecg_id": str(number), **head, "super_class": "", **labels}]
    found = read(write_files(tmp_path, "ptbxl_super", rows), "ptbxl_super")
    assert _labels(found, "corrected") == [{codes[0]}] * 3
    assert _labels(found, "merl") == [{codes[-1]}, {codes[0]}, {codes[0]}]
    assert found.moved == {"train": ["STTC", "CD", "NORM", "HYP"]}


def test_faults_are_named(tmp_path: Path) -> None:
    rows = {split: [csn_row(f"JS{i}", "SR", {"SR"})] for i, split in enumerate(SPLITS)}
    write_files(tmp_path, "csn", rows)
    with pytest.raises(MerlError, match="must hold the `data_split` folder"):
        read(tmp_path, "cpsc2018")
    rows["val"] = [{**rows["val"][0], "SR": "yes"}]
    with pytest.raises(MerlError, match=r"chapman_val\.csv, line 2: SR is 'yes'"):
        read(write_files(tmp_path, "csn", rows), "csn")
    rows["val"] = [csn_row("JS0", "SR", {"SR"})]
    with pytest.raises(
        MerlError, match=r"chapman_val\.csv lists record 'JS0', which stands in the train file"
    ):
        read(write_files(tmp_path, "csn", rows), "csn")
    for column in ("VB", "diagnose"):
        rows["val"] = [csn_row("JS9", "SR", set())]
        del rows["val"][0][column]
        with pytest.raises(MerlError, match=rf"chapman_val\.csv has no column '{column}'"):
            read(write_files(tmp_path, "csn", rows), "csn")
    path = write_files(tmp_path, "csn", rows | {"val": rows["train"]})
    path = path / "data_split/chapman/chapman_val.csv"
    path.write_text(path.read_text().replace(",VB,", ",VB,VB,"))
    with pytest.raises(MerlError, match="has two columns 'VB'"):
        read(tmp_path, "csn")


def test_files_without_a_row_are_a_task_without_records(tmp_path: Path) -> None:
    rows = {split: [csn_row(f"JS{i}", "SR", {"SR"})] for i, split in enumerate(SPLITS)}
    for path in write_files(tmp_path, "csn", rows).rglob("*.csv"):
        path.write_text(path.read_text().splitlines(keepends=True)[0])
    found = read(tmp_path, "csn")
    assert (found.records.shape, found.given.shape, found.truth.shape) == ((0,), (0, 38), (0, 38))
    assert (found.changes(), found.moved, list(found.cells())) == ({}, {}, [])


@released
def test_the_command_prints_the_whole_report() -> None:
    done = CliRunner().invoke(app, ["splits", str(ROOT)])
    found = json.loads(done.stdout)
    assert found["csn"]["rows_changed"] == 3_817
    assert found["ptbxl_sub"]["rows"] == {"train": 17_084, "val": 2_146, "test": 2_158}
    assert set(found) == set(TABLE_3)


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["splits", str(tmp_path)])
    assert done.exit_code != 0
    assert "data_split" in done.output


def _labels(found: MerlTask, which) -> list[set[str]]:
    codes = np.array([code for code, _ in classes(found.task)])
    labels = {"merl": found.given, "corrected": found.truth}[which]
    return [set(codes[row].tolist()) for row in labels]
