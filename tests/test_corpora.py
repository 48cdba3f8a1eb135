"""Records, reports, splits and labels of the four corpora, small ones and real ones."""

import re
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kmerl.corpora import cpsc2018, csn, mimic, ptbxl
from kmerl.corpora.folders import MERL_TRAIN, MERL_VAL
from kmerl.corpora.records import CorpusError, hashed_split
from kmerl.files import write_csv
from kmerl.recordings.rejecting import RejectedRecord
from kmerl.store import label_column
from kmerl.tasks.classes import TASKS, classes
from tests import official_layouts as layouts
from tests.cohorts import read_rows
from tests.official_layouts import REAL, real, run, signal, stored, stored_signals, write_mat


def test_mimic_joins_on_study_id_and_drops_the_unreported(tmp_path):
    reports = {
        "40000001": ["Sinus rhythm", "", "Possible right atrial abnormality"],
        "40000003": ["   ", "\t"],
        "40000002": ["Atrial fibrillation"],
        "40000004": [],
    }
    root = layouts.mimic(tmp_path / "mimic", reports)
    measured = (root / "machine_measurements.csv").read_text().splitlines()
    kept = [line for line in measured if "40000004" not in line]
    (root / "machine_measurements.csv").write_text("\n".join(kept) + "\n")
    counts, rejected = run("mimic-iv-ecg", root, tmp_path)
    got = stored(tmp_path, "report", "patient", "codes")
    assert got["40000001"]["report"] == ["Sinus rhythm", "Possible right atrial abnormality"]
    assert got["40000002"]["report"] == ["Atrial fibrillation"]
    assert got["40000001"]["patient"] == "10000032"
    assert {k: v[0] for k, v in rejected.items()} == dict.fromkeys(
        ("40000003", "40000004"), "missing_report"
    )
    np.testing.assert_array_equal(stored_signals(tmp_path)["40000002"], signal(2) * 5)
    counts, _ = run("mimic-iv-ecg", root, tmp_path, require_report=())
    assert counts["records"] == 4


def test_statements_keep_the_order_of_their_columns():
    blank = np.random.default_rng(0).random((60, 18)) < 0.4
    rows = [["" if b else f"{i} {j}" for j, b in enumerate(row)] for i, row in enumerate(blank)]
    table = pa.table(dict(zip(mimic.STATEMENTS, map(list, zip(*rows, strict=True)), strict=True)))
    found = mimic.statement_lists(table).to_pylist()
    assert found == [*([text for text in row if text] for row in rows), []]


def test_mimic_holds_out_patients_not_records():
    splits = [hashed_split("mimic-iv-ecg", str(s), mimic.TRAIN, mimic.VAL) for s in range(20_000)]
    assert set(splits) == {"train", "val"}
    assert splits.count("val") == pytest.approx(400, abs=80)
    assert hashed_split("mimic-iv-ecg", "10000032", mimic.TRAIN, mimic.VAL) == "train"
    shares = [hashed_split("csn", f"JS{i}", MERL_TRAIN, MERL_VAL) for i in range(20_000)]
    assert shares.count("test") == pytest.approx(4000, abs=250)
    assert shares.count("val") == pytest.approx(1600, abs=200)


def test_ptbxl_labels_and_folds(tmp_path):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 10)
    run("ptb-xl", root, tmp_path)
    columns = [label_column("ptbxl_super", c) for c in ("NORM", "CD")]
    rest = ("sub", "AVB"), ("form", "STD"), ("rhythm", "SR")
    columns += [label_column(f"ptbxl_{task}", code) for task, code in rest]
    got = stored(tmp_path, "split", "patient", "codes", "report", *columns)
    assert [got[str(i)]["split"] for i in range(1, 11)] == ["train"] * 8 + ["val", "test"]
    assert [got["2"][c] for c in columns] == [True, True, True, None, True]  # likelihood 50 counts
    assert [got["1"][c] for c in columns] == [True, False, False, None, True]  # no form: no member
    assert (got["3"]["patient"], got["3"]["codes"]) == ("1", ["NORM", "SR"])
    assert got["3"]["report"] == ["sinus rhythm"]
    assert ptbxl.scp_codes("{'LVOLT': 0.0, 'AFIB': 100.0}") == ["AFIB", "LVOLT"]
    with pytest.raises(RejectedRecord):
        ptbxl.scp_codes("__import__('os')")


