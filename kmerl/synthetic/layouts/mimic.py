"""MIMIC-IV-ECG 1.0: files/pNNNN/pXXXXXXXX/sZZZZZZZZ/ZZZZZZZZ.{hea,dat} and its tables."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kmerl.leads import ORDERS
from kmerl.synthetic import formats
from kmerl.synthetic.patients import Patient, Visit
from kmerl.synthetic.recording import RATE, Recording
from kmerl.synthetic.reports import Report, cart_report

UNITS_PER_MV = 200
STATEMENTS = 18
MISSING = 29999  # what the carts write where a wave was not found
_COPRIME = 7_368_787  # spreads running numbers over the eight-digit ids

RECORD_COLUMNS = ("subject_id", "study_id", "file_name", "ecg_time", "path")
MEASUREMENT_COLUMNS = (
    *("subject_id", "study_id", "cart_id", "ecg_time"),
    *(f"report_{i}" for i in range(STATEMENTS)),
    *("bandwidth", "filtering", "rr_interval", "p_onset", "p_end", "qrs_onset", "qrs_end"),
    *("t_end", "p_axis", "qrs_axis", "t_axis"),
)
DICTIONARY = Path(__file__).with_name("machine_measurements_data_dictionary.csv")
"""What the columns of machine_measurements.csv hold, as the corpus says it."""


def subject_id(patient: Patient) -> int:
    return 10_000_000 + patient.index * 37


def study_id(visit: Visit) -> int:
    return 40_000_000 + visit.record * _COPRIME % 10_000_000


def record_id(visit: Visit) -> str:
    return str(study_id(visit))


def patient_id(patient: Patient) -> str:
    return str(subject_id(patient))


def path(visit: Visit) -> str:
    subject, study = str(subject_id(visit.patient)), str(study_id(visit))
    return f"files/p{subject[:4]}/p{subject}/s{study}/{study}"


def moment(visit: Visit) -> datetime:
    first = datetime(2150, 1, 1, 7, 0) + timedelta(hours=31 * visit.patient.index)
    return first + timedelta(days=97 * visit.number, minutes=visit.record % 720)


def report(recording: Recording) -> Report:
    return cart_report(recording)


def files(recording: Recording) -> dict[str, bytes]:
    """Header and samples, in MIMIC's lead order (aVR, aVF, aVL)."""
    leads, visit = ORDERS["mimic"], recording.visit
    name, samples = record_id(visit), formats.rows_of(recording.samples, leads)
    when = moment(visit).strftime("%H:%M:%S %d/%m/%Y")
    encoding = f"16 {UNITS_PER_MV}.0(0)/mV"
    head = formats.header(
        name, leads, samples, suffix="dat", encoding=encoding, rate=RATE, moment=when
    )
    return {f"{path(visit)}.hea": head, f"{path(visit)}.dat": formats.interleaved(samples)}


def row(recording: Recording, said: Report) -> dict[str, Any]:
    """One row of both tables, by column."""
    visit, when = recording.visit, moment(recording.visit)
    study = study_id(visit)
    texts = [statement.text for statement in said.statements][:STATEMENTS]
    if len(texts) > 2 and visit.stream("layout").random() < 0.3 and len(texts) < STATEMENTS:
        texts.insert(len(texts) - 1, "")
    texts += [""] * (STATEMENTS - len(texts))
    return {
        "subject_id": subject_id(visit.patient),
        "study_id": study,
        "file_name": study,
        "cart_id": 6_800_000 + visit.patient.index % 97,
        "ecg_time": when.strftime("%Y-%m-%d %H:%M:%S"),
        "path": path(visit),
        **{f"report_{i}": text for i, text in enumerate(texts)},
        "bandwidth": "0.005-150 Hz",
        "filtering": "60 Hz notch Baseline filter",
        **_measurements(recording),
    }


def _measurements(recording: Recording) -> dict[str, int]:
    """Times within the cart's median beat, which begins 40 ms before the first wave."""
    m = recording.measured
    milliseconds = {"qrs_onset": 0.04 + (m.pr if m.pr is not None else 0.16)}
    milliseconds["qrs_end"] = milliseconds["qrs_onset"] + m.qrs
    milliseconds["t_end"] = milliseconds["qrs_onset"] + m.qt
    milliseconds["rr_interval"] = m.rr
    if m.p_width is not None:
        milliseconds |= {"p_onset": 0.04, "p_end": 0.04 + m.p_width}
    axes = {"p_axis": m.p_axis, "qrs_axis": m.qrs_axis, "t_axis": m.t_axis}
    numbers = {"p_onset": MISSING, "p_end": MISSING}
    numbers |= {name: round(1000 * value) for name, value in milliseconds.items()}
    return numbers | {n: MISSING if v is None else round(v) for n, v in axes.items()}


def tables(rows: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    """The corpus's tables from the rows of all records."""
    ordered = sorted(rows, key=lambda r: (r["subject_id"], r["study_id"]))

    def columns(names: Sequence[str]) -> bytes:
        return formats.table(names, ([r[name] for name in names] for r in ordered))

    return {
        "record_list.csv": columns(RECORD_COLUMNS),
        "machine_measurements.csv": columns(MEASUREMENT_COLUMNS),
        "machine_measurements_data_dictionary.csv": DICTIONARY.read_bytes(),
        "RECORDS": formats.text_lines(r["path"] for r in ordered),
    }
