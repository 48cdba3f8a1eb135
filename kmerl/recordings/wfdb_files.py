"""WFDB records as int16 microvolt by lead, for a corpus's twelve leads and a person's any.

A fast reader covers what the four corpora consist of: one signal file, interleaved int16 samples,
possibly behind a byte offset (format 16+24: the .mat files of CPSC2018 and CSN). `wfdb` decodes
all other formats; names, units, gains and lengths are those of our own header there too. Values
equal `np.round(wfdb.rdrecord(...).p_signal * 1000)` bit for bit; NaN is `signal.NAN`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from kmerl.leads import LEADS, canonical
from kmerl.recordings import long
from kmerl.recordings.headers import Header, SignalLine, read_header
from kmerl.recordings.rejecting import RejectedRecord
from kmerl.recordings.samples import (
    Span,
    bound,
    is_plain,
    length,
    read_plain,
    sums_of,
    through_wfdb,
)
from kmerl.signal import NAN, to_int16

MOST_SEGMENTS = 4096
WHOLE = 2.0**20  # microvolts a digital step, up to which int64 cannot overflow

BITS = {"80": 8, "508": 8, "310": 10, "311": 10, "212": 12, "24": 24, "524": 24, "32": 32}
"""Of a sample, 16 where it is not said; their lowest number stands for NaN, but in format 8."""

Choose = Callable[[Sequence[str]], dict[str, int]]
"""Which of the signals with these names are wanted: their rows, by lead of the twelve."""


@dataclass(frozen=True)
class Channels:
    """Leads of a recording: int16 (lead, sample), microvolt.

    `doubts` are what its header says and its samples do not, by fact, with details; `starts` and
    `sums` are the first sample and the sum of every signal of the file, by which they are found.
    """

    leads: tuple[str, ...]
    signal: np.ndarray
    rate: float
    saturated: int  # samples beyond what int16 holds, clipped
    left_out: tuple[str, ...] = ()  # names of the other signals
    doubts: dict[str, str] = field(default_factory=dict)
    starts: Sequence[int] = ()
    sums: Sequence[int] = ()


def twelve(names: Sequence[str]) -> dict[str, int]:
    """The row of each of the twelve leads, in the standard order, among signals with `names`.

    Raises:
        RejectedRecord: a lead is missing, or there twice.
    """
    rows = some(names)
    missing = [lead for lead in LEADS if lead not in rows]
    if missing:
        raise RejectedRecord("missing_lead", " ".join(missing))
    return {lead: rows[lead] for lead in LEADS}


def some(names: Sequence[str]) -> dict[str, int]:
    """The rows of those of the twelve leads that are there, in the order of the file.

    Raises:
        RejectedRecord: a lead is there twice.
    """
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        try:
            lead = canonical(name)
        except ValueError:
            continue  # no ECG lead of the twelve
        if lead in rows:
            raise RejectedRecord("duplicate_lead", lead)
        rows[lead] = row
    return rows


def read_recording(
    path: Path, header: Header, choose: Choose = twelve, span: Span = None
) -> Channels:
    """The chosen leads of the record at `path` (.hea), found by name; or a span of them, of which
    the header's checksums say nothing.

    Raises:
        RejectedRecord: a lead or the signal file is missing, the file has another length than the
            header says, a unit is no voltage, it is longer than what is read, or `wfdb` cannot
            read it either.
    """
    if header.segments:
        return _segments(path, header, choose, span)
    names = [line.name for line in header.signals]
    chosen = choose(names)
    if not header.signals:
        raise RejectedRecord("unreadable_header", f"{path.name}: no signals")
    leads, rows = tuple(chosen), list(chosen.values())
    lines = [header.signals[row] for row in rows]
    left_out = _others(names, rows)
    if is_plain(header.signals):
        frames = read_plain(path, header, span)
        starts, sums = frames[0].tolist(), sums_of(frames).tolist()
        signal, saturated = _microvolt(frames.T[rows], lines)
    else:
        decoded = through_wfdb(path, header, span)
        starts = [int(values[0]) for values in decoded]
        sums = [int(values.sum(dtype=np.int64)) for values in decoded]
        parts = [_decoded(decoded[row], line) for row, line in zip(rows, lines, strict=True)]
        empty = np.empty((0, len(decoded[0]) // header.signals[0].frame), np.int16)
        signal = np.concatenate([empty, *(part[None] for part, _ in parts)])
        saturated = sum(clipped for _, clipped in parts)
    doubts = {} if span else _doubts(header.signals, starts, sums)
    return Channels(leads, signal, header.rate, saturated, left_out, doubts, starts, sums)


def read_long(path: Path, header: Header, choose: Choose) -> tuple[Channels, list[long.Long]]:
    """A recording that is too long to be held: all that `read_recording` gives of it but the
    signals, and these.

    Raises:
        RejectedRecord: as `read_recording`.
    """
    samples = frames(path, header)
    first = read_recording(path, header, choose, (0, 1))
    signals = len(first.leads) + len(first.left_out)
    if samples * signals > long.MOST:
        told = f"{samples} samples of {signals} signals; at most {long.MOST} in all are read"
        raise RejectedRecord("wrong_length", f"{path.name}: {told}")
    size = max(long.HELD // signals, 1)

    def block(number: int) -> list[np.ndarray]:
        span = number * size, min((number + 1) * size, samples)
        return list(read_recording(path, header, choose, span).signal)

    saturated, doubts = _facts(path, header, choose, size)
    count = len(first.leads)
    leads = long.rows(block, [samples] * count, [size] * count)
    return replace(first, saturated=saturated, doubts=doubts), leads


def frames(path: Path, header: Header) -> int:
    """How many samples each signal has at the header's rate."""
    if header.segments:
        return sum(samples for _, samples in header.segments)
    return length(path, header) if header.signals else 0


