"""From the channels of a file to a recording: leads named, in microvolt, and the rest named too."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from kmerl import signal
from kmerl.leads import LEADS
from kmerl.recordings import long, names
from kmerl.recordings.headers import RATES, microvolts
from kmerl.recordings.recording import Channel, Contents, RecordError, Recording, Told

MOST_MILLIVOLT = 100.0  # no ECG electrode sees more: the unit must be another
DERIVED = {  # of limb leads, (weights, leads): Einthoven's law and Goldberger's leads
    "I": ((1.0, "II"), (-1.0, "III")),
    "II": ((1.0, "I"), (1.0, "III")),
    "III": ((1.0, "II"), (-1.0, "I")),
    "aVR": ((-0.5, "I"), (-0.5, "II")),
    "aVL": ((1.0, "I"), (-0.5, "II")),
    "aVF": ((1.0, "II"), (-0.5, "I")),
}


def assemble(source: str, kind: str, contents: Contents, told: Told) -> Recording:
    """The recording that a file's contents are, with what a person says of them.

    Raises:
        RecordError: no lead, a unit or a rate that nobody says, or that both say differently.
    """
    if told.channels and not contents.named:
        contents = replace(contents, channels=_renamed(source, contents.channels, told.channels))
    channels = contents.channels
    try:
        choice = names.choose([one.name for one in channels], told.leads)
    except RecordError as error:
        raise RecordError(f"{source}: {error}") from None
    if contents.named or told.leads:
        check_leads(source, choice)
    _ask(source, contents, choice, told)
    left_out = dict(contents.left_out) | {
        name: _why(channels, name, why) for name, why in choice.left_out.items()
    }
    chosen = {lead: channels[row] for lead, row in choice.rows.items()}
    rate, length = _grid(source, chosen, told)
    for lead, one in list(chosen.items()):
        if (one.rate or rate, len(one.values)) != (rate, length):
            seconds = len(one.values) / (one.rate or rate)
            why = f"{seconds:g} s at {one.rate or rate:g} Hz beside {length / rate:g} s at {rate:g}"
            names.add(left_out, one.name, choice.rows[lead], why)
            del chosen[lead]
    notes, leads, saturated = [*contents.notes, *choice.notes], {}, 0
    for lead, one in chosen.items():
        leads[lead], clipped, said = _microvolt(source, lead, one, choice.signs[lead], told)
        saturated, notes = saturated + clipped, notes + said
    return finish(
        Recording(
            source=source,
            rate=rate,
            leads=leads,
            doubts={"saturated": f"{saturated} samples"} if saturated else {},
            notes=tuple(notes),
            left_out=left_out,
            kind=kind,
            date=contents.date,
            person=contents.person,
        ),
        derive=told.derive or contents.derived,
    )


def finish(recording: Recording, derive: bool) -> Recording:
    """With the limb leads that follow from two others, where they are asked for."""
    if not derive:
        return recording
    leads = dict(recording.leads)
    for lead in ("I", "II", "III", "aVR", "aVL", "aVF"):
        parts = DERIVED[lead]
        if lead not in leads and all(part in leads for _, part in parts):
            weights = [weight for weight, _ in parts]
            leads[lead] = long.each(partial(_sum, weights), *(leads[part] for _, part in parts))
    made = [lead for lead in leads if lead not in recording.leads]
    note = f"{', '.join(made)} computed from the other limb leads"
    notes = (*recording.notes, note) if made else recording.notes
    return replace(recording, leads=leads, notes=notes)


def check_leads(source: str, choice: names.Choice) -> None:
    """
    Raises:
        RecordError: no channel is a lead.
    """
    if not choice.rows:
        first = next(iter(choice.left_out), "NAME")
        raise RecordError(
            f"{source} names none of the leads {', '.join(LEADS)}; it has "
            f"{', '.join(choice.left_out) or 'nothing'}: say which is which, "
            f'--map "{first}=II"'
        )


def _ask(source: str, contents: Contents, choice: names.Choice, told: Told) -> None:
    """
    Raises:
        RecordError: neither the file nor a person says what is needed; all of it at once.
    """
    chosen = [contents.channels[row] for row in choice.rows.values()] or contents.channels
    asked = []
    if not choice.rows:
        asked.append(f"which leads its {len(chosen)} channels are: --channels I,II,...")
    if not told.rate and not any(one.rate for one in chosen):
        asked.append("how fast it was sampled: --rate HZ")
    if not told.unit and not all(one.unit for one in chosen):
        asked.append("its unit: --unit mV, uV or V")
    if asked:
        raise RecordError(f"{source} does not say {'; nor '.join(asked)}")


def _renamed(
    source: str, channels: tuple[Channel, ...], told: tuple[str, ...]
) -> tuple[Channel, ...]:
    if len(told) != len(channels):
        raise RecordError(
            f"{source} has {len(channels)} channels; --channels names {len(told)} of them"
        )
    return tuple(replace(one, name=name) for one, name in zip(channels, told, strict=True))


def _why(channels: tuple[Channel, ...], name: str, why: str) -> str:
    """Why a channel is left out, with its unit where that says that it is no ECG at all."""
    unit = next((one.unit for one in channels if one.name.strip() == name), "")
    return f"{why}, in {unit}" if unit and microvolts(unit) is None else why


def _grid(source: str, chosen: dict[str, Channel], told: Told) -> tuple[float, int]:
    """Rate and samples of most leads, of several such the fastest.

    Raises:
        RecordError: the file and a person differ, or the rate can be none.
    """
    kinds = Counter((one.rate, len(one.values)) for one in chosen.values())
    rate, length = max(kinds, key=lambda kind: (kinds[kind], kind))
    if rate and told.rate and not math.isclose(rate, told.rate, rel_tol=0.01):
        raise RecordError(f"{source} says {rate:g} Hz, --rate says {told.rate:g}; leave out --rate")
    rate = rate or told.rate
    if not RATES[0] <= rate <= RATES[1]:
        raise RecordError(f"{source}: a rate of {rate:g} Hz is none; give samples a second")
    return rate, length


def _microvolt(
    source: str, lead: str, one: Channel, sign: int, told: Told
) -> tuple[long.Values, int, list[str]]:
    """int16 microvolt of a channel, how many samples were clipped, and what is said of it."""
    own = microvolts(one.unit)
    scale = told.step if own is None else own
    if scale is None:
        raise RecordError(
            f"{source}: lead {lead} is in {one.unit!r}, which is no voltage; give --unit"
        )
    if own is not None and told.step not in (None, own):
        raise RecordError(f"{source} says {one.unit}, --unit says {told.unit}; leave out --unit")
    physical = partial(_physical, one, scale * sign)
    low, high, constant = np.inf, -np.inf, 0.0
    for held, nan in map(physical, long.parts(one.values)):
        low = held.min(initial=low, where=~nan)
        high = held.max(initial=high, where=~nan)
    notes: list[str] = []
    clipped = 0
    if max(-low, high) > signal.LIMIT:
        middle = _median(held[~nan] for held, nan in map(physical, long.parts(one.values)))
        if max(high - middle, middle - low) <= signal.LIMIT:  # an amplifier coupled directly
            constant = middle
            notes.append(f"lead {lead}: a constant voltage of {middle / 1000:.4g} mV is taken away")
        elif own is None and max(-low, high) > MOST_MILLIVOLT * 1000:
            figure = f"{max(-low, high) / scale:g} {told.unit}"
            raise RecordError(f"{source}: {figure} is no ECG; give its true --unit")
        for held, nan in map(physical, long.parts(one.values)):
            clipped += signal.to_int16(np.round(held - constant), nan)[1]

    def whole(values: np.ndarray) -> np.ndarray:
        held, nan = physical(values)
        return signal.to_int16(np.round(held - constant), nan)[0]

    return long.each(whole, one.values), clipped, notes


def _physical(one: Channel, scale: float, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Microvolts of some values of a channel, 0 where they were not measured; and where that is."""
    numbers = values.astype(np.float64)
    nan = ~np.isfinite(numbers)
    if one.missing is not None:
        nan |= values == one.missing
    with np.errstate(over="ignore", invalid="ignore"):
        return (np.where(nan, 0.0, numbers) * one.gain + one.offset) * scale, nan


def _median(parts: Iterable[np.ndarray]) -> float:
    """Of the numbers of all parts, by how often each is there."""
    values, counts = np.empty(0), np.empty(0, np.int64)
    for part in parts:
        new, more = np.unique(part, return_counts=True)
        values, place = np.unique(np.concatenate([values, new]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([counts, more])).astype(np.int64)
    ends = np.cumsum(counts)
    middle = np.array([(ends[-1] - 1) // 2, ends[-1] // 2])
    return float(values[np.searchsorted(ends, middle, side="right")].mean())


def _sum(weights: Sequence[float], *leads: np.ndarray) -> np.ndarray:
    weighted = zip(weights, leads, strict=True)
    total = np.sum([weight * values.astype(np.float64) for weight, values in weighted], axis=0)
    nan = np.any([values == signal.NAN for values in leads], axis=0)
    return signal.to_int16(np.round(total), nan)[0]
