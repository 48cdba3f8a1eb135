"""One patient's heart: the waves of a beat, and the turns and measurements taken on them."""

import csv
from dataclasses import dataclass, replace
from importlib import resources

import numpy as np
from numpy.typing import ArrayLike

from kmerl.synthetic.body import DOWER
from kmerl.synthetic.waves import BACK, FOOT, LEFT, Array, Waves, joined, plateau, waves

QRS_PLACES = (0.17, 0.36, 0.52, 0.68, 0.85)
"""Centres of the waves of QRS (septum, apex, free wall twice, base), as shares of its width."""
QRS_SPREAD = 0.106
"""Width of each of them, as a share of that of QRS."""
AXIS, T_SHARE = 45.0, 0.35
"""Degrees of frontal axis to which the healthy hearts of the table are turned, T by its share."""
NOTCH_PLACES = np.arange(1, 10) / 10
"""Centres of the small waves that notch and slur QRS, as shares of its width."""
NOTCH_SPREAD, NOTCH_SIZE = 0.05, 0.062
"""Their width, as a share of that of QRS, and size, as a share of its largest wave's: what 500
normal records of PTB-XL's folds 1 to 8 leave to the five waves."""
U_WAVE = waves((150, 30, 35, (0.014, 0.010, -0.016)))
"""U, told from the peak of T."""

SCALARS = ("size", "qrs width", "p width", "t rise", "t fall", "pr", "qtc")
VECTORS = (*(f"qrs {k + 1}" for k in range(len(QRS_PLACES))), "st", "t", "p 1", "p 2")
QUANTITIES = (*SCALARS, *(f"{name} {axis}" for name in VECTORS for axis in ("x", "y", "z")))
"""Lines of healthy.csv: logarithms of size (mV) and of four widths (s), PR and QTc (s), and the
waves' vectors (mV; QRS as shares of its size)."""
SHORTEST_PR, LONGEST_PR = 0.122, 0.198
"""Seconds; a shorter PR is preexcitation, a longer one first degree block."""
NARROWEST = 0.0645  # seconds of QRS between the speeds at which it is measured
BEYOND = 2.4
"""Standard deviations at which a draw is cut off: no healthy heart is farther out."""


def _healthy() -> Array:
    """(quantity, column) of healthy.csv: mean, what 15 years and a woman add, own, shared."""
    table = resources.files("kmerl.synthetic") / "healthy.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    rows = {name: numbers for name, *numbers in csv.reader(lines)}
    return np.array([[float(number) for number in rows[name]] for name in QUANTITIES])


HEALTHY = _healthy()
"""How healthy hearts differ: measured on PTB-XL's folds 1 to 8 (benchmarks/healthy.py)."""


@dataclass(frozen=True)
class Heart:
    """What one kind of beat looks like in this patient.

    Attributes:
        p: waves told from P onset.
        qrs: waves told from QRS onset.
        st: (3,) mV, the level between QRS and T.
        t: T and U, told from the peak of T, at a heart rate of 60/min.
        pr: seconds from P onset to QRS onset.
        qtc: seconds from QRS onset to T end at 60/min (Fridericia).
    """

    p: Waves
    qrs: Waves
    st: Array
    t: Waves
    pr: float
    qtc: float

    @property
    def qrs_width(self) -> float:
        """Seconds from QRS onset to QRS end."""
        return self.qrs.end - self.qrs.onset


def rate_factor(rr: float) -> float:
    """Fridericia's cube root, within the rates it was made for."""
    return float(min(max(rr ** (1 / 3), 0.68), 1.12))


def healthy_heart(rng: np.random.Generator, age: float = 55, female: bool = False) -> Heart:
    """A normal heart with one person's own amplitudes, directions and intervals."""
    steady, own, shared = HEALTHY[:, :3], HEALTHY[:, 3], HEALTHY[:, 4:]
    common = np.clip(rng.standard_normal(shared.shape[1]), -BEYOND, BEYOND)
    alone = np.clip(rng.standard_normal(len(own)), -BEYOND, BEYOND)
    values = steady @ np.array([1, (age - 55) / 15, female]) + shared @ common + own * alone
    size, width, p_half, rise, fall = np.exp(values[:5]).tolist()
    width = max(width, NARROWEST)
    pr, qtc = values[5:7].tolist()
    *qrs, st, t, first, second = values[7:].reshape(-1, 3)
    return Heart(
        p=_bells([0.0, 1.6 * p_half], 0.75 * p_half, [first, second]).from_onset(),
        qrs=_bells(
            np.multiply(QRS_PLACES, width), QRS_SPREAD * width, size * np.array(qrs)
        ).from_onset(),
        st=st,
        t=joined([replace(_bells([0.0], rise, [t]), fall=np.array([fall])), U_WAVE]),
        pr=min(max(pr, SHORTEST_PR), LONGEST_PR),
        qtc=min(max(qtc, 0.345), 0.445),
    )


