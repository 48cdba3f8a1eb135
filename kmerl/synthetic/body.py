"""From the heart's dipole to electrodes, and from electrodes to twelve leads.

Leads are differences of electrode potentials and nothing else, so Einthoven's and Goldberger's
relations hold for whatever reaches the electrodes: heart, muscle, mains, wander.
"""

import numpy as np
from numpy.typing import NDArray

from kmerl.leads import LEADS
from kmerl.synthetic.waves import Array, Signal

ELECTRODES = ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")

DOWER = np.array(
    [
        [0.632, -0.235, 0.059],  # I
        [0.235, 1.066, -0.132],  # II
        [-0.515, 0.157, -0.917],  # V1
        [0.044, 0.164, -1.387],  # V2
        [0.882, 0.098, -1.277],  # V3
        [1.213, 0.127, -0.601],  # V4
        [1.125, 0.127, -0.086],  # V5
        [0.831, 0.076, 0.230],  # V6
    ]
)
"""Lead vectors (left, foot, back) of the eight independent leads: Dower, Machado and Osborne 1980,
"On deriving the electrocardiogram from vectorcardiographic leads"."""

ATRIAL = np.vstack(
    [
        DOWER[:2],
        [
            [-0.09, 0.01, -0.73],  # V1
            [0.28, -0.12, -0.75],  # V2
            [0.26, 0.22, -0.52],  # V3
            [0.25, 0.34, -0.31],  # V4
            [0.25, 0.32, -0.16],  # V5
            [0.25, 0.28, -0.08],  # V6
        ],
    ]
)
"""Those of the atria, which are nearer to the back and farther from the chest's electrodes: fitted
to the P waves of 500 normal records of PTB-XL's folds 1 to 8, the limb leads held."""

SMALLEST, LARGEST = -32767, 32767
"""int16 without -32768, which WFDB format 16 keeps for a missing sample."""


EIGHT = np.zeros((8, 9))
"""I, II and V1..V6 as differences of ELECTRODES."""
EIGHT[0, :2], EIGHT[1, [0, 2]] = (-1, 1), (-1, 1)
EIGHT[2:, :3], EIGHT[2:, 3:] = -1 / 3, np.eye(6)


def lead_field(rng: np.random.Generator, size: float) -> Array:
    """(9, 6): potential of each electrode for a unit dipole of the ventricles (left, foot, back)
    and one of the atria, in one patient's body.

    Args:
        size: 1 is the average chest; larger is farther from the heart (lower voltages).
    """
    both = np.hstack([DOWER, ATRIAL])
    eight = both * rng.normal(1, 0.07, (8, 1)) + rng.normal(0, 0.04, (8, 6))
    eight[2:] = (eight[2:] + _towards_neighbour(eight[2:], rng.normal(0, 0.15))) / size
    eight[:2] /= np.sqrt(size)
    return electrodes_of(eight)


def electrodes_of(eight: Array) -> Array:
    """(8, n) potentials of I, II, V1..V6 -> (9, n) of ELECTRODES against Wilson's terminal."""
    right_arm = -(eight[0] + eight[1]) / 3
    return np.vstack([right_arm, right_arm + eight[0], right_arm + eight[1], eight[2:]])


def _towards_neighbour(chest: Array, share: float) -> Array:
    """What the chest leads gain when the whole row of electrodes slips along the chest."""
    gain = np.zeros_like(chest)
    if share > 0:
        gain[:-1] = share * (chest[1:] - chest[:-1])
    else:
        gain[1:] = share * (chest[1:] - chest[:-1])
    return gain


def digitised(electrodes: Array, units_per_mv: float) -> NDArray[np.int16]:
    """(9, sample) mV at ELECTRODES -> (12, sample) int16 in LEADS order, `units_per_mv` to a mV."""
    return twelve((EIGHT @ electrodes * units_per_mv).astype(np.float32))


def twelve(eight: Signal) -> NDArray[np.int16]:
    """(8, sample) units in I, II, V1..V6 -> (12, sample) int16 in LEADS order; `eight` is rounded.

    I, II and V1..V6 are rounded; the other four are computed from the integers of I and II, so
    III = II - I holds exactly, and aVR, aVL, aVF within the half unit that halving costs (halves
    go to the even number). I and II are limited so that no derived lead leaves int16.
    """
    np.rint(eight, out=eight)
    for rows, low, high in (
        (eight[:2], SMALLEST // 2, LARGEST // 2),
        (eight[2:], SMALLEST, LARGEST),
    ):
        np.maximum(rows, np.float32(low), out=rows)
        np.minimum(rows, np.float32(high), out=rows)
    out = np.empty((len(LEADS), eight.shape[1]), np.int16)
    out[:2], out[6:] = eight[:2], eight[2:]
    first, second = out[:2]
    out[2] = second - first
    out[3] = -_halved(first + second)
    out[4] = first - (second >> 1)
    out[4] -= second & out[4] & 1
    out[5] = second - (first >> 1)
    out[5] -= first & out[5] & 1
    return out


def _halved(values: NDArray[np.int16]) -> NDArray[np.int16]:
    """Half of each, halves to the even number."""
    floor = values >> 1
    return floor + (values & floor & 1)
