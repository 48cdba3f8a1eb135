"""WFDB headers (header(5)): what a recording says of itself, each claim within bounds.

A header is the word of whoever wrote the file. No number of it is believed before it is bounded,
no name before it is that of a file beside the header; so whatever a header says, reading it costs
a bounded time and memory, and ends in a `Header` or in a `RejectedRecord`.
"""

import math
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kmerl.recordings.rejecting import Reason, RejectedRecord

MICROVOLT = {"mV": 1000.0, "uV": 1.0, "\u00b5V": 1.0, "V": 1e6}
"""Microvolts in one physical unit of a header; how a unit is capitalised says nothing."""
DEFAULT_GAIN = 200.0  # of a header that gives none or 0 (WFDB, header(5))
DEFAULT_RATE = 250.0  # likewise, Hz
MOST_BYTES = 2**20  # of a header
RATES = (0.001, 1e6)  # Hz
GAINS = (1e-6, 1e12)  # digital steps in a physical unit, with either sign
MOST_STEPS = 2**31  # magnitude of a digital value: no format of WFDB holds a larger one
MOST_IN_FRAME = 1000  # samples of one signal in one frame

_BY_LOWER = {unit.lower(): value for unit, value in MICROVOLT.items()} | {
    **{"\u03bcv": 1.0, "nv": 0.001, "microvolt": 1.0, "microvolts": 1.0},  # the first in Greek
    **{"millivolt": 1000.0, "millivolts": 1000.0, "volt": 1e6, "volts": 1e6},
}
_WHOLE = r"\d{1,12}"  # Python refuses to read thousands of digits; a number this long is none here
_SIGNED = rf"[-+]?{_WHOLE}"
_RECORD = re.compile(
    rf"(?P<name>[^\s/]+)(?:/(?P<segments>{_WHOLE}))?\s+(?P<signals>{_WHOLE})"
    rf"(?:\s+(?P<rate>{_WHOLE}(?:\.\d{{0,20}})?)(?:/\S+)?(?:\s+(?P<samples>{_WHOLE})(?:\s+(?P<started>.*))?)?)?$",
    re.ASCII,
)
_SIGNAL = re.compile(
    rf"(?P<file>\S+)\s+(?P<format>\d{{1,3}})(?:x(?P<frame>{_WHOLE}))?(?::(?P<skew>{_WHOLE}))?"
    rf"(?:\+(?P<offset>{_WHOLE}))?"
    rf"(?:\s+(?P<gain>[-+.\deE]{{1,40}})(?:\((?P<baseline>{_SIGNED})\))?(?:/(?P<unit>\S{{1,40}}))?"
    rf"(?:\s+{_WHOLE}(?:\s+(?P<zero>{_SIGNED})(?:\s+(?P<initial>{_SIGNED})"
    rf"(?:\s+(?P<checksum>{_SIGNED})(?:\s+{_SIGNED}(?:\s+(?P<name>.+))?)?)?)?)?)?)?$",
    re.ASCII,
)
_SEGMENT = re.compile(rf"(?P<name>[^\s/\\]+)\s+(?P<samples>{_WHOLE})$", re.ASCII)


def microvolts(unit: str) -> float | None:
    """In one of a unit, as devices write it; None where it is no voltage."""
    return _BY_LOWER.get(unit.strip().lower())


class SignalLine(NamedTuple):
    """One signal of a header: where its samples lie and how they become physical values.

    `initial` and `checksum` are None where the header has none; `calibrated` is false where it
    gives no gain, or 0.
    """

    name: str
    file: str
    format: str
    frame: int  # samples in a frame
    skew: int
    offset: int
    gain: float
    calibrated: bool
    baseline: int
    unit: str
    initial: int | None
    checksum: int | None

    @property
    def microvolts(self) -> float:
        """In one physical unit.

        Raises:
            RejectedRecord: the unit is no voltage.
        """
        found = microvolts(self.unit)
        if found is None:
            raise RejectedRecord("unknown_unit", f"{self.unit}; known are {', '.join(MICROVOLT)}")
        return found


@dataclass(frozen=True)
class Header:
    """A WFDB header. `rate` in Hz; `samples` is 0 where the header does not say.

    A header of several segments names them, with their samples, and has no signals.
    """

    name: str
    rate: float
    samples: int
    signals: tuple[SignalLine, ...]
    comments: tuple[str, ...]
    segments: tuple[tuple[str, int], ...]
    started: str  # time of the day and date, as the header writes them

    def comment(self, key: str) -> str:
        """The text behind `key:` in the comments; empty where there is none."""
        start = f"{key}:"
        return next((c[len(start) :].strip() for c in self.comments if c.startswith(start)), "")


