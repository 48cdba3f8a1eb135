"""CPSC2018 as the PhysioNet Challenge 2020 gives it: A0001.{mat,hea}, and its REFERENCE.csv."""

from collections.abc import Sequence
from typing import Any

from kmerl.leads import LEADS
from kmerl.synthetic import formats
from kmerl.synthetic.catalogue import CATALOGUE
from kmerl.synthetic.layouts.csn import comments
from kmerl.synthetic.patients import Patient, Visit
from kmerl.synthetic.recording import RATE, Recording
from kmerl.synthetic.reports import Report

UNITS_PER_MV = 1000
WRITTEN = "12-May-2020 12:33:59"  # all of the Challenge's headers carry this moment

CLASSES: dict[int, tuple[str, str]] = {
    1: ("normal", "426783006"),
    2: ("atrial fibrillation", "164889003"),
    3: ("1 degree atrioventricular block", "270492004"),
    4: ("left bundle branch block", "164909002"),
    5: ("right bundle branch block", "59118001"),
    6: ("premature atrial contraction", "284470004"),
    7: ("premature ventricular contraction", "164884008"),
    8: ("st-segment depression", "429622005"),
    9: ("st-segment elevated", "164931005"),
}
"""The nine classes: name in REFERENCE.csv, SNOMED CT code in #Dx."""

COLUMNS = ("", "Unnamed: 0", "Recording", "First_label", "Second_label", "Third_label")


def record_id(visit: Visit) -> str:
    return f"A{visit.record + 1:04d}"


def patient_id(patient: Patient) -> str:
    return f"A{patient.index + 1:04d}"


def labels(visit: Visit) -> list[int]:
    """Up to three classes of a visit; "normal" only where there is no other."""
    found = {CATALOGUE[name].cpsc for name in visit.findings} - {0}
    return sorted(found - {1} or found or {1})[:3]


def report(recording: Recording) -> Report:
    return Report((), english=True)


def files(recording: Recording) -> dict[str, bytes]:
    visit = recording.visit
    name, codes = record_id(visit), [CLASSES[label][1] for label in labels(visit)]
    head = formats.header(
        name,
        LEADS,
        recording.samples,
        suffix="mat",
        encoding=f"16+24 {UNITS_PER_MV}/mV",
        rate=RATE,
        moment=WRITTEN,
        signed=True,
        comments=comments(visit, codes),
    )
    return {f"{name}.hea": head, f"{name}.mat": formats.matlab(recording.samples)}


def row(recording: Recording, said: Report) -> dict[str, Any]:
    visit = recording.visit
    return {
        "record": record_id(visit),
        "labels": labels(visit),
        "sex": "Female" if visit.patient.female else "Male",
        "age": float(visit.patient.age),
    }


def tables(rows: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    """REFERENCE.csv: the first label a whole number, the others as pandas wrote them."""
    lines = []
    for number, entry in enumerate(sorted(rows, key=lambda r: str(r["record"]))):
        first, *others = entry["labels"]
        more = [float(label) for label in others] + [None] * (2 - len(others))
        names = " ".join(CLASSES[label][0] for label in entry["labels"])
        lines.append(
            (number, number, entry["record"], first, *more, names, entry["sex"], entry["age"])
        )
    return {
        "REFERENCE.csv": formats.table((*COLUMNS, "reports", "sex", "age"), lines),
        "RECORDS": formats.text_lines(str(line[2]) for line in lines),
    }
