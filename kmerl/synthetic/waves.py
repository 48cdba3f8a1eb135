"""The heart's dipole as a sum of waves in time, each with a direction in space."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEFT, FOOT, BACK = 0, 1, 2
"""Axes of the dipole, as Frank's X, Y and Z: toward the patient's left, feet and back."""

EDGE = 2.0
"""A wave begins and ends this many widths from its centre (where 14 % of it is left)."""
REACH = 4.0
"""Beyond this many widths a wave is not drawn: less than 0.04 % of it is left."""


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
        return np.asarray((self.vector * (self.rise + self.fall)[:, None]).sum(axis=0))

    def moved(self, seconds: float) -> "Waves":
        return replace(self, centre=self.centre + seconds)

    def stretched(self, factor: float) -> "Waves":
        """The same waves, `factor` times as slow."""
        return replace(
            self,
            centre=self.centre * factor,
            rise=self.rise * factor,
            fall=self.fall * factor,
        )

    def scaled(self, factor: "float | Array") -> "Waves":
        """Amplitudes times `factor`: a number, or one number a wave."""
        return replace(self, vector=self.vector * np.reshape(factor, (-1, 1)))

    def scaled_first(self, *gains: float) -> "Waves":
        """The first waves times `gains`, one each; the waves a lesion has added stay."""
        rest = np.ones(len(self.centre) - len(gains))
        return self.scaled(np.concatenate([gains, rest]))

    def turned(self, matrix: Array) -> "Waves":
        """Directions mapped by a (3, 3) matrix."""
        return replace(self, vector=self.vector @ matrix.T)

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


def dipole(parts: Waves, samples: int, rate: int) -> Array:
    """The sum of all waves, sampled: (3, `samples`) in mV at `rate` Hz from time 0."""
    reach = np.where(parts.flat, REACH / 2, REACH)
    first = np.floor((parts.centre - reach * parts.rise) * rate).astype(int)
    last = np.ceil((parts.centre + reach * parts.fall) * rate).astype(int)
    length = last - first + 1
    out = np.zeros((3, samples))
    for shortest, longest in ((0, 64), (64, 256), (256, int(length.max(initial=256)) + 1)):
        rows = np.flatnonzero((length >= shortest) & (length < longest))
        if len(rows):
            seconds = (first[rows, None] + np.arange(length[rows].max())) / rate
            for row, shape in zip(rows, _shapes(parts, rows, seconds), strict=True):
                begin, stop = max(first[row], 0), min(last[row] + 1, samples)
                if begin < stop:
                    seen = shape[begin - first[row] : stop - first[row]]
                    out[:, begin:stop] += parts.vector[row][:, None] * seen
    return out


def _shapes(parts: Waves, rows: NDArray[np.int_], seconds: Array) -> Array:
    """(row, sample) height, 1 at its centre, of each wave of `rows` at its own `seconds`."""
    offset = seconds - parts.centre[rows, None]
    width = np.where(offset < 0, parts.rise[rows, None], parts.fall[rows, None])
    squared = (offset / width) ** 2
    flat = parts.flat[rows]
    squared[flat] = squared[flat] ** 3
    return np.asarray(np.exp(-0.5 * squared))
