"""Nothing is lost: over every kind of damage x every corpus, records + rejected = listed."""

import re
import shutil

import pytest

from kmerl.corpora.records import CorpusError
from kmerl.files import write_csv
from tests import official_layouts as layouts
from tests.cohorts import read_rows
from tests.faults.damages import DAMAGES, SECRET, Small
from tests.official_layouts import run, signal, stored

RECORDS, VICTIM = 4, 1
COLUMNS = ("patient", "split", "report", "codes", "min.II", "max.V3")
LISTS = {"mimic-iv-ecg": "record_list.csv", "ptb-xl": "ptbxl_database.csv"}


def mimic(root):
    names = [str(40000001 + k) for k in range(RECORDS)]
    layouts.mimic(root, {name: [f"Sinus rhythm {name}"] for name in names})
    return {name: f"files/p1000/p10000032/s{name}/{name}" for name in names}


def ptbxl(root):
    layouts.ptbxl(root, RECORDS)
    return {str(k): f"records500/00000/{k:05d}_hr" for k in range(1, RECORDS + 1)}


def cpsc2018(root):
    names = [f"A{k:04d}" for k in range(1, RECORDS + 1)]
    for k, name in enumerate(names):
        layouts.write_mat(root / f"g1/{name}", signal(k), str(k + 1))
    header = ("", "Recording", "First_label", "Second_label", "Third_label")
    write_csv(root / "REFERENCE.csv", header, [(k, n, k + 1, "", "") for k, n in enumerate(names)])
    return {name: f"g1/{name}" for name in names}


def csn(root):
    names = [f"JS{k:05d}" for k in range(1, RECORDS + 1)]
    layouts.conditions(root)
    for k, name in enumerate(names):
        layouts.write_mat(root / f"WFDBRecords/01/{name}", signal(k), str(1000 + k))
    return {name: f"WFDBRecords/01/{name}" for name in names}


WORLDS = {  # corpus, what writes it, the table that is damaged, the suffix of samples
    "mimic-iv-ecg": ("mimic-iv-ecg", mimic, "record_list.csv", ".dat"),
    "statements": ("mimic-iv-ecg", mimic, "machine_measurements.csv", ".dat"),
    "ptb-xl": ("ptb-xl", ptbxl, "ptbxl_database.csv", ".dat"),
    "cpsc2018": ("cpsc2018", cpsc2018, "REFERENCE.csv", ".mat"),
    "csn": ("csn", csn, "ConditionNames_SNOMED-CT.csv", ".mat"),
}


@pytest.fixture(scope="module", params=WORLDS)
def world(request, tmp_path_factory):
    """(name, a whole corpus, {record: stem}, what is stored of it)."""
    out = tmp_path_factory.mktemp("whole")
    corpus, write, *_ = WORLDS[request.param]
    stems = write(out / "corpus")
    counts, rejected = run(corpus, out / "corpus", out)
    assert (counts["records"], rejected) == (RECORDS, {})
    return request.param, out / "corpus", stems, stored(out, *COLUMNS)


def listed(corpus, root):
    """How many records a corpus lists: lines of its list, or names of its files."""
    if corpus in LISTS:
        lines = (root / LISTS[corpus]).read_bytes().split(b"\n")
        return sum(bool(line.strip()) for line in lines) - 1
    stems = {path.with_suffix("") for path in root.rglob("*") if path.suffix in (".hea", ".mat")}
    return len(stems) + sum(path.resolve() == root.parent for path in root.iterdir())


@pytest.mark.parametrize("kind", DAMAGES)
def test_records_and_rejections_are_what_is_listed(world, kind, tmp_path):
    name, whole, stems, before = world
    corpus, _, table, suffix = WORLDS[name]
    root, damage = tmp_path / "raw/corpus", DAMAGES[kind]
    shutil.copytree(whole, root)
    lines = (root / table).read_text().split("\n")
    record = list(stems)[VICTIM]
    line = next((k for k, text in enumerate(lines) if record in text.split(",")), 3)
    below = {r for r in stems if damage.below and r in lines[line + damage.below].split(",")}
    damage.do(Small(root, root / table, line, root / stems[record], suffix))
    fate = damage.but.get(name, damage.fate)
    if fate == "refused":
        with pytest.raises(CorpusError, match=table) as refusal:
            run(corpus, root, tmp_path)
        assert SECRET not in str(refusal.value)
        return
    counts, _ = run(corpus, root, tmp_path)
    rejected, after = read_rows(tmp_path / "store/rejected.csv"), stored(tmp_path, *COLUMNS)
    assert counts["listed"] == listed(corpus, root)
    assert counts["records"] + counts["rejected"] == len(after) + len(rejected) == counts["listed"]
    assert after == {one: before[one] for one in after}
    lost = set(stems) - set(after)
    assert lost - below == (set() if fate == "kept" else {record})
    for one in rejected:
        assert one["record"] or re.search(r"\.csv line \d+", one["detail"])
    if fate == "rejected":
        told = {one["record"] for one in rejected}
        assert lost <= told or "" in told
    written = "".join(path.read_text() for path in (tmp_path / "store").glob("*.csv"))
    assert SECRET not in written
    assert str(tmp_path) not in written
