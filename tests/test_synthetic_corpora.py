"""The synthetic cohort: who is in it, its files in official layouts, the truth, the same bytes."""

import ast
import dataclasses
import hashlib
import itertools
import json
import warnings
from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from kmerl.corpora.records import CORPORA as INGESTED
from kmerl.engines import Engine
from kmerl.leads import LEADS, canonical
from kmerl.synthetic.catalogue import CATALOGUE, HIDES, NORMAL, is_normal
from kmerl.synthetic.cohort import CORPORA, Synthesize, synthesize
from kmerl.synthetic.layouts import cpsc2018, ptbxl
from kmerl.synthetic.patients import visits
from kmerl.synthetic.recording import RATE, record
from kmerl.synthetic.words import LITERALLY
from kmerl.tasks import merl_splits
from kmerl.tasks.classes import TASKS, classes
from kmerl.tasks.cohort import SPLITS
from tests.cohorts import files_below, read_rows
from tests.official_layouts import wfdb
from tests.test_merl_splits import ROOT, released

SMALL = Synthesize(
    records={"mimic-iv-ecg": 40, "ptb-xl": 40, "cpsc2018": 8, "csn": 8},
    validation_share=0.1,
    test_share=0.2,
)


@pytest.fixture(scope="module")
def planned():
    return list(visits(0, "mimic-iv-ecg", 1200))


def test_superclasses_are_common_enough_to_be_measured(planned):
    superclass = {code: text.split("/")[0] for code, _, _, text in ptbxl.scp_statements()}
    counts = Counter(
        name
        for visit in planned
        for name in {superclass[code] for f in visit.findings for code in CATALOGUE[f].scp}
    )
    shares = {name: counts[name] / len(planned) for name in ("NORM", "MI", "STTC", "CD", "HYP")}
    assert all(0.15 <= share <= 0.45 for share in shares.values()), shares


def test_findings_are_many_compatible_and_come_back(planned):
    assert {name for visit in planned for name in visit.findings} == set(CATALOGUE)
    for visit in planned:
        hidden = set().union(*(HIDES.get(name, set()) for name in visit.findings))
        assert not hidden & set(visit.findings)
        assert visit.has(NORMAL) == is_normal(set(visit.findings) - {NORMAL})
        assert sum(CATALOGUE[name].group == "rhythm" for name in visit.findings) == 1
    again = [visit for visit in planned if visit.number > 0 and visit.patient.chronic]
    assert len(again) > 100
    for visit in again:
        assert set(visit.patient.chronic) <= set(visit.findings)
        assert "acute" not in visit.stages.values()


def test_a_record_does_not_depend_on_how_many_there_are():
    assert list(visits(0, "csn", 5)) == list(visits(0, "csn", 30))[:5]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("cohort")
    synthesize(SMALL, 0, root=root / "raw", truth=root / "truth")
    return root


@pytest.mark.parametrize("corpus", CORPORA)
def test_sums_are_those_of_every_file(cohort, corpus):
    found = files_below(cohort / "raw" / corpus)
    listed = found.pop("SHA256SUMS.txt").decode().splitlines()
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    assert dict(reversed(line.split(" ", 1)) for line in listed) == sums
    assert len(read_rows(cohort / "truth" / f"{corpus}.csv")) == SMALL.records[corpus]


@pytest.mark.parametrize("corpus", CORPORA)
def test_wfdb_reads_what_was_simulated(cohort, corpus):
    layout = import_module(f"kmerl.synthetic.layouts.{INGESTED[corpus]}")
    for visit in list(visits(0, corpus, SMALL.records[corpus]))[:3]:
        recording = record(visit, layout.UNITS_PER_MV)
        head = next(path for path in layout.files(recording) if path.endswith(".hea"))
        place = cohort / "raw" / corpus / head.removesuffix(".hea")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = wfdb.rdrecord(str(place), physical=False)
        order = [LEADS.index(canonical(name)) for name in read.sig_name]
        assert np.array_equal(read.d_signal.T, recording.samples[order])
        assert read.init_value == [int(s) for s in recording.samples[order, 0]]
        sums = recording.samples[order].astype(int).sum(axis=1)
        assert [c % 65536 for c in read.checksum] == [int(s) % 65536 for s in sums]
        assert max(read.checksum) < (0x8000 if corpus in ("cpsc2018", "csn") else 0x10000)
        assert (read.fs, read.adc_gain[0]) == (500, layout.UNITS_PER_MV)


