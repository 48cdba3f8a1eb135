"""A table of one's own recordings as a corpus: the same store, and what is wrong with a row."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from kmerl.corpora.csv_files import read_rows
from kmerl.corpora.entries import CorpusFiles, corpus_files, own_table
from kmerl.corpora.own_table import read_own
from kmerl.corpora.ptbxl import COLUMNS
from kmerl.corpora.records import CorpusError
from kmerl.files import write_csv
from kmerl.leads import LEADS
from kmerl.params import ParamsError
from kmerl.store import label_column, read_table
from tests import official_layouts as layouts
from tests.official_layouts import run, signal, stored, write_dat

TASKS = {"my_rhythms": {"AF": "atrial fibrillation", "SR": "sinus rhythm"}}
LABELS = ("label.my_rhythms.AF", "label.my_rhythms.SR")
OWN = own_table("mine", CorpusFiles(".", "own.csv", "table", TASKS))
HEAD = ("record", "path", "patient", "report", "map", "unit", "AF", "SR", "age")


def exported(store, root, to):
    """The table that says of each record in a store what the store does."""
    tasks = own_table("ptb-xl", CorpusFiles(".", to.name, "table")).tasks
    names = [label_column(task, code) for task, codes in tasks.items() for code in codes]
    table = read_table(store, ["record", "patient", "split", "codes", "report", *names])
    paths = {r["ecg_id"]: r["filename_hr"] for r in official(root)}
    table = table.append_column("path", pa.array([paths[r] for r in table["record"].to_pylist()]))
    reports = [" ".join(report) for report in table["report"].to_pylist()]
    table = table.set_column(table.column_names.index("report"), "report", pa.array(reports))
    if to.suffix == ".parquet":
        pq.write_table(table, to)
        return
    cells = [
        {k: " ".join(v) if k == "codes" else v for k, v in row.items()} for row in table.to_pylist()
    ]
    with to.open("w", newline="") as file:
        writer = csv.DictWriter(file, table.column_names)
        writer.writeheader()
        writer.writerows(
            {k: int(v) if isinstance(v, bool) else v for k, v in row.items()} for row in cells
        )


def official(root):
    return read_rows(root / "ptbxl_database.csv", COLUMNS).table.to_pylist()


def same_store(root, tmp_path, suffix):
    run("ptb-xl", root, tmp_path / "official")
    table = tmp_path / f"own{suffix}"
    exported(tmp_path / "official/store", root, table)
    own = own_table("ptb-xl", CorpusFiles(str(root), str(table), "table"))
    counts, rejected = run("ptb-xl", root, tmp_path / "own", own=own)
    assert rejected == {} and counts["records"] == counts["listed"]
    names = sorted(p.name for p in (tmp_path / "official/store").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "own/store").iterdir())
    for name in names:
        one, two = ((tmp_path / kind / "store" / name).read_bytes() for kind in ("official", "own"))
        assert one == two, name


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_same_bytes_as_the_official_layout(tmp_path, suffix):
    same_store(layouts.ptbxl(tmp_path / "ptb-xl", 12), tmp_path, suffix)


def write_own(root, rows):
    """Recordings 1 (WFDB), 2 (CSV with other names, two limb leads and six chest leads)."""
    write_dat(root / "a/one", signal(1))
    names = ("ECG1", "ECG2", *LEADS[6:], "time")
    eight = [signal(1)[LEADS.index(lead)] / 1000 for lead in ("I", "II", *LEADS[6:])]
    seconds = np.arange(5000) / 500
    table = pa.table(dict(zip(names, [*eight, seconds], strict=True)))
    pyarrow.csv.write_csv(table, root / "two.csv")
    write_csv(root / "own.csv", HEAD, rows)


def test_recordings_of_any_format_with_labels(tmp_path):
    rows = [
        ("one", "a/one", "p1", "sinus rhythm", "", "", 0, 1, 50),
        ("two", "two.csv", "p2", "", "ECG1=I,ECG2=II", "mV", 1, 0, ""),
        ("three", "a/one", "", "", "", "", "", "", ""),
    ]
    write_own(tmp_path, rows)
    counts, rejected = run("mine", tmp_path, tmp_path / "out", own=OWN)
    assert rejected == {} and counts["records"] == 3
    found = stored(tmp_path / "out", "report", "patient", *LABELS)
    labels = {record: tuple(row[name] for name in LABELS) for record, row in found.items()}
    assert labels == {"one": (False, True), "two": (True, False), "three": (None, None)}
    assert found["one"]["report"] == ["sinus rhythm"] and found["three"]["report"] == []
    assert found["three"]["patient"] == "record three"


BAD = {  # a row, the reason, and part of the detail
    "in part": (("a/one", "p", "", "", "", 1, ""), "labels_in_part", "my_rhythms"),
    "no file": (("b/none", "p", "", "", "", 1, 0), "unreadable_signal", "does not exist"),
    "outside": (("../x", "p", "", "", "", 1, 0), "outside_root", "leaves"),
    "unnamed": (("two.csv", "p", "", "ECG1=I", "mV", 1, 0), "missing_lead", "II III"),
    "no label": (("a/one", "p", "", "", "", "yes", 0), "unreadable_row", "'AF'"),
}


def test_bad_rows_cost_themselves_alone(tmp_path):
    good = ("good", "a/one", "p0", "", "", "", 0, 1, "")
    write_own(tmp_path, [good, *((name, *row, "") for name, (row, *_) in BAD.items())])
    counts, rejected = run("mine", tmp_path, tmp_path / "out", own=OWN)
    assert counts["listed"] == 1 + len(BAD) and counts["records"] == 1
    assert rejected.keys() == BAD.keys()
    for name, (_, reason, part) in BAD.items():
        assert rejected[name][0] == reason and part in rejected[name][1]
        assert str(tmp_path) not in rejected[name][1]


def test_a_bad_row_of_a_parquet_file_tells_its_record(tmp_path):
    rows = {"record": ["x", "y"], "path": ["a", "b"], "patient": ["p", "q"], "AF": ["1", "yes"]}
    pq.write_table(pa.table(rows), tmp_path / "own.parquet")
    (bad,) = read_own(tmp_path / "own.parquet", ["AF"]).rejected
    assert bad.record == "y" and "own.parquet row 2: column 'AF'" in bad.detail


def test_patients_are_split_whole(tmp_path):
    rows = [(str(i), "a/one", f"p{i // 3}", "", "", "", i % 2, 1 - i % 2, "") for i in range(60)]
    write_own(tmp_path, rows)
    run("mine", tmp_path, tmp_path / "out", own=OWN)
    of = {}
    for row in stored(tmp_path / "out", "patient", "split").values():
        of.setdefault(row["patient"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in of.values())
    assert set().union(*of.values()) == {"train", "val", "test"}


WRONG = {
    "{root: raw, manifest: own.csv}": "kind: table",
    "{root: raw, manifest: own.csv, tasks: {t: {AF: fibrillation}}}": "kind is not table",
    "{root: raw, manifest: own.csv, kind: tabel}": "'table'",
    "{root: raw, manifest: own.csv, kind: table, tasks: {t: {AF: ''}}}": "tasks.t.AF",
}


@pytest.mark.parametrize("entry", WRONG)
def test_params_that_are_wrong(tmp_path, entry):
    (tmp_path / "params.yaml").write_text(f"corpora:\n  mine: {entry}\n")
    with pytest.raises(ParamsError, match=WRONG[entry]):
        corpus_files("mine", tmp_path / "params.yaml")


def test_a_missing_column_is_named(tmp_path):
    write_own(tmp_path, [])
    (tmp_path / "own.csv").write_text("path,AF\na/one,1\n")
    with pytest.raises(CorpusError, match=r"no column 'patient', 'SR'; it has 'path', 'AF'"):
        run("mine", tmp_path, tmp_path / "out", own=OWN)
