"""The heart's dipole as a sum of waves in time, each with a direction in space."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Signal = NDArray[np.float32]

LEFT, FOOT, BACK = 0, 1, 2
"""Axes of the dipole, as Frank's X, Y and Z: toward the patient's left, feet and back."""

EDGE = 2.0
"""A wave begins and ends this many widths from its centre (where 14 % of it is left)."""
FAR = np.float32(50.0)
"""Squared widths beyond which a wave falls no further: 1e-11 of it is left."""


@dataclass(frozen=True)
class Waves:
    """Bell-shaped (or flat-topped) waves of the dipole, one a row.

    Attributes:
        centre: (wave,) seconds from the onset the waves are told from.
        rise: (wave,) seconds, width before the centre.
        fall: (wave,) seconds, width after the centre.
        vector: (wave, 3) mV toward LEFT, FOOT, BACK.
        flat: (wave,) bool; True is a plateau (exponent 6), False a Gaussian.
    """

    centre: Array
    rise: Array
    fall: Array
    vector: Array
    flat: NDArray[np.bool_]

    @property
    def onset(self) -> float:
        """Seconds at which the first wave begins."""
        return float((self.centre - EDGE * self.rise).min())

    @property
    def end(self) -> float:
        """Seconds at which the last wave ends."""
        return float((self.centre + EDGE * self.fall).max())

    @property
    def area(self) -> Array:
        """(3,) mV s: what the waves sum up to, the vector an electrical axis is measured on."""
        return np.asarray((self.rise + self.fall) @ self.vector)

    def moved(self, seconds: float) -> "Waves":
        return Waves(self.centre + seconds, self.rise, self.fall, self.vector, self.flat)

    def stretched(self, factor: float) -> "Waves":
        """The same waves, `factor` times as slow."""
        rise, fall = self.rise * factor, self.fall * factor
        return Waves(self.centre * factor, rise, fall, self.vector, self.flat)

    def blurred(self, seconds: float) -> "Waves":
        """The same waves behind a Gaussian low-pass of that width: wider, and as large in area."""
        rise, fall = np.hypot(self.rise, seconds), np.hypot(self.fall, seconds)
        lower = (self.rise + self.fall) / (rise + fall)
        return Waves(self.centre, rise, fall, self.vector * lower[:, None], self.flat)

    def scaled(self, factor: "float | Array") -> "Waves":
        """Amplitudes times `factor`: a number, or one number a wave."""
        vector = self.vector * np.reshape(factor, (-1, 1))
        return Waves(self.centre, self.rise, self.fall, vector, self.flat)

    def scaled_first(self, *gains: float) -> "Waves":
        """The first waves times `gains`, one each; the waves a lesion has added stay."""
        rest = np.ones(len(self.centre) - len(gains))
        return self.scaled(np.concatenate([gains, rest]))

    def turned(self, matrix: Array) -> "Waves":
        """Directions mapped by a (3, 3) matrix."""
        vector = self.vector @ matrix.T
        return Waves(self.centre, self.rise, self.fall, vector, self.flat)

    def from_onset(self) -> "Waves":
        """Moved so that the first wave begins at 0."""
        return self.moved(-self.onset)


def waves(*rows: tuple[float, float, float, tuple[float, float, float]]) -> Waves:
    """Gaussian waves from rows of (centre ms, rise ms, fall ms, vector mV)."""
    table = np.array([row[:3] for row in rows]) / 1000
    vector = np.array([row[3] for row in rows])
    return Waves(table[:, 0], table[:, 1], table[:, 2], vector, np.zeros(len(rows), dtype=bool))


def plateau(start: float, stop: float, vector: Array) -> Waves:
    """One flat-topped wave from `start` to `stop` (seconds)."""
    centre, half = np.array([(start + stop) / 2]), np.array([(stop - start) / 2])
    return Waves(centre, half, half, np.reshape(vector, (1, 3)), np.ones(1, dtype=bool))


def joined(parts: Sequence[Waves]) -> Waves:
    """All waves of `parts`, in their order."""
    return Waves(
        np.concatenate([p.centre for p in parts]),
        np.concatenate([p.rise for p in parts]),
        np.concatenate([p.fall for p in parts]),
        np.concatenate([p.vector for p in parts]),
        np.concatenate([p.flat for p in parts]),
    )


def dipole(parts: Waves, samples: int, rate: int) -> Signal:
    """The sum of all waves, sampled: (3, `samples`) in mV at `rate` Hz from time 0."""
    return dipoles([parts], samples, rate)[0]


def dipoles(
    beats: Sequence[Waves], samples: int, rate: int, start: float = 0.0, blur: float = 0.0
) -> list[Signal]:
    """`dipole` of each of `beats`, all drawn at once, from `start` seconds on.

    Args:
        blur: seconds; the width of a Gaussian low-pass behind which they are.
    """
    every = joined(beats) if len(beats) > 1 else beats[0]
    if blur:
        every = every.blurred(blur)
    centre, rise, fall = (
        each[:, None].astype(np.float32)
        for each in (every.centre - start, 1 / every.rise, 1 / every.fall)
    )
    offset = np.arange(samples, dtype=np.float32) * np.float32(1 / rate) - centre
    offset = np.maximum(offset * fall, offset * -rise)  # distance, in widths of its own side
    np.square(offset, out=offset)
    np.minimum(offset, FAR, out=offset)
    flat = np.flatnonzero(every.flat)
    if len(flat):
        offset[flat] = np.minimum(offset[flat] ** 3, FAR)
    offset *= np.float32(-0.5)
    np.exp(offset, out=offset)
    vector, first, out = every.vector.T.astype(np.float32), 0, []
    for one in beats:
        last = first + len(one.centre)
        out.append(vector[:, first:last] @ offset[first:last])
        first = last
    return out
