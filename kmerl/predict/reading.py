"""A person's own recording: a WFDB record or a CSV file in, leads by name in microvolt out."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from kmerl import signal
from kmerl.corpora.records import RejectedRecord
from kmerl.corpora.wfdb_files import MICROVOLT, read_header
from kmerl.leads import LEADS, canonical

WFDB_SUFFIXES = (".hea", ".dat", ".mat")
MOST_MILLIVOLT = 100.0  # no ECG electrode sees more: the unit must be another


class RecordError(ValueError):
    """A recording cannot be read as asked; the message names the file, the lead and what to do."""


@dataclass(frozen=True)
class Recording:
    """Leads by name in whole microvolts, `signal.NAN` where nothing was measured; rate in Hz."""

    source: str
    rate: float
    leads: dict[str, Int16[np.ndarray, " sample"]]


def read(path: Path, rate: float | None, unit: str) -> Recording:
    """A WFDB record (with or without its suffix), or a CSV file whose header names the leads.

    Args:
        rate: samples a second of a CSV file; a WFDB header gives its own.
        unit: of a CSV file's values, a key of `MICROVOLT`.

    Raises:
        RecordError: no such record, or none that can be read.
    """
    if path.suffix.lower() == ".csv":
        if rate is None:
            raise RecordError(f"{path} does not say how fast it was sampled; give --rate in Hz")
        return _read_csv(path, rate, unit)
    if rate is not None:
        raise RecordError(f"{path}: a WFDB header gives the rate; leave out --rate")
    return _read_wfdb(path.with_suffix("") if path.suffix.lower() in WFDB_SUFFIXES else path)


def _read_wfdb(path: Path) -> Recording:
    with warnings.catch_warnings():  # wfdb 4.3 calls what pandas 3 deprecates
        warnings.simplefilter("ignore")
        import wfdb  # slow to import

    header = path.with_name(f"{path.name}.hea")
    if not header.is_file():
        raise RecordError(
            f"{header} does not exist; give the path of a WFDB record (.hea with .dat or .mat) "
            "or of a .csv file"
        )
    try:
        read_header(header)
        record = wfdb.rdrecord(str(path))
    except RejectedRecord as rejected:
        raise RecordError(
            f"{header}: {rejected.reason.replace('_', ' ')}: {rejected.detail}"
        ) from None
    except Exception as error:  # whatever a malformed file makes wfdb raise
        raise RecordError(f"{path}: wfdb cannot read its signals ({error})") from error
    columns = []
    for name, values, unit in zip(record.sig_name, record.p_signal.T, record.units, strict=True):
        if _is_lead(name) and unit not in MICROVOLT:
            raise RecordError(f"{header}: lead {name} is in {unit}; known are {_UNITS}")
        if _is_lead(name):
            columns.append((name, values * MICROVOLT[unit]))
    return _recording(str(path), float(record.fs), columns)


def _read_csv(path: Path, rate: float, unit: str) -> Recording:
    import pandas as pd  # slow to import

    if not path.is_file():
        raise RecordError(f"{path} does not exist")
    if unit not in MICROVOLT:
        raise RecordError(f"--unit {unit} is unknown; choose one of {_UNITS}")
    try:
        table = pd.read_csv(path, skipinitialspace=True)
        columns = [(n, table[n].to_numpy(np.float64)) for n in table.columns if _is_lead(n)]
    except ValueError as error:
        raise RecordError(f"{path} is no CSV file of numbers under a header ({error})") from None
    largest = max((np.nanmax(np.abs(values), initial=0.0) for _, values in columns), default=0.0)
    if largest * MICROVOLT[unit] > MOST_MILLIVOLT * MICROVOLT["mV"]:
        raise RecordError(f"{path}: {largest:g} {unit} is no ECG; give its true --unit")
    return _recording(str(path), rate, [(n, values * MICROVOLT[unit]) for n, values in columns])


_UNITS = ", ".join(MICROVOLT)


def _is_lead(name: object) -> bool:
    """Whether a column or channel is one of the twelve; "time" and "PLETH" are none."""
    return str(name).strip().upper() in {lead.upper() for lead in LEADS}


def _recording(source: str, rate: float, columns: list[tuple[str, np.ndarray]]) -> Recording:
    """Columns of microvolts as whole numbers by canonical lead name."""
    leads: dict[str, np.ndarray] = {}
    for name, values in columns:
        lead = canonical(str(name))
        if lead in leads:
            raise RecordError(f"{source} has lead {lead} twice; remove one of them")
        nan = ~np.isfinite(values)
        leads[lead] = signal.to_int16(np.round(np.where(nan, 0.0, values)), nan)[0]
    if not leads:
        raise RecordError(
            f"{source} names none of the leads {', '.join(LEADS)}; rename its columns"
        )
    if rate <= 0:
        raise RecordError(f"{source}: a rate of {rate:g} Hz is none; give samples a second")
    return Recording(source, rate, leads)
