"""WFDB records as int16 microvolt: a fast reader of format 16, and `wfdb` for all others.

The fast reader covers what the four corpora consist of: one signal file, interleaved int16
samples, possibly behind a byte offset (format 16+24: the .mat files of CPSC2018 and CSN). Values
equal `np.round(wfdb.rdrecord(...).p_signal * 1000)` bit for bit; NaN is `signal.NAN`.
"""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kmerl.corpora.records import Reason, RejectedRecord
from kmerl.leads import LEADS, canonical
from kmerl.signal import NAN, to_int16

MICROVOLT = {"mV": 1000.0, "uV": 1.0, "\u00b5V": 1.0, "V": 1e6}
"""Microvolts in one physical unit of a header."""
DEFAULT_GAIN = 200.0  # of a header that gives none or 0 (WFDB, header(5))

_RECORD = re.compile(
    r"(?P<name>[^\s/]+)(?:/(?P<segments>\d+))?\s+(?P<signals>\d+)"
    r"(?:\s+(?P<rate>\d+(?:\.\d+)?)(?:/\S+)?(?:\s+(?P<samples>\d+)(?:\s.*)?)?)?$"
)
_SIGNAL = re.compile(
    r"(?P<file>\S+)\s+(?P<format>\d+)(?:x(?P<frame>\d+))?(?::(?P<skew>\d+))?(?:\+(?P<offset>\d+))?"
    r"(?:\s+(?P<gain>[-+.\deE]+)(?:\((?P<baseline>-?\d+)\))?(?:/(?P<unit>\S+))?"
    r"(?:\s+\d+(?:\s+(?P<zero>-?\d+)(?:\s+-?\d+(?:\s+-?\d+(?:\s+\d+(?:\s+(?P<name>.+))?)?)?)?)?)?)?$"
)


@dataclass(frozen=True)
class SignalLine:
    """One signal of a header: where its samples lie and how they become physical values."""

    name: str
    file: str
    format: str
    offset: int
    gain: float
    baseline: int
    unit: str
    simple: bool  # one sample a frame and no skew


@dataclass(frozen=True)
class Header:
    """A WFDB header. `rate` in Hz; `samples` is 0 where the header does not say."""

    name: str
    rate: float
    samples: int
    signals: tuple[SignalLine, ...]
    comments: tuple[str, ...]
    segments: int

    def comment(self, key: str) -> str:
        """The text behind `key:` in the comments; empty where there is none."""
        start = f"{key}:"
        return next((c[len(start) :].strip() for c in self.comments if c.startswith(start)), "")


@dataclass(frozen=True)
class TwelveLeads:
    """The twelve leads of a record in the standard order: int16 (lead, sample), microvolt."""

    signal: np.ndarray
    rate: float
    saturated: int  # samples beyond what int16 holds, clipped
    extra_leads: int  # signals that are none of the twelve leads, left out


def find_headers(root: Path) -> list[str]:
    """Every .hea file under `root`: sorted paths relative to it, without suffix."""
    return sorted(str(p.relative_to(root).with_suffix("")) for p in root.rglob("*.hea"))


def size_of(path: Path) -> int:
    """Bytes of a file of samples.

    Raises:
        RejectedRecord: no such file, or an empty one.
    """
    if not path.is_file():
        raise RejectedRecord("missing_file", path.name)
    if not (size := path.stat().st_size):
        raise RejectedRecord("empty_file", path.name)
    return size


def read_header(path: Path) -> Header:
    """Parse `path` (.hea).

    Raises:
        RejectedRecord: no such file, an empty one, or one that is no WFDB header.
    """
    if not path.is_file():
        raise RejectedRecord("missing_header", path.name)
    text = path.read_text(encoding="utf-8", errors="replace")
    if not text.strip():
        raise RejectedRecord("empty_file", path.name)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    comments = tuple(line[1:].strip() for line in lines if line.startswith("#"))
    lines = [line for line in lines if not line.startswith("#")]
    record = _RECORD.match(lines[0]) if lines else None
    if record is None:
        raise RejectedRecord("unreadable_header", f"{path.name}: no record line")
    segments, count = int(record["segments"] or 1), int(record["signals"])
    if segments == 1 and len(lines) != 1 + count:
        told = f"{path.name}: {count} signals announced, {len(lines) - 1} described"
        raise RejectedRecord("unreadable_header", told)
    signals = tuple(_signal_line(path.name, line) for line in lines[1:]) if segments == 1 else ()
    rate = float(record["rate"] or 250)  # WFDB's default rate
    if rate <= 0:
        raise RejectedRecord("unreadable_header", f"{path.name}: sampling rate {rate:g} Hz")
    return Header(record["name"], rate, int(record["samples"] or 0), signals, comments, segments)


