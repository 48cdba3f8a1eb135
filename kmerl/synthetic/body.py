"""From the heart's dipole to electrodes, and from electrodes to twelve leads.

Leads are differences of electrode potentials and nothing else, so Einthoven's and Goldberger's
relations hold for whatever reaches the electrodes: heart, muscle, mains, wander.
"""

import numpy as np
from numpy.typing import NDArray

from kmerl.leads import LEADS
from kmerl.synthetic.waves import Array

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

SMALLEST, LARGEST = -32767, 32767
"""int16 without -32768, which WFDB format 16 keeps for a missing sample."""


def lead_field(rng: np.random.Generator, size: float) -> Array:
    """(9, 3): potential of each electrode for a unit dipole, in one patient's body.

    Args:
        size: 1 is the average chest; larger is farther from the heart (lower voltages).
    """
    eight = DOWER * rng.normal(1, 0.05, (8, 1)) + rng.normal(0, 0.03, (8, 3))
    eight[2:] = (eight[2:] + _towards_neighbour(eight[2:], rng.normal(0, 0.12))) / size
    eight[:2] /= np.sqrt(size)
    return electrodes_of(eight)


def electrodes_of(eight: Array) -> Array:
    """(8, n) potentials of I, II, V1..V6 -> (9, n) of ELECTRODES against Wilson's terminal."""
    right_arm = -(eight[0] + eight[1]) / 3
    return np.vstack([right_arm, right_arm + eight[0], right_arm + eight[1], eight[2:]])


def _towards_neighbour(chest: Array, share: float) -> Array:
    """What the chest leads gain when the whole row of electrodes slips along the chest."""
    neighbour = np.roll(chest, -1 if share > 0 else 1, axis=0)
    edge = -1 if share > 0 else 0
    neighbour[edge] = chest[edge]
    return abs(share) * (neighbour - chest)


def digitised(electrodes: NDArray[np.float32], units_per_mv: float) -> NDArray[np.int16]:
    """(9, sample) mV at ELECTRODES -> (12, sample) int16 in LEADS order, `units_per_mv` to a mV.

    I, II and V1..V6 are rounded; the other four are computed from the integers of I and II, so
    III = II - I holds exactly, and aVR, aVL, aVF within the half unit that halving costs (halves
    go to the even number). I and II are limited so that no derived lead leaves int16.
    """
    right, left, leg = electrodes[:3]
    wilson = (right + left + leg) / 3
    limb = np.rint(np.stack([left - right, leg - right]) * units_per_mv)
    first, second = np.clip(limb, SMALLEST // 2, LARGEST // 2)
    chest = np.clip(np.rint((electrodes[3:] - wilson) * units_per_mv), SMALLEST, LARGEST)
    derived = {
        "I": first,
        "II": second,
        "III": second - first,
        "aVR": np.rint(-(first + second) / 2),
        "aVL": np.rint(first - second / 2),
        "aVF": np.rint(second - first / 2),
    }
    limbs = np.stack([derived[lead] for lead in LEADS[:6]])
    return np.concatenate([limbs, chest]).astype(np.int16)
