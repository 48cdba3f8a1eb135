"""Small corpora in their official layouts, written for a test, and what ingest made of them."""

import csv
import dataclasses
import json
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kmerl import params
from kmerl.corpora.ingest import Ingest, ingest
from kmerl.leads import LEADS, ORDERS, canonical
from kmerl.store import read_signals, read_table

with warnings.catch_warnings():  # wfdb 4.3 calls what pandas 3 deprecates
    warnings.simplefilter("ignore")
    import wfdb

SAMPLES = 5000
DEMO = Path(__file__).parent.parent / "params/demo.yaml"
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


def signal(seed: int, samples: int = SAMPLES) -> np.ndarray:
    """int16 (12, samples): each lead another random walk of some millivolts."""
    steps = np.random.default_rng(seed).integers(-40, 41, (12, samples))
    return np.clip(np.cumsum(steps, axis=1), -30000, 30000).astype(np.int16)


def write_dat(
    path: Path, digital: np.ndarray, names: Sequence[str] = UPPER, gain: float = 1000.0
) -> None:
    """A format 16 record, `path`.hea and `path`.dat, headers as in PTB-XL and MIMIC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, samples = digital.shape
    path.with_suffix(".dat").write_bytes(digital.T.astype("<i2").tobytes())
    lines = [f"{path.name} {count} 500 {samples}"]
    lines += [
        f"{path.name}.dat 16 {gain}(0)/mV 16 0 {row[0]} 0 0 {name}"
        for name, row in zip(names, digital, strict=True)
    ]
    path.with_suffix(".hea").write_text("\n".join(lines) + "\n")


def write_mat(path: Path, digital: np.ndarray, dx: str, rate: int = 500) -> None:
    """A record in the Challenge form: MATLAB level 4 `val`, format 16+24, `#Dx` in the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, samples = digital.shape
    head = np.array([30, count, samples, 0, 4], "<i4").tobytes() + b"val\0"
    path.with_suffix(".mat").write_bytes(head + digital.T.astype("<i2").tobytes())
    lines = [f"{path.name} {count} {rate} {samples} 12-May-2020 12:33:59"]
    lines += [f"{path.name}.mat 16+24 1000/mV 16 0 0 0 0 {lead}" for lead in LEADS]
    lines += ["#Age: 74", "#Sex: Male", f"#Dx: {dx}", "#Rx: Unknown"]
    path.with_suffix(".hea").write_text("\n".join(lines) + "\n")


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def ptbxl(root: Path, records: int) -> Path:
    """PTB-XL with records 1, 2, ...; fold = record number, codes NORM, SR (and 1AVB if even)."""
    rows = []
    for i in range(1, records + 1):
        name = f"records500/00000/{i:05d}_hr"
        codes = {"NORM": 100.0, "SR": 0.0} | ({"1AVB": 50.0} if i % 2 == 0 else {})
        rows.append((i, f"{i // 2}.0", "sinus rhythm", codes, (i - 1) % 10 + 1, name))
        write_dat(root / name, signal(i))
    header = ("ecg_id", "patient_id", "report", "scp_codes", "strat_fold", "filename_hr")
    write_rows(root / "ptbxl_database.csv", header, rows)
    (root / "scp_statements.csv").write_text(SCP)
    return root


def mimic(root: Path, reports: dict[str, Sequence[str]], subject: str = "10000032") -> Path:
    """MIMIC-IV-ECG: {study_id: statements}; the two tables list the studies in opposite orders."""
    listed, measured = [], []
    for i, (study, statements) in enumerate(reports.items()):
        path = f"files/p1000/p{subject}/s{study}/{study}"
        row = [ORDERS["standard"].index(lead) for lead in ORDERS["mimic"]]
        write_dat(root / path, signal(i)[row], ORDERS["mimic"], gain=200.0)
        listed.append((subject, study, study, "2180-07-23 08:44:00", path))
        padded = [*statements, *[""] * (18 - len(statements))]
        measured.append((subject, study, "6848296", "2180-07-23 08:44:00", *padded))
    columns = ("subject_id", "study_id", "file_name", "ecg_time", "path")
    write_rows(root / "record_list.csv", columns, listed)
    names = [f"report_{i}" for i in range(18)]
    columns = ("subject_id", "study_id", "cart_id", "ecg_time", *names)
    write_rows(root / "machine_measurements.csv", columns, measured[::-1])
    return root


def run(corpus, root, out, workers=1, **changes):
    """Ingest into out/; (metrics, {record: (reason, detail)})."""
    ingest(
        corpus,
        root,
        out / "store",
        out / "metrics.json",
        settings=dataclasses.replace(SETTINGS, **changes),
        workers=workers,
        backend="loky",
    )
    with open(out / "store/rejected.csv", newline="") as file:
        rejected = {row["record"]: (row["reason"], row["detail"]) for row in csv.DictReader(file)}
    return json.loads((out / "metrics.json").read_text())[corpus], rejected


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
    return {
        row["record"]: row for row in read_table(out / "store", ["record", *columns]).to_pylist()
    }


def stored_signals(out):
    records = read_table(out / "store", ["record"])["record"].to_pylist()
    blocks = [block for _, block in read_signals(out / "store", LEADS, 8)]
    return dict(zip(records, np.concatenate(blocks), strict=True))


def through_wfdb(path):
    """int16 microvolt in the standard order, as `wfdb.rdrecord` reads it."""
    record = wfdb.rdrecord(str(path.with_suffix("")))
    order = [[canonical(name) for name in record.sig_name].index(lead) for lead in LEADS]
    return np.round(record.p_signal * 1000).T[order]