def bytes_of(path: Path, missing: Reason) -> int:
    """Bytes of a regular file; of a pipe or a device nothing is read.

    Raises:
        RejectedRecord: no such file, with reason `missing`, or an empty one.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        found = None
    if found is None or not stat.S_ISREG(found.st_mode):
        raise RejectedRecord(missing, path.name)
    if not found.st_size:
        raise RejectedRecord("empty_file", path.name)
    return found.st_size


def read_header(path: Path) -> Header:
    """Parse `path` (.hea).

    Raises:
        RejectedRecord: no such file, an empty one, or one that is no WFDB header.
    """
    lines = _text(path)
    comments = tuple(line[1:].strip() for line in lines if line.startswith("#"))
    lines = [line for line in lines if not line.startswith("#")]
    record = _RECORD.match(lines[0]) if lines else None
    if record is None:
        raise RejectedRecord("unreadable_header", f"{path.name}: no record line")
    several = record["segments"] is not None
    count = int(record["segments"] if several else record["signals"])
    if count != len(lines) - 1 or (several and not count):
        things = "segments" if several else "signals"
        told = f"{path.name}: {count} {things} announced, {len(lines) - 1} described"
        raise RejectedRecord("unreadable_header", told)
    signals = () if several else tuple(_signal(path.name, line) for line in lines[1:])
    segments = tuple(_segment(path.name, line) for line in lines[1:]) if several else ()
    rate = float(record["rate"] or DEFAULT_RATE)
    if not RATES[0] <= rate <= RATES[1]:
        raise RejectedRecord("unreadable_header", f"{path.name}: sampling rate {rate:g} Hz")
    samples = int(record["samples"] or 0)
    started = record["started"] or ""
    return Header(record["name"], rate, samples, signals, comments, segments, started)


def _text(path: Path) -> list[str]:
    """The lines that are not empty. Headers with µ were also written in Latin-1."""
    if bytes_of(path, "missing_header") > MOST_BYTES:
        raise RejectedRecord("unreadable_header", f"{path.name}: above {MOST_BYTES} bytes")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if not text.strip():
        raise RejectedRecord("empty_file", path.name)
    return [line.strip() for line in text.splitlines() if line.strip()]


def _signal(header: str, line: str) -> SignalLine:
    match = _SIGNAL.match(line)
    try:
        if match is None:
            raise ValueError("a signal line is malformed")
        gain = _number(match["gain"], "gain")
        found = SignalLine(
            name=(match["name"] or "").strip(),
            file=match["file"],
            format=match["format"],
            frame=int(match["frame"] or 1) or 1,
            skew=int(match["skew"] or 0),
            offset=int(match["offset"] or 0),
            gain=gain or DEFAULT_GAIN,
            calibrated=gain != 0,
            baseline=int(match["baseline"] or match["zero"] or 0),
            unit=match["unit"] or "mV",
            initial=_whole(match["initial"]),
            checksum=_whole(match["checksum"]),
        )
        _bound(found)
    except ValueError as error:
        raise RejectedRecord("unreadable_header", f"{header}: {error}") from None
    return found


def _bound(line: SignalLine) -> None:
    if line.file in (".", "..") or any(mark in line.file for mark in "/\\\0"):
        raise ValueError("a signal file's name is no plain name of a file beside the header")
    if not GAINS[0] <= abs(line.gain) <= GAINS[1]:
        raise ValueError(f"gain {line.gain:g}")
    if max(abs(line.baseline), abs(line.initial or 0)) > MOST_STEPS:
        raise ValueError(f"baseline or initial value beyond {MOST_STEPS}")
    if line.frame > MOST_IN_FRAME:
        raise ValueError(f"{line.frame} samples in a frame")


def _number(text: str | None, what: str) -> float:
    """A finite number, 0 for none."""
    try:
        value = float(text or 0)
    except ValueError:
        raise ValueError(f"a {what} is malformed") from None
    if not math.isfinite(value):
        raise ValueError(f"{what} {value}")
    return value


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)


def _segment(header: str, line: str) -> tuple[str, int]:
    match = _SEGMENT.match(line)
    if match is None or match["name"] in (".", ".."):
        raise RejectedRecord("unreadable_header", f"{header}: a segment line is malformed")
    return match["name"], int(match["samples"])
