"""Small corpora in their official layouts, written for a test, and what ingest made of them."""

import dataclasses
import os
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from kmerl import params
from kmerl.corpora import csn
from kmerl.corpora.ingest import Ingest, ingest
from kmerl.engines import Engine
from kmerl.files import read_json, write_csv
from kmerl.leads import LEADS, ORDERS, canonical
from kmerl.store import read_signals, read_table
from kmerl.synthetic import formats
from kmerl.tasks.classes import classes
from tests.cohorts import read_rows

with warnings.catch_warnings():  # wfdb 4.3 calls what pandas 3 deprecates
    warnings.simplefilter("ignore")
    import wfdb

SAMPLES = 5000
DEMO = Path(__file__).parents[1] / "params/demo.yaml"
REAL = Path(os.environ.get("KMERL_REAL_DATA", Path(__file__).parents[2] / "shared/data"))
SETTINGS = params.load("ingest", Ingest, DEMO)
real = pytest.mark.skipif(not REAL.is_dir(), reason="no real recordings; set KMERL_REAL_DATA")
UPPER = [lead.upper() for lead in LEADS]
SCP = """,description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass
NDT,non-diagnostic T abnormalities,1.0,1.0,,STTC,STTC
NORM,normal ECG,1.0,,,NORM,NORM
1AVB,first degree AV block,1.0,,,CD,_AVB
LVOLT,low QRS voltages,,1.0,,,
STD_,non-specific ST depression,,1.0,,,
SR,sinus rhythm,,,1.0,,
"""


def signal(seed, samples=SAMPLES):
    """int16 (12, samples): each lead another random walk of some millivolts."""
    steps = np.random.default_rng(seed).integers(-40, 41, (12, samples))
    return np.clip(np.cumsum(steps, axis=1), -30000, 30000).astype(np.int16)


def write_dat(path, digital, names=UPPER, gain=1000.0):
    """A format 16 record, `path`.hea and `path`.dat, as in PTB-XL and MIMIC."""
    _write_header(path, names, digital, suffix="dat", encoding=f"16 {gain}(0)/mV")
    path.with_suffix(".dat").write_bytes(formats.interleaved(digital))


def write_mat(path, digital, dx, rate=500):
    """A record in the Challenge form: MATLAB level 4 `val`, format 16+24, `#Dx` in the header."""
    moment, notes = "12-May-2020 12:33:59", ("#Age: 74", "#Sex: Male", f"#Dx: {dx}", "#Rx: Unknown")
    told = {"suffix": "mat", "encoding": "16+24 1000/mV", "moment": moment, "comments": notes}
    _write_header(path, LEADS, digital, rate=rate, **told)
    path.with_suffix(".mat").write_bytes(formats.matlab(digital))


def _write_header(path, names, digital, rate=500, **told):
    path.parent.mkdir(parents=True, exist_ok=True)
    head = formats.header(path.name, names, digital, rate=rate, **told)
    path.with_suffix(".hea").write_bytes(head)


def ptbxl(root, records):
    """PTB-XL with records 1, 2, ...; fold = record number, codes NORM, SR (and 1AVB if even)."""
    rows = []
    for i in range(1, records + 1):
        name = f"records500/00000/{i:05d}_hr"
        codes = {"NORM": 100.0, "SR": 0.0} | ({"1AVB": 50.0} if i % 2 == 0 else {})
        rows.append((i, f"{i // 2}.0", "sinus rhythm", codes, (i - 1) % 10 + 1, name))
        write_dat(root / name, signal(i))
    header = ("ecg_id", "patient_id", "report", "scp_codes", "strat_fold", "filename_hr")
    write_csv(root / "ptbxl_database.csv", header, rows)
    (root / "scp_statements.csv").write_text(SCP)
    return root


def mimic(root, reports, subject="10000032"):
    """MIMIC-IV-ECG: {study_id: statements}; the two tables list the studies in opposite orders."""
    listed, measured = [], []
    for i, (study, statements) in enumerate(reports.items()):
        path = f"files/p1000/p{subject}/s{study}/{study}"
        digital = formats.rows_of(signal(i), ORDERS["mimic"])
        write_dat(root / path, digital, ORDERS["mimic"], gain=200.0)
        listed.append((subject, study, study, "2180-07-23 08:44:00", path))
        padded = [*statements, *[""] * (18 - len(statements))]
        measured.append((subject, study, "6848296", "2180-07-23 08:44:00", *padded))
    columns = ("subject_id", "study_id", "file_name", "ecg_time", "path")
    write_csv(root / "record_list.csv", columns, listed)
    names = [f"report_{i}" for i in range(18)]
    columns = ("subject_id", "study_id", "cart_id", "ecg_time", *names)
    write_csv(root / "machine_measurements.csv", columns, measured[::-1])
    return root


def conditions(root, drop=()):
    """CSN's ConditionNames, each class's code a number of ours; {acronym: code}."""
    root.mkdir(parents=True, exist_ok=True)
    rows = [(c.code, c.name, 1000 + i) for i, c in enumerate(classes("csn")) if c.code not in drop]
    rows += [("MIBW", "back wall", {r[0]: r[2] for r in rows}.get("MI", 0)), ("SB", "sb", 999)]
    write_csv(root / csn.NAMES, ("AcronymName", "FullName", "Snomed_CT"), rows)
    return {row[0]: str(row[2]) for row in rows}


def run(corpus, root, out, workers=1, engine=None, **changes):
    """Ingest into out/; (metrics, {record: (reason, detail)})."""
    ingest(
        corpus,
        root,
        out / "store",
        out / "metrics.json",
        settings=dataclasses.replace(SETTINGS, **changes),
        engine=engine or Engine(workers=workers),
    )
    rows = read_rows(out / "store/rejected.csv")
    rejected = {row["record"]: (row["reason"], row["detail"]) for row in rows}
    return read_json(out / "metrics.json")[corpus], rejected


def check_rejections(corpus, root, out, wanted):
    """Ingests; exactly the records of {record: (reason, detail)} are left out, and counted.

    A detail is part of what rejected.csv says, which names no path. Answers with the counts.
    """
    counts, rejected = run(corpus, root, out)
    wanted = {record: tuple(why) for record, why in wanted.items()}
    assert {
        record: (reason, wanted[record][1] if wanted[record][1] in said else said)
        for record, (reason, said) in rejected.items()
    } == wanted
    assert str(root.parent) not in (out / "store/rejected.csv").read_text()
    reasons = Counter(f"rejected_{reason}" for reason, _ in wanted.values())
    assert counts.items() >= {"rejected": len(wanted), **reasons}.items()
    return counts


def stored(out, *columns):
    """{record: some columns of the store}."""
    rows = read_table(out / "store", ["record", *columns]).to_pylist()
    return {row["record"]: row for row in rows}


def stored_signals(out):
    records = read_table(out / "store", ["record"])["record"].to_pylist()
    blocks = [block for _, block in read_signals(out / "store", LEADS, 8)]
    return dict(zip(records, np.concatenate(blocks), strict=True))


def through_wfdb(path):
    """int16 microvolt in the standard order, as `wfdb.rdrecord` reads it."""
    record = wfdb.rdrecord(str(path.with_suffix("")))
    order = [[canonical(name) for name in record.sig_name].index(lead) for lead in LEADS]
    return np.round(record.p_signal * 1000).T[order]
