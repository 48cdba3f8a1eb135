"""What the model is given of a recording: the leads asked for, cut, repaired and resampled."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int16

from kmerl import signal
from kmerl.leads import in_standard_order, parse_leads
from kmerl.recordings import RecordError, Recording, judging, plausible
from kmerl.recordings.assembling import finish

MOST_RATIO = 20  # of two rates between which a recording is resampled


@dataclass(frozen=True)
class Prepared:
    """What the model is given: the leads in the standard order, what had to be done to them, and
    the channels of the file that are none of its leads, each with the reason.

    `record` says of what, `start` from which second of it on, `seconds` how many were measured.
    """

    record: str
    start: float
    seconds: float
    leads: tuple[str, ...]
    signal: Int16[np.ndarray, "lead sample"]
    notes: tuple[str, ...]
    left_out: dict[str, str]


@dataclass(frozen=True)
class Cut:
    """Which parts of a recording are read: what the model reads from `start` seconds on, or, where
    `window` is not 0, windows of so many seconds from there to the end, one every `step`."""

    start: float = 0.0
    window: float = 0.0
    step: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.window < math.inf or not 0 <= self.step < math.inf:
            raise ValueError(f"--window {self.window:g} --step {self.step:g}: give seconds above 0")
        if self.step and not self.window:
            raise ValueError("--step needs --window: every how many seconds one begins")

    def starts(self, seconds: float) -> list[float]:
        """Where the windows of a recording of so many seconds begin. The last of them ends where
        the recording does, so that all of it is read."""
        if not self.window:
            return [self.start]
        last = seconds - self.window
        step = self.step or self.window
        found, k = [self.start], 1
        while (start := self.start + k * step) <= last:
            found.append(start)
            k += 1
        if found[-1] < last:
            found.append(last)
        return found


def windows(recording: Recording, rate: int, samples: int, cut: Cut) -> Iterator[Prepared]:
    """What the model is given of a recording, one after the other; see `prepare`.

    Raises:
        ValueError: a window is longer than what the model reads.
    """
    if cut.window > samples / rate:
        raise ValueError(f"--window {cut.window:g}: the model reads {samples / rate:g} s at most")
    length = len(next(iter(recording.leads.values()))) / recording.rate
    for start in cut.starts(length):
        yield prepare(recording, rate, samples, start, cut.window or None)


def choose(recording: Recording, wanted: str | Sequence[str] | None) -> Recording:
    """The leads asked for ("I,II", "limb", or a list), or all that the recording has.

    Raises:
        ValueError: an unknown lead name.
        RecordError: the recording lacks a lead.
    """
    if wanted is None:
        leads = in_standard_order(recording.leads)
    else:
        leads = parse_leads(wanted if isinstance(wanted, str) else ",".join(wanted))
    missing = [lead for lead in leads if lead not in recording.leads]
    if missing:
        follow = set(missing) <= set(finish(recording, derive=True).leads)
        raise RecordError(
            f"{recording.source} has no lead {', '.join(missing)}; it has "
            f"{', '.join(in_standard_order(recording.leads))}"
            + ("; --derive computes what follows from these" if follow else "")
        )
    unused = {lead: "not asked for" for lead in recording.leads if lead not in leads}
    chosen = {lead: recording.leads[lead] for lead in leads}
    return replace(recording, leads=chosen, left_out=recording.left_out | unused)


def prepare(
    recording: Recording,
    rate: int,
    samples: int,
    start: float = 0.0,
    window: float | None = None,
) -> Prepared:
    """Cut from `start` seconds on, repair, resample and pad to what the model reads.

    Args:
        rate: of the model, in Hz; it reads `samples` samples a lead.
        window: seconds to cut; None for as many as the model reads, which is then said.

    Raises:
        RecordError: the recording ends before `start`, has one sample from there on or a rate that
            is far from the model's, or a lead has no sample in the cut.
    """
    if not MOST_RATIO > recording.rate / rate > 1 / MOST_RATIO:
        raise RecordError(
            f"{recording.source}: a rate of {recording.rate:g} Hz is beyond what is resampled to "
            f"{rate} Hz; give its true rate"
        )
    whole_length = len(next(iter(recording.leads.values())))
    length, seconds = whole_length / recording.rate, samples / rate
    if not 0 <= start < length:  # neither is NaN
        raise RecordError(f"{recording.source} is {length:g} s long; --start {start:g} is outside")
    first = round(start * recording.rate)
    last = first + round((window or seconds) * recording.rate)
    cut = np.stack([values[first:last] for values in recording.leads.values()])
    if cut.shape[1] < 2:
        raise RecordError(f"{recording.source} has {cut.shape[1]} samples from {start:g} s on")
    leads = tuple(recording.leads)
    notes = [*recording.notes, *_complaints(recording, leads, cut)]
    if window is None and whole_length > cut.shape[1]:
        notes.append(f"{seconds:g} s from {start:g} s on are read, of {length:g} s")
    if recording.rate != rate:
        notes.append(f"resampled from {recording.rate:g} to {rate} Hz")
    whole = signal.repair(cut)
    even = signal.resample(whole, recording.rate, rate)
    doubts = recording.doubts | plausible.doubts(leads, even, rate)
    notes += [plausible.SAYS[fact].format(figures) for fact, figures in doubts.items()]
    notes += judging.exchanged(leads, even) if "einthoven" in doubts else []
    notes += judging.complaints(leads, whole, recording.rate)
    measured = even.shape[1] / rate
    if even.shape[1] < samples:
        notes.append(f"only {measured:.3g} s; zeros fill it up to {seconds:g} s")
        even = signal.pad(even, samples)
    return Prepared(
        record=recording.source,
        start=start,
        seconds=min(measured, seconds),
        leads=leads,
        signal=signal.crop(even, samples, "start"),
        notes=tuple(notes),
        left_out=recording.left_out,
    )


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