def test_mimic_tables_join_and_lead_order_is_the_carts(cohort):
    root = cohort / "raw" / "mimic-iv-ecg"
    listed, machine = (
        read_rows(root / "record_list.csv"),
        read_rows(root / "machine_measurements.csv"),
    )
    assert {r["study_id"] for r in listed} == {r["study_id"] for r in machine}
    assert len({r["study_id"] for r in listed}) == SMALL.records["mimic-iv-ecg"]
    assert len(machine[0]) == 33
    head = (root / f"{listed[0]['path']}.hea").read_text().split("\n")
    assert [row.split()[-1] for row in head[1:7]] == ["I", "II", "III", "aVR", "aVF", "aVL"]
    for row in machine:
        assert 250 < int(row["rr_interval"]) < 3000
        assert int(row["qrs_onset"]) < int(row["qrs_end"]) < int(row["t_end"])


def test_ptbxl_tables(cohort):
    root = cohort / "raw" / "ptb-xl"
    database, statements = (
        read_rows(root / "ptbxl_database.csv"),
        read_rows(root / "scp_statements.csv"),
    )
    codes = {row[""] for row in statements}
    assert len(codes) == 71
    folds = {}
    for row in database:
        given = ast.literal_eval(row["scp_codes"])
        assert given and set(given) <= codes
        assert set(given.values()) <= {0.0, 15.0, 35.0, 50.0, 80.0, 100.0}
        folds.setdefault(row["patient_id"], set()).add(row["strat_fold"])
        assert (root / f"{row['filename_hr']}.dat").stat().st_size == 12 * 5000 * 2
    assert all(len(fold) == 1 for fold in folds.values())
    assert {"9", "10"} <= set().union(*folds.values())


def test_challenge_corpora(cohort):
    root = cohort / "raw" / "cpsc2018"
    for row in read_rows(root / "REFERENCE.csv"):
        values = loadmat(root / f"{row['Recording']}.mat")["val"]
        assert values.dtype == np.int16 and values.shape[0] == 12
        assert 6 * RATE <= values.shape[1] <= 60 * RATE
        head = (root / f"{row['Recording']}.hea").read_text()
        code = cpsc2018.CLASSES[int(row["First_label"])][1]
        assert f"#Dx: {code}" in head
    conditions = {
        r["Snomed_CT"] for r in read_rows(cohort / "raw/csn/ConditionNames_SNOMED-CT.csv")
    }
    for head in (cohort / "raw/csn").rglob("*.hea"):
        assert set(dx_of(head)) <= conditions | {PACED}


def dx_of(head: Path) -> list[str]:
    line = next(x for x in head.read_text().splitlines() if x.startswith("#Dx: "))
    return line.removeprefix("#Dx: ").split(",")


def test_merls_files_have_the_layout_and_the_faults_of_the_real_ones(cohort):
    root = cohort / "raw"
    found = {task: merl_splits.read(root / "merl", task) for task in TASKS}
    assert found["ptbxl_sub"].moved == {"train": ["AVB", "RAO/RAE", "ISC"]}
    assert [task for task, one in found.items() if one.moved] == ["ptbxl_sub"]
    assert [t for t, one in found.items() if one.rows_changed()] == ["ptbxl_sub", "csn"]
    assert set(found["ptbxl_sub"].changes()) == {"train"}
    database = {row["ecg_id"]: row for row in read_rows(root / "ptb-xl/ptbxl_database.csv")}
    for task in ("ptbxl_super", "ptbxl_rhythm"):
        one = found[task]
        for ecg, split in zip(one.records.tolist(), one.splits.tolist(), strict=True):
            fold = {"9": "val", "10": "test"}.get(database[ecg]["strat_fold"], "train")
            assert split == fold
    for row in read_rows(root / "merl/data_split/chapman/chapman_train.csv"):
        head = (root / "csn" / row["ecg_path"].removeprefix("/chapman/")).with_suffix(".hea")
        assert len(row["diagnose"].split(",")) == len(dx_of(head))
        for code, _ in classes("csn"):
            assert (row[code] == "1") == (code in row["diagnose"])