def _signal_line(file: str, line: str) -> SignalLine:
    match = _SIGNAL.match(line)
    try:
        if match is None:
            raise ValueError("no signal line")
        gain = float(match["gain"] or 0) or DEFAULT_GAIN
    except ValueError:
        raise RejectedRecord("unreadable_header", f"{file}: a signal line is malformed") from None
    return SignalLine(
        name=(match["name"] or "").strip(),
        file=match["file"],
        format=match["format"],
        offset=int(match["offset"] or 0),
        gain=gain,
        baseline=int(match["baseline"] or match["zero"] or 0),
        unit=match["unit"] or "mV",
        simple=int(match["frame"] or 1) == 1 and int(match["skew"] or 0) == 0,
    )


def read_recording(path: Path, header: Header) -> TwelveLeads:
    """The twelve leads of the record at `path` (.hea), found by name.

    Raises:
        RejectedRecord: a lead or the signal file is missing, the file has another length than the
            header says, a unit is no voltage, or `wfdb` cannot read it either.
    """
    if header.segments > 1:
        return _through_wfdb(path)
    rows = lead_rows([line.name for line in header.signals])
    if not _is_plain(header.signals):
        return _through_wfdb(path)
    digital = _read_int16(path.with_name(header.signals[0].file), header)
    lines = [header.signals[row] for row in rows]
    signal, saturated = _microvolt(digital[rows], lines)
    return TwelveLeads(signal, header.rate, saturated, len(header.signals) - len(rows))


def lead_rows(names: list[str]) -> list[int]:
    """The row of each of the twelve leads, in the standard order, among signals with `names`.

    Raises:
        RejectedRecord: a lead is missing, or there twice.
    """
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        try:
            lead = canonical(name)
        except ValueError:
            continue  # not an ECG lead of the twelve; counted as an extra lead
        if lead in rows:
            raise RejectedRecord("duplicate_lead", lead)
        rows[lead] = row
    missing = [lead for lead in LEADS if lead not in rows]
    if missing:
        raise RejectedRecord("missing_lead", " ".join(missing))
    return [rows[lead] for lead in LEADS]


def _is_plain(signals: tuple[SignalLine, ...]) -> bool:
    """Whether all signals are interleaved int16 samples of one file."""
    first = signals[0]
    return all(
        s.simple and s.format == "16" and (s.file, s.offset) == (first.file, first.offset)
        for s in signals
    )


def _read_int16(path: Path, header: Header) -> np.ndarray:
    """The samples of a format 16 file: int16 (signal, sample), a view of the interleaved file."""
    count, offset = len(header.signals), header.signals[0].offset
    in_file = max(size_of(path) - offset, 0) // (2 * count)
    samples = header.samples or in_file
    if in_file != samples or samples == 0:
        reason: Reason = "truncated" if in_file < samples else "wrong_length"
        raise RejectedRecord(
            reason, f"{path.name}: {in_file} samples a lead, the header says {header.samples}"
        )
    flat = np.fromfile(path, "<i2", samples * count, offset=offset)
    return flat.reshape(samples, count).T


def _microvolt(digital: np.ndarray, lines: list[SignalLine]) -> tuple[np.ndarray, int]:
    """int16 microvolt and how many samples were clipped, from int16 digital values.

    A gain that divides its unit's microvolts needs whole numbers alone; any other takes the same
    float64 operations in the same order as `wfdb`, so that halves round alike.
    """
    baseline = np.array([[line.baseline] for line in lines])
    gain = np.array([[line.gain] for line in lines])
    unit = np.array([[_unit(line.unit)] for line in lines])
    factor = unit / gain
    if not baseline.any() and (factor == 1).all():
        return np.ascontiguousarray(digital), 0
    nan = digital == NAN
    if (factor == np.round(factor)).all():
        value = (digital.astype(np.int64) - baseline) * factor.astype(np.int64)
    else:
        value = np.round((digital - baseline.astype(np.float64)) / gain * unit)
    return to_int16(value, nan)


def _unit(unit: str) -> float:
    try:
        return MICROVOLT[unit]
    except KeyError:
        raise RejectedRecord("unknown_unit", f"{unit}; known are {', '.join(MICROVOLT)}") from None


def _through_wfdb(path: Path) -> TwelveLeads:
    """Any other WFDB format, at a hundredth of the speed."""
    with warnings.catch_warnings():  # wfdb 4.3 calls what pandas 3 deprecates
        warnings.simplefilter("ignore")
        import wfdb  # slow to import, and no corpus here needs it
    try:
        record = wfdb.rdrecord(str(path.with_suffix("")))
    except FileNotFoundError as error:
        raise RejectedRecord("missing_file", Path(error.filename or path.name).name) from None
    except Exception as error:  # whatever a malformed file makes wfdb raise
        raise RejectedRecord("unreadable_signal", f"wfdb: {type(error).__name__}") from None
    rows = lead_rows(list(record.sig_name))
    unit = np.array([[_unit(record.units[row])] for row in rows])
    value = np.round(np.asarray(record.p_signal, np.float64).T[rows] * unit)
    signal, saturated = to_int16(value, np.isnan(value))
    return TwelveLeads(signal, float(record.fs), saturated, record.n_sig - len(rows))
