"""Signals between a corpus's file and a model's input: crop, repair, resample, pad, normalise.

Everywhere the last two axes are (lead, sample). Stored values are int16 microvolt; `NAN` marks a
sample that the recorder did not measure.
"""

from fractions import Fraction
from typing import Literal

import numpy as np

NAN = -32768  # the int16 value that stands for NaN, as in WFDB format 16
LIMIT = 32767  # microvolt; larger magnitudes are clipped
USUAL = 200.0  # microvolt, about the standard deviation of an ECG
EPSILON = 1e-8  # keeps the division by the range of a flat record finite (MERL's value)

Crop = Literal["start", "centre"]
Kind = Literal["minmax", "zscore", "millivolt", "root"]


def to_int16(microvolt: np.ndarray, nan: np.ndarray) -> tuple[np.ndarray, int]:
    """Whole microvolts as int16 with `NAN` where `nan` is true; how many samples were clipped."""
    held = np.where(nan, 0, microvolt)
    clipped = np.clip(held, -LIMIT, LIMIT)
    saturated = int(np.count_nonzero(held != clipped))
    result = clipped.astype(np.int16)
    result[nan] = NAN
    return result, saturated


def crop(signal: np.ndarray, samples: int, where: Crop) -> np.ndarray:
    """At most `samples` samples: the first ones, or those around the middle."""
    surplus = signal.shape[-1] - samples
    if surplus <= 0:
        return signal
    start = 0 if where == "start" else surplus // 2
    return signal[..., start : start + samples]


def pad(signal: np.ndarray, samples: int) -> np.ndarray:
    """Zeros after the signal until it has `samples` samples."""
    if signal.shape[-1] == samples:
        return signal
    widths = [(0, 0)] * (signal.ndim - 1) + [(0, samples - signal.shape[-1])]
    return np.pad(signal, widths)


def repair(signal: np.ndarray) -> np.ndarray:
    """Each lead's `NAN` samples by linear interpolation between their neighbours.

    Before the first and after the last measured sample, that sample's value is held.

    Args:
        signal: int16 (lead, sample); a lead without any measured sample stays as it is.
    """
    repaired = signal.copy()
    position = np.arange(signal.shape[-1])
    for lead in np.flatnonzero((signal == NAN).any(axis=-1)):
        measured = signal[lead] != NAN
        if measured.any():
            filled = np.interp(position[~measured], position[measured], signal[lead][measured])
            repaired[lead, ~measured] = np.round(filled)
    return repaired


def resample(signal: np.ndarray, rate: float, target: float) -> np.ndarray:
    """int16 (lead, sample) from `rate` to `target` Hz through a polyphase filter.

    For the filter, a lead goes on beyond its ends as its own point reflection, so that neither a
    baseline offset nor a slope makes a step there.
    """
    if rate == target or signal.shape[-1] < 2:  # of one sample, nothing goes on
        return signal
    from scipy.signal import resample_poly  # a second to import, and few corpora need it

    ratio = (Fraction(target) / Fraction(rate)).limit_denominator(5000)
    values = signal.astype(np.float64)
    values = resample_poly(
        values, ratio.numerator, ratio.denominator, axis=-1, padtype="antireflect"
    )
    values = np.round(values)
    return to_int16(values, np.zeros(values.shape, bool))[0]


def normalise(
    signal: np.ndarray,
    kind: Kind,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
) -> np.ndarray:
    """What the encoder sees: float32 of the signal's shape.

    Args:
        signal: microvolt (..., lead, sample): the leads that are there, and no others.
        kind: `minmax` brings each record's range over its leads to [0, 1], as MERL does;
            `zscore` gives each record mean 0 and deviation 1 over its leads; `millivolt` keeps
            the voltage; `root`, between these two, divides by the geometric mean of the record's
            deviation and the usual one, so that half of what its size tells (in decibels) stays.
        low, high: microvolt (...), the range `minmax` uses; by default that of `signal`.

    Raises:
        ValueError: an unknown kind.
    """
    values = signal.astype(np.float32)
    if kind == "millivolt":
        return values / 1000
    if kind in ("zscore", "root"):
        # In float64: a constant record must leave nothing that EPSILON could magnify.
        mean = values.mean(axis=(-2, -1), keepdims=True, dtype=np.float64)
        deviation = values.std(axis=(-2, -1), keepdims=True, dtype=np.float64)
        divisor = deviation + EPSILON
        if kind == "root":
            divisor = np.sqrt(divisor * USUAL)
        return np.asarray((values - mean) / divisor, np.float32)
    if kind == "minmax":
        bottom = _per_record(signal.min(axis=(-2, -1)) if low is None else low)
        top = _per_record(signal.max(axis=(-2, -1)) if high is None else high)
        return np.asarray((values - bottom) / (top - bottom + np.float32(EPSILON)))
    raise ValueError(f"signal.normalise is {kind!r}; choose minmax, zscore, millivolt or root")


def _per_record(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)[..., None, None]