def test_cpsc2018_labels_from_reference_or_snomed(tmp_path):
    root = tmp_path / "cpsc2018"
    for record, dx in {"A0001": "", "A0002": "164884008, 59118001", "A0003": ""}.items():
        write_mat(root / "g1" / record, signal(1), dx)
    header = ("", *cpsc2018.COLUMNS)
    write_csv(root / "REFERENCE.csv", header, [(0, "A0001", "5", "2", "")])
    run("cpsc2018", root, tmp_path)
    labels = [label_column("cpsc2018", c.code) for c in classes("cpsc2018")]
    got = stored(tmp_path, "codes", *labels)
    positive = {r: {c for c in labels if row[c]} for r, row in got.items()}
    assert positive["A0001"] == {label_column("cpsc2018", c) for c in ("CRBBB", "AFIB")}
    assert positive["A0002"] == {label_column("cpsc2018", c) for c in ("CRBBB", "VPC")}
    assert {got["A0003"][c] for c in labels} == {None}
    assert got["A0002"]["codes"] == ["164884008", "59118001"]


def test_csn_labels_by_exact_code(tmp_path):
    root = tmp_path / "csn"
    code = layouts.conditions(root)
    dx = {
        "JS00001": code["AFIB"],  # MERL's substring match also says AF
        "JS00002": f"{code['MIBW']},{code['SB']}",  # shares its code with MI
        "JS00003": f"{code['SR']},55930002",  # a code that ConditionNames does not know
        "JS00004": code["SB"],  # known, but no class
    }
    for record, codes in dx.items():
        write_mat(root / "WFDBRecords/01/010" / record, signal(1), codes)
    run("csn", root, tmp_path)
    labels = [label_column("csn", c.code) for c in classes("csn")]
    got = stored(tmp_path, *labels)
    positive = {
        r: {c.removeprefix("label.csn.") for c in labels if row[c]} for r, row in got.items()
    }
    assert positive == {"JS00001": {"AFIB"}, "JS00002": {"MI"}, "JS00003": set(), "JS00004": set()}
    assert got["JS00001"][label_column("csn", "AF")] is False
    assert got["JS00003"][label_column("csn", "SR")] is None
    layouts.conditions(root, drop=("JEB",))
    with pytest.raises(CorpusError, match="names no JEB"):
        run("csn", root, tmp_path)


def test_class_names_are_full_lower_case_and_one_of_a_kind():
    sizes = {task: len(classes(task)) for task in TASKS}
    assert list(sizes.values()) == [5, 23, 19, 12, 9, 38]
    for task in TASKS:
        names = [c.name for c in classes(task)]
        assert len(set(names)) == len(names)
        assert all(name == name.lower() and len(name) > 5 for name in names)
    with pytest.raises(ValueError, match=r"unknown task 'ptbxl'; the tasks are ptbxl_super"):
        classes("ptbxl")


PACKAGES = resources.files("kmerl")


SPELLINGS = {
    "1": "first", "2": "second", "atrioventricular": "av", "ventricle": "ventricular",
    "wolf": "wolff", "colockwise": "clockwise", "countercolockwise": "counterclockwise",
}  # fmt: skip
"""Words of the corpora, and those of the class names for them."""


def words(text):
    """The words that tell a name or a description from another, spelt in one way."""
    text = re.sub(r"\((?!type)[^)]*\)", " ", text.lower()).replace("long qt", "prolonged qt")
    found = re.findall(r"[a-z]+|\d", text.replace("t abnormalities", "t wave abnormality"))
    singular = [re.sub(r"(?<!s)s$", "", word.replace("ies", "y")) for word in found]
    return [SPELLINGS.get(word, word) for word in singular]


def described(path, column):
    """{code without underscores: description} of a corpus's own file, whose codes come first."""
    return {next(iter(row.values())).strip("_"): row[column] for row in read_rows(path)}


def check_class_table(scp, conditions):
    """Every name against the corpus's own; a name by hand only where the corpus has none."""
    own = {"ptb-xl": scp, "csn": conditions, "cpsc2018": {}}
    source = {"ptb-xl": "scp_statements", "csn": "conditionnames"}
    for row in read_rows(PACKAGES / "tasks/classes.csv"):
        corpus, where = TASKS[row["task"]], (row["task"], row["code"])
        name = own[corpus].get(row["code"])
        if row["source"] == source.get(corpus):
            assert words(row["name"]) == words(name), where
        else:
            assert row["source"] == "by hand", where
            assert name is None or words(row["name"]) != words(name), where