def _facts(path: Path, header: Header, choose: Choose, size: int) -> tuple[int, dict[str, str]]:
    """How many samples are clipped, and the doubts, of a recording read part by part."""
    saturated, sums = 0, np.zeros(len(header.signals), np.int64)
    starts: Sequence[int] = ()
    doubts: dict[str, str] = {}
    if header.segments:
        for _, segment in _joined(path, header, choose)[2]:
            clipped, said = _facts(*segment, size)
            saturated, doubts = saturated + clipped, doubts | said
        return saturated, doubts
    samples = frames(path, header)
    for first in range(0, samples, size):
        part = read_recording(path, header, choose, (first, min(first + size, samples)))
        saturated, sums = saturated + part.saturated, sums + part.sums
        starts = starts or part.starts
    return saturated, _doubts(header.signals, starts, sums.tolist())


def _others(names: Sequence[str], rows: Sequence[int]) -> tuple[str, ...]:
    return tuple(name for row, name in enumerate(names) if row not in rows)


def _doubts(
    lines: Sequence[SignalLine], starts: Iterable[int], sums: Iterable[int]
) -> dict[str, str]:
    """Signals whose first sample or sum in 16 bits is another than the header's, and those without
    a gain. A skewed signal is not looked at, its first samples are cut off; nor is one of which
    the header has 0 for both, as many writers put it who count nothing."""
    wrong = [
        line.name
        for line, start, total in zip(lines, starts, sums, strict=True)
        if (line.initial or line.checksum)
        and not line.skew
        and (
            line.initial != start
            or (line.checksum is not None and (int(total) - line.checksum) % 2**16)
        )
    ]
    unknown = [line.name for line in lines if not line.calibrated]
    found = {"checksum": " ".join(wrong), "uncalibrated": " ".join(unknown)}
    return {fact: names for fact, names in found.items() if names}


def _microvolt(digital: np.ndarray, lines: Sequence[SignalLine]) -> tuple[np.ndarray, int]:
    """int16 microvolt and how many samples were clipped, from int16 digital values.

    A gain that divides its unit's microvolts needs whole numbers alone; any other takes the same
    float64 operations in the same order as `wfdb`, so that halves round alike.
    """
    baseline = np.array([[line.baseline] for line in lines])
    gain = np.array([[line.gain] for line in lines])
    unit = np.array([[line.microvolts] for line in lines])
    factor = unit / gain
    if not baseline.any() and (factor == 1).all():
        return np.ascontiguousarray(digital), 0
    nan = digital == NAN
    if (factor == np.round(factor)).all() and (np.abs(factor) <= WHOLE).all():
        value = (digital.astype(np.int64) - baseline) * factor.astype(np.int64)
    else:
        value = np.round((digital - baseline.astype(np.float64)) / gain * unit)
    return to_int16(value, nan)


