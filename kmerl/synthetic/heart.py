"""One patient's heart: the waves of a beat, and the turns and measurements taken on them."""

from dataclasses import dataclass, replace

import numpy as np

from kmerl.synthetic.body import DOWER
from kmerl.synthetic.waves import BACK, FOOT, LEFT, Array, Waves, joined, plateau, waves

P_WAVES = waves(
    (26, 13, 15, (0.03, 0.105, -0.045)),  # right atrium: down and forward
    (58, 16, 15, (0.065, 0.055, 0.030)),  # left atrium: left and back
)
QRS_WAVES = waves(
    (13, 5.5, 6, (-0.17, -0.04, -0.24)),  # septum: rightward, forward
    (31, 8, 8, (0.74, 0.55, -0.34)),  # apex
    (46, 8.5, 9, (0.80, 0.42, 0.74)),  # left free wall: left, back
    (67, 8, 8, (-0.14, -0.15, 0.34)),  # base
)
T_WAVES = waves(
    (0, 58, 40, (0.37, 0.24, -0.18)),
    (150, 30, 35, (0.014, 0.010, -0.016)),  # U
)
"""T and U, told from the peak of T."""


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


def healthy_heart(rng: np.random.Generator) -> Heart:
    """A normal heart with one person's own amplitudes, directions and intervals."""
    qrs = _varied(QRS_WAVES.stretched(rng.normal(1.06, 0.06)), rng, 0.13)
    return Heart(
        p=_varied(P_WAVES.stretched(rng.normal(1.08, 0.06)), rng, 0.15).from_onset(),
        qrs=qrs.from_onset(),
        st=rng.normal(0, 0.012, 3) + np.array([0.01, 0.005, -0.02]),
        t=_varied(T_WAVES, rng, 0.18),
        pr=float(np.clip(rng.normal(0.155, 0.018), 0.124, 0.192)),
        qtc=float(np.clip(rng.normal(0.410, 0.016), 0.365, 0.440)),
    )


def _varied(parts: Waves, rng: np.random.Generator, spread: float) -> Waves:
    """Every wave with its own amplitude and direction; `spread` is relative."""
    size = np.linalg.norm(parts.vector, axis=1, keepdims=True)
    away = rng.normal(0, spread * 0.6, parts.vector.shape) * size
    gain = np.exp(rng.normal(0, spread, (len(size), 1)))
    return replace(parts, vector=parts.vector * gain + away)


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