def notched(heart: Heart, rng: np.random.Generator) -> Heart:
    """The heart with the unevenness of one person's QRS: neighbouring notches, opposite in sign.

    QRS stays as wide as it is; a pacemaker's stimulus or a lesion's waves change nothing in it.
    """
    steps = np.diff(rng.standard_normal((len(NOTCH_PLACES) + 1, 3)), axis=0) / np.sqrt(2)
    size = NOTCH_SIZE * float(np.exp(0.35 * np.clip(rng.standard_normal(), -2, 2)))
    largest = float(np.linalg.norm(heart.qrs.vector, axis=1).max())
    taper = np.minimum(1.0, 0.4 + 1.6 * np.sin(np.pi * NOTCH_PLACES) ** 2)
    places, width = heart.qrs.onset + NOTCH_PLACES * heart.qrs_width, NOTCH_SPREAD
    uneven = _bells(places, width * heart.qrs_width, size * largest * taper[:, None] * steps)
    return replace(heart, qrs=joined([heart.qrs, uneven]))


def _bells(places: ArrayLike, width: float, vectors: ArrayLike) -> Waves:
    centre, vector = np.asarray(places, float), np.asarray(vectors, float)
    widths = np.full(len(centre), width)
    return Waves(centre, widths, widths, vector, np.zeros(len(centre), dtype=bool))


def beat(heart: Heart, factor: float) -> Waves:
    """QRS, ST, T and U of one beat, told from QRS onset.

    Args:
        factor: `rate_factor` of the interval before it; QT and T are that many times as long.
    """
    t_waves = heart.t.stretched(factor)
    peak = heart.qtc * factor - 2 * float(t_waves.fall[0])
    start = heart.qrs.end - 0.012
    level = plateau(start, max(peak, start + 0.06), heart.st)
    return joined([heart.qrs, level, t_waves.moved(peak)])


def frontal_axis(vector: Array) -> Array:
    """Degrees of dipole vectors (3, ...) in the frontal plane, as a cart reads them from I and aVF.

    0 is toward the left arm, +90 toward the feet.
    """
    first, second = DOWER[:2] @ vector
    foot = (2 * second - first) / np.sqrt(3)
    return np.asarray(np.degrees(np.arctan2(foot, first)))


def frontal_turn(degrees: float) -> Array:
    """(3, 3) turn in the frontal plane; positive is clockwise as seen by the reader."""
    return _turn(degrees, LEFT, FOOT)


def horizontal_turn(degrees: float) -> Array:
    """(3, 3) turn about the long axis of the body; positive is clockwise seen from the feet:
    leftward forces go backward, and the transition moves toward V6."""
    return _turn(degrees, LEFT, BACK)


def _turn(degrees: float, source: int, target: int) -> Array:
    angle = np.radians(degrees)
    matrix = np.eye(3)
    matrix[source, source] = matrix[target, target] = np.cos(angle)
    matrix[target, source], matrix[source, target] = np.sin(angle), -np.sin(angle)
    return matrix


def with_axis(heart: Heart, degrees: float, t_share: float = 0.5) -> Heart:
    """The heart turned until the frontal QRS axis is `degrees`; T follows by `t_share` of that.

    What lies across the wanted axis is a sinusoid of the turn, beside what the force toward the
    back adds to I and II; the turn is where it is zero, on the axis's own side. Where it never is,
    the turn that comes nearest.
    """
    left, foot, back = heart.qrs.area.tolist()
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    across = cosine * _FRONTAL[1] - sine * _FRONTAL[0]  # 0 on the line of the axis
    along = sine * _FRONTAL[1] + cosine * _FRONTAL[0]
    at_cosine, at_sine = (float(across[:2] @ each) for each in ((left, foot), (-foot, left)))
    size = max(float(np.hypot(at_cosine, at_sine)), 1e-12)
    half = float(np.arccos(min(max(-float(across[BACK]) * back / size, -1.0), 1.0)))
    middle = float(np.arctan2(at_sine, at_cosine))

    def projected(angle: float) -> float:
        here, lower = np.cos(angle), np.sin(angle)
        return float(along[:2] @ (left * here - foot * lower, foot * here + left * lower))

    turn = float(np.degrees(max(middle - half, middle + half, key=projected)))
    turn = (turn + 180) % 360 - 180
    t_waves = heart.t.turned(frontal_turn(t_share * turn))
    return replace(heart, qrs=heart.qrs.turned(frontal_turn(turn)), t=t_waves)


_FRONTAL = np.stack([DOWER[0], (2 * DOWER[1] - DOWER[0]) / np.sqrt(3)])
"""Directions of leads I and aVF, of which a cart reads the frontal axis."""
