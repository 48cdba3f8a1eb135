"""A person's own recording: a WFDB record or a CSV file in, leads by name in microvolt out."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from kmerl import signal
from kmerl.corpora.headers import MICROVOLT, read_header
from kmerl.corpora.records import RejectedRecord
from kmerl.corpora.struct_files import read_struct
from kmerl.corpora.wfdb_files import read_recording, some
from kmerl.leads import LEADS, canonical

WFDB_SUFFIXES = (".hea", ".dat", ".mat")
MOST_MILLIVOLT = 100.0  # no ECG electrode sees more: the unit must be another
MOST_CSV = 2**27  # bytes


class RecordError(ValueError):
    """A recording cannot be read as asked; the message names the file, the lead and what to do."""


@dataclass(frozen=True)
class Recording:
    """Leads by name in whole microvolts, `signal.NAN` where nothing was measured; rate in Hz.

    `doubts` are the facts that reading found against it, with figures (`kmerl.corpora.plausible`).
    """

    source: str
    rate: float
    leads: dict[str, Int16[np.ndarray, " sample"]]
    doubts: dict[str, str] = field(default_factory=dict)


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
    return _read_record(path)


def _read_record(path: Path) -> Recording:
    """A WFDB record, or a .mat file of CPSC2018's first form, which has no header."""
    header = path.with_suffix(".hea") if path.suffix.lower() in WFDB_SUFFIXES else None
    header = header or path.with_name(f"{path.name}.hea")
    alone = path.suffix.lower() == ".mat" and path.is_file() and not header.exists()
    if not alone and not header.is_file():
        raise RecordError(
            f"{header} does not exist; give the path of a WFDB record (.hea with .dat or .mat) "
            "or of a .csv file"
        )
    named = path if alone else header
    try:
        found = read_struct(path) if alone else read_recording(header, read_header(header), some)
    except RejectedRecord as rejected:
        raise RecordError(
            f"{named}: {rejected.reason.replace('_', ' ')}: {rejected.detail}"
        ) from None
    except OSError as error:
        raise RecordError(f"{named}: {error.strerror}") from None
    leads = dict(zip(found.leads, found.signal, strict=True))
    return _recording(str(named.with_suffix("")), found.rate, leads, found.doubts, found.saturated)


def _read_csv(path: Path, rate: float, unit: str) -> Recording:
    import pandas as pd  # slow to import

    if not path.is_file():
        raise RecordError(f"{path} does not exist")
    if path.stat().st_size > MOST_CSV:
        raise RecordError(f"{path} is above {MOST_CSV} bytes; cut out the part to be read")
    if unit not in MICROVOLT:
        raise RecordError(f"--unit {unit} is unknown; choose one of {_UNITS}")
    try:
        table = pd.read_csv(path, skipinitialspace=True)
        names = [str(name) for name in table.columns]
        rows = some(names)
        values = [table.iloc[:, row].to_numpy(np.float64) for row in rows]
    except RejectedRecord as rejected:
        raise RecordError(f"{path} has lead {rejected.detail} twice; remove one of them") from None
    except (ValueError, OverflowError) as error:
        raise RecordError(f"{path} is no CSV file of numbers under a header ({error})") from None
    held = np.stack([np.empty(len(table)), *values])[1:]
    nan = ~np.isfinite(held)
    measured = np.where(nan, 0.0, held)
    largest = np.abs(measured).max(initial=0.0)
    if largest > MOST_MILLIVOLT * MICROVOLT["mV"] / MICROVOLT[unit]:
        raise RecordError(f"{path}: {largest:g} {unit} is no ECG; give its true --unit")
    microvolt = measured * MICROVOLT[unit]
    whole, saturated = signal.to_int16(np.round(microvolt), nan)
    leads = {canonical(names[row]): lead for row, lead in zip(rows, whole, strict=True)}
    return _recording(str(path), rate, leads, {}, saturated)


_UNITS = ", ".join(MICROVOLT)


def _recording(
    source: str, rate: float, leads: dict[str, np.ndarray], doubts: dict[str, str], saturated: int
) -> Recording:
    if not leads:
        raise RecordError(
            f"{source} names none of the leads {', '.join(LEADS)}; rename its columns"
        )
    if not math.isfinite(rate) or rate <= 0:
        raise RecordError(f"{source}: a rate of {rate:g} Hz is none; give samples a second")
    if saturated:
        doubts = doubts | {"saturated": f"{saturated} samples"}
    return Recording(source, rate, leads, doubts)