def _decoded(values: np.ndarray, line: SignalLine) -> tuple[np.ndarray, int]:
    """`_microvolt` of one signal that `wfdb` decoded; a frame of several samples is their mean."""
    nan = values == -(2 ** (BITS.get(line.format, 16) - 1))
    if line.format == "8":
        nan = np.zeros(values.shape, bool)
    physical = np.where(nan, np.nan, (values - float(line.baseline)) / line.gain)
    if line.frame > 1:
        physical = physical.reshape(-1, line.frame).sum(axis=1) / line.frame
    return to_int16(np.round(physical * line.microvolts), np.isnan(physical))


Segment = tuple[Path, Header, Choose]


def _segments(path: Path, header: Header, choose: Choose, span: Span) -> Channels:
    """A record of several segments, in their order; leads that a segment lacks, and gaps, are NaN.

    Each segment has its own names, units and gains.
    """
    samples = frames(path, header)
    if (header.samples or samples) != samples or len(header.segments) > MOST_SEGMENTS:
        told = f"{samples} samples in {len(header.segments)} segments; announced {header.samples}, "
        raise RejectedRecord("wrong_length", f"{path.name}: {told}at most {MOST_SEGMENTS} segments")
    leads, left_out, segments = _joined(path, header, choose)
    first, last = span or (0, samples)
    bound(path.name, last - first, len(leads) + len(left_out))
    signal = np.full((len(leads), last - first), NAN, np.int16)
    saturated = 0
    doubts: dict[str, str] = {}
    for begin, segment in segments:
        end = begin + frames(*segment[:2])
        low, high = max(begin, first), min(end, last)
        if low >= high:
            continue
        found = read_recording(*segment, (low - begin, high - begin) if span else None)
        where = [leads.index(lead) for lead in found.leads]
        signal[where, low - first : high - first] = found.signal
        saturated += found.saturated
        doubts |= found.doubts
    return Channels(leads, signal, header.rate, saturated, left_out, doubts)


def _joined(
    path: Path, header: Header, choose: Choose
) -> tuple[tuple[str, ...], tuple[str, ...], list[tuple[int, Segment]]]:
    """The leads of a record of several segments, the names of its other signals, and where each
    segment that has samples begins."""
    parts = [_segment(path, header, *segment) for segment in header.segments]
    names = list(dict.fromkeys(line.name for part in parts if part for line in part.signals))
    chosen = choose(names)
    here = partial(_same, {lead: names[row] for lead, row in chosen.items()})
    first = 0
    found: list[tuple[int, Segment]] = []
    for (name, samples), part in zip(header.segments, parts, strict=True):
        if part is not None and samples:
            found.append((first, (path.with_name(f"{name}.hea"), part, here)))
        first += samples
    return tuple(chosen), _others(names, list(chosen.values())), found


def _same(chosen: Mapping[str, str], names: Sequence[str]) -> dict[str, int]:
    """The rows of the chosen names, as far as this segment has them."""
    for lead, name in chosen.items():
        if names.count(name) > 1:
            raise RejectedRecord("duplicate_lead", lead)
    return {lead: names.index(name) for lead, name in chosen.items() if name in names}


def _segment(path: Path, header: Header, name: str, said: int) -> Header | None:
    """The header of a segment; none for a gap."""
    if name == "~":
        return None
    part = read_header(path.with_name(f"{name}.hea"))
    if part.segments or part.rate != header.rate:
        raise RejectedRecord("unreadable_header", f"{name}: segments of segments, or another rate")
    if not said and any(line.file != "~" for line in part.signals):
        raise RejectedRecord("unreadable_header", f"{name}: a segment without samples")
    if said and frames(path.with_name(f"{name}.hea"), part) != said:
        raise RejectedRecord("wrong_length", f"{name}: the header of segments says {said}")
    return part