def test_merls_files_about_no_record_are_headers(tmp_path):
    none = dataclasses.replace(SMALL, records=dict.fromkeys(CORPORA, 0))
    synthesize(none, 0, root=tmp_path / "raw", truth=tmp_path / "truth")
    made = [path.read_text() for path in (tmp_path / "raw/merl").rglob("*.csv")]
    assert [len(text.splitlines()) for text in made] == [1] * 18
    assert all(len(merl_splits.read(tmp_path / "raw/merl", t).records) == 0 for t in TASKS)


@released
def test_merls_files_have_the_columns_of_the_real_ones(cohort):
    for task, split in itertools.product(TASKS, SPLITS):
        real, ours = (
            merl_splits.path(root, task, split).read_text().splitlines()[0]
            for root in (ROOT, cohort / "raw/merl")
        )
        assert ours == real


def test_truth_tells_what_the_reports_say(cohort):
    machine = read_rows(cohort / "raw/mimic-iv-ecg/machine_measurements.csv")
    texts = {r["study_id"]: [r[f"report_{i}"] for i in range(18)] for r in machine}
    kinds = dict.fromkeys(("positive", "hedged", "negated"), 0)
    for row in read_rows(cohort / "truth/mimic-iv-ecg.csv"):
        findings, statements = json.loads(row["findings"]), json.loads(row["statements"])
        assert [s["text"] for s in statements] == [t for t in texts[row["record"]] if t]
        assert set(findings) <= set(CATALOGUE)
        for statement in statements:
            for kind in kinds:
                kinds[kind] += len(statement[kind])
            assert not set(statement["negated"]) & set(findings)
            assert set(statement["positive"]) <= {*findings, *SAID_BESIDE}
    assert kinds["positive"] > 2 * kinds["hedged"] > 0
    written = {
        r["ecg_id"]: r["report"] for r in read_rows(cohort / "raw/ptb-xl/ptbxl_database.csv")
    }
    for row in read_rows(cohort / "truth/ptb-xl.csv"):
        for statement in json.loads(row["statements"]):
            assert statement["text"] in written[row["record"]]


PACED = "10370003"  # a SNOMED CT code that the corpus's own list of names does not have
SAID_BESIDE = {
    *(name for stated, _ in LITERALLY.values() for name in stated),
    "st elevation",
    "acute myocardial infarction",
    "otherwise normal",
}
"""Entities a statement may name that are not findings of the catalogue."""


def test_bytes_depend_on_the_seed_and_on_nothing_else(cohort, tmp_path):
    records = {"mimic-iv-ecg": 0, "ptb-xl": 40, "cpsc2018": 0, "csn": 8}
    other, raw = dataclasses.replace(SMALL, records=records), tmp_path / "raw"
    synthesize(other, 0, root=raw, truth=tmp_path / "truth", engine=Engine(workers=2))
    for corpus in ("ptb-xl", "csn"):
        assert files_below(raw, corpus) == files_below(cohort / "raw", corpus)
    tables = {"record_list.csv", "machine_measurements.csv", "SHA256SUMS.txt"}
    assert tables <= set(files_below(raw / "mimic-iv-ecg"))
    few = dataclasses.replace(SMALL, records={**records, "ptb-xl": 0, "csn": 2})
    synthesize(few, 1, root=raw, truth=tmp_path / "truth")
    changed, same = files_below(raw, "csn"), files_below(cohort / "raw", "csn")
    assert all(changed[path] != same[path] for path in changed if path.endswith(".mat"))
