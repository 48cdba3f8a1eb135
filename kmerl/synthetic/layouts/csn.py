"""Chapman-Shaoxing-Ningbo (PhysioNet ecg-arrhythmia): WFDBRecords/NN/NNN/JSNNNNN.{mat,hea}."""

import csv
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kmerl.leads import LEADS
from kmerl.synthetic import formats
from kmerl.synthetic.catalogue import snomed_codes
from kmerl.synthetic.patients import Patient, Visit
from kmerl.synthetic.recording import RATE, Recording
from kmerl.synthetic.reports import Report

UNITS_PER_MV = 1000
CONDITIONS = Path(__file__).with_name("csn_conditions.csv")
"""The corpus's condition names with their SNOMED CT codes."""


def record_id(visit: Visit) -> str:
    return f"JS{visit.record + 1:05d}"


def patient_id(patient: Patient) -> str:
    return f"JS{patient.index + 1:05d}"


def folder(visit: Visit) -> str:
    """A hundred records a folder, ten folders in one above."""
    top, below = visit.record // 1000 + 1, visit.record // 100 % 10
    return f"WFDBRecords/{top:02d}/{top:02d}{below}"


def report(recording: Recording) -> Report:
    return Report((), english=True)


def files(recording: Recording) -> dict[str, bytes]:
    """MATLAB file and header; the diagnoses are the header's #Dx."""
    visit = recording.visit
    name, place = record_id(visit), folder(visit)
    when = datetime(2021, 3, 26, 7, 0) + timedelta(seconds=11 * visit.record)
    head = formats.header(
        name,
        LEADS,
        recording.samples,
        suffix="mat",
        encoding=f"16+24 {UNITS_PER_MV}/mV",
        rate=RATE,
        moment=when.strftime("%d-%b-%Y %H:%M:%S"),
        signed=True,
        comments=comments(visit, snomed_codes(visit.findings)),
    )
    return {f"{place}/{name}.hea": head, f"{place}/{name}.mat": formats.matlab(recording.samples)}


def comments(visit: Visit, codes: Sequence[str]) -> tuple[str, ...]:
    """The PhysioNet Challenge's comment lines."""
    sex = "Female" if visit.patient.female else "Male"
    unknown = (f"#{field}: Unknown" for field in ("Rx", "Hx", "Sx"))
    return (f"#Age: {visit.patient.age}", f"#Sex: {sex}", f"#Dx: {','.join(codes)}", *unknown)


def row(recording: Recording, said: Report) -> dict[str, Any]:
    visit = recording.visit
    codes = snomed_codes(visit.findings)
    return {"record": record_id(visit), "folder": folder(visit), "codes": codes}


def tables(rows: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    """Condition names, and lists of records: one of folders, one in each folder."""
    folders: dict[str, list[str]] = {}
    for entry in rows:
        folders.setdefault(entry["folder"], []).append(entry["record"])
    with CONDITIONS.open(encoding="utf-8", newline="") as file:
        names, *conditions = csv.reader(file)
    lists = {f"{name}/RECORDS": formats.text_lines(sorted(r)) for name, r in folders.items()}
    return {
        "ConditionNames_SNOMED-CT.csv": b"\xef\xbb\xbf" + formats.table(names, conditions),
        "RECORDS": formats.text_lines(f"{name}/" for name in sorted(folders)),
        **lists,
    }
