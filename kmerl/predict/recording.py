"""One recording in, a probability a class name out: any leads, any names (Sec. 4.2.1)."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int16, Num

from kmerl import signal
from kmerl.corpora.records import RejectedRecord
from kmerl.corpora.wfdb_files import MICROVOLT, read_header
from kmerl.leads import LEADS, canonical, in_standard_order, parse_leads
from kmerl.tasks.classes import classes

WFDB_SUFFIXES = (".hea", ".dat", ".mat")
MOST_MILLIVOLT = 100.0  # no ECG electrode sees more: the unit must be another
NOTICE = "For research. Not a medical device: no probability here may guide the care of a patient."


class RecordError(ValueError):
    """A recording cannot be read as asked; the message names the file, the lead and what to do."""


class Grid(Protocol):
    """The rate in Hz and the samples a lead that a model reads."""

    @property
    def rate(self) -> int: ...

    @property
    def samples(self) -> int: ...


class Scorer(Protocol):
    """What `kmerl.predict.recording.predictor.load` gives."""

    @property
    def config(self) -> Grid: ...

    @property
    def entities(self) -> Sequence[str]: ...

    def score(
        self, signal: Num[np.ndarray, "lead sample"], leads: Sequence[str], names: Sequence[str]
    ) -> Float[np.ndarray, " name"]: ...


@dataclass(frozen=True)
class Recording:
    """Leads by name in whole microvolts, `signal.NAN` where nothing was measured; rate in Hz."""

    source: str
    rate: float
    leads: dict[str, Int16[np.ndarray, " sample"]]


@dataclass(frozen=True)
class Prepared:
    """What the model is given: the leads in the standard order, and what had to be done to them."""

    leads: tuple[str, ...]
    signal: Int16[np.ndarray, "lead sample"]
    notes: tuple[str, ...]


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


def choose(recording: Recording, wanted: str | None) -> Recording:
    """The leads asked for ("I,II", "limb"), or all that the recording has.

    Raises:
        ValueError: an unknown lead name.
        RecordError: the recording lacks a lead.
    """
    leads = in_standard_order(recording.leads) if wanted is None else parse_leads(wanted)
    missing = [lead for lead in leads if lead not in recording.leads]
    if missing:
        raise RecordError(
            f"{recording.source} has no lead {', '.join(missing)}; it has "
            f"{', '.join(in_standard_order(recording.leads))}"
        )
    return Recording(
        recording.source, recording.rate, {lead: recording.leads[lead] for lead in leads}
    )


def prepare(recording: Recording, grid: Grid, start: float = 0.0) -> Prepared:
    """Cut from `start` seconds on, repair, resample and pad to what the model reads.

    Raises:
        RecordError: the recording ends before `start`, or a lead has no sample in the cut.
    """
    raw = np.stack(list(recording.leads.values()))
    first = round(start * recording.rate)
    seconds = grid.samples / grid.rate
    cut = raw[:, first : first + round(seconds * recording.rate)]
    if start < 0 or not cut.shape[1]:
        length = raw.shape[1] / recording.rate
        raise RecordError(f"{recording.source} is {length:g} s long; --start {start:g} is outside")
    leads = tuple(recording.leads)
    notes = _complaints(recording, leads, cut)
    if raw.shape[1] > cut.shape[1]:
        notes.append(f"{seconds:g} s from {start:g} s on are read, of {_seconds(recording):g} s")
    if recording.rate != grid.rate:
        notes.append(f"resampled from {recording.rate:g} to {grid.rate} Hz")
    even = signal.resample(signal.repair(cut), recording.rate, grid.rate)
    if even.shape[1] < grid.samples:
        notes.append(f"only {even.shape[1] / grid.rate:.3g} s; zeros fill it up to {seconds:g} s")
        even = signal.pad(even, grid.samples)
    return Prepared(leads, signal.crop(even, grid.samples, "start"), tuple(notes))


def class_names(listed: str | None, task: str | None, entities: Sequence[str]) -> tuple[str, ...]:
    """The names to ask for: those listed with commas, a task's, or the model's own entities.

    Raises:
        ValueError: both are given, a name is empty, or the task is unknown.
    """
    if listed is not None and task is not None:
        raise ValueError("give --classes or --task, not both")
    if task is not None:
        return tuple(one.name for one in classes(task))
    if listed is None:
        return tuple(entities)
    names = [" ".join(name.split()).lower() for name in listed.split(",")]
    if not all(names):
        raise ValueError(f"--classes {listed!r} has an empty name; write names between commas")
    return tuple(dict.fromkeys(names))


def ranked(scorer: Scorer, prepared: Prepared, names: Sequence[str]) -> list[tuple[str, float]]:
    """(name, probability), likeliest first, equals by name."""
    probabilities = scorer.score(prepared.signal, prepared.leads, names)
    pairs = zip(names, map(float, probabilities), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


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


def _complaints(recording: Recording, leads: tuple[str, ...], cut: np.ndarray) -> list[str]:
    """What is wrong with single leads, as notes.

    Raises:
        RecordError: a lead without any measured sample.
    """
    notes = []
    for lead, values in zip(leads, cut, strict=True):
        gaps = int((values == signal.NAN).sum())
        if gaps == len(values):
            raise RecordError(
                f"{recording.source}: lead {lead} has no measured sample; leave it out with --leads"
            )
        if gaps:
            notes.append(f"lead {lead}: {gaps} missing samples bridged by straight lines")
        if values.min() == values.max():
            notes.append(f"lead {lead} is flat: was its electrode off?")
    return notes


def _seconds(recording: Recording) -> float:
    return len(next(iter(recording.leads.values()))) / recording.rate