def test_class_names_are_the_corpora_s_own_or_marked_as_written_by_hand():
    scp = described(PACKAGES / "synthetic/layouts/scp_statements.csv", "description")
    own = described(PACKAGES / "synthetic/layouts/csn_conditions.csv", "FullName")
    check_class_table(scp, own)
    with pytest.raises(AssertionError, match="'AF'"):
        check_class_table(scp, own | {"AF": "Atrial Fibrillation"})
    with pytest.raises(AssertionError, match="'CD'"):
        check_class_table(scp | {"CD": "conduction disturbance"}, own)
    rows = read_rows(PACKAGES / "tasks/classes.csv")
    by_hand = {f"{row['task']} {row['code']}" for row in rows if row["source"] == "by hand"}
    of_ptbxl = {name.removeprefix("ptbxl_") for name in by_hand if name.startswith("ptbxl")}
    assert of_ptbxl == {  # groups without a statement of their own
        "super HYP", "super MI", "super CD", "super STTC", "sub LAFB/LPFB", "sub STTC", "sub ISC",
        "sub AVB", "sub ISCI", "sub ISCA",
    }  # fmt: skip


@real
def test_class_names_are_those_of_the_real_files():
    scp = described(REAL / "ptb-xl/scp_statements.csv", "description")
    check_class_table(scp, described(REAL / "csn" / csn.NAMES, "FullName"))


@real
def test_real_ptbxl_equals_wfdb_and_merls_labels(tmp_path):
    root = tmp_path / "ptb-xl"
    rows = read_rows(REAL / "ptb-xl/ptbxl_database.csv")[:24]
    write_csv(root / "ptbxl_database.csv", list(rows[0]), [list(row.values()) for row in rows])
    files = [f"{row['filename_hr']}.{suffix}" for row in rows for suffix in ("hea", "dat")]
    for name in ("scp_statements.csv", *files):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REAL / "ptb-xl" / name, root / name)
    counts, _ = run("ptb-xl", root, tmp_path, shard=16)
    assert (counts["records"], counts["rejected"]) == (24, 0)
    for record, block in stored_signals(tmp_path).items():
        path = next(root.glob(f"records500/*/{int(record):05d}_hr.hea"))
        np.testing.assert_array_equal(block, layouts.through_wfdb(path))
    for task, name in {"ptbxl_super": "super_class", "ptbxl_form": "form"}.items():
        assert agreement(tmp_path, task, f"ptbxl/{name}/ptbxl_{name}", "ecg_id") == []


@real
@pytest.mark.parametrize(("corpus", "records"), [("csn", 43), ("cpsc2018", 7)])
def test_real_challenge_files_equal_wfdb(tmp_path, corpus, records):
    counts, _ = run(corpus, REAL / corpus, tmp_path)
    assert (counts["records"], counts["rejected"]) == (records, 0)
    for record, block in stored_signals(tmp_path).items():
        path = next((REAL / corpus).rglob(f"{record}.hea"))
        np.testing.assert_array_equal(block, layouts.through_wfdb(path)[:, :5000])
    folder, key, wrong = {
        "csn": ("chapman/chapman", "ecg_path", [("JS00001", "AF")]),  # an AFIB, by substring
        "cpsc2018": ("icbeb/icbeb", "filename", []),
    }[corpus]
    assert agreement(tmp_path, corpus, folder, key) == wrong


def agreement(out, task, folder, key):
    """(record, class) wherever our labels differ from MERL's, for the records in both."""
    codes = [c.code for c in classes(task)]
    got = stored(out, *(label_column(task, code) for code in codes))
    merl = {}
    for split in ("train", "val", "test"):
        rows = read_rows(REAL / f"merl_splits/data_split/{folder}_{split}.csv")
        merl |= {Path(row[key]).stem: row for row in rows}
    both = [r for r in got if r in merl and got[r][label_column(task, codes[0])] is not None]
    assert len(both) >= 5
    return [
        (r, c)
        for r in both
        for c in codes
        if got[r][label_column(task, c)] != bool(int(merl[r][c]))
    ]
