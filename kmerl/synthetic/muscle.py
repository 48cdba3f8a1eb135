"""How hypertrophy, infarction, ischaemia and other ST-T changes alter the waves of a beat.

An injured wall is a direction: dead muscle takes away the early forces toward it (Q), injured
muscle shifts ST toward it, and T points away from it later. Reciprocal changes follow by
themselves. Functions take a heart, a strength (1 is typical) and the patient's random stream.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kmerl.synthetic.body import DOWER
from kmerl.synthetic.heart import Heart, frontal_axis, horizontal_turn, with_axis
from kmerl.synthetic.waves import Array, Waves, joined, waves

Random = np.random.Generator
Shape = Callable[[Heart, float, Random], Heart]

WALLS = {
    "inferior": (-0.70, 0.71, 0.0),  # III, aVF, II
    "anterior": (0.18, 0.08, -0.95),  # V2-V4
    "anteroseptal": (-0.22, 0.05, -0.97),  # V1-V3
    "lateral": (0.93, -0.34, 0.12),  # I, aVL, V5, V6
    "anterolateral": (0.75, -0.10, -0.60),  # V3-V6, I, aVL
    "inferolateral": (0.40, 0.85, 0.25),  # II, III, aVF, V5, V6
    "posterior": (-0.10, 0.25, 0.96),  # mirrored in V1-V3: tall R
    "inferoposterior": (-0.40, 0.70, 0.60),
}
"""Direction (left, foot, back) from the heart's centre to the wall, and the leads over it."""

REACH = {
    "inferior": (0.90, 0.21, 18.0),
    "anterior": (0.75, 0.18, 21.0),
    "anteroseptal": (0.90, 0.26, 25.0),
    "lateral": (0.90, 0.34, 16.0),
    "anterolateral": (0.70, 0.28, 22.0),
    "inferolateral": (0.70, 0.28, 20.0),
    "posterior": (0.60, 0.34, 34.0),
    "inferoposterior": (0.70, 0.28, 24.0),
}
"""Of each wall: share of the early forces that die with it, mV of Q and the ms of its depth."""


ISCHAEMIC = ("anterolateral", "inferior", "anteroseptal", "inferolateral", "lateral", "anterior")
INJURED = ("anteroseptal", "anterolateral", "inferior", "lateral")


def wall(name: str) -> Array:
    """(3,) unit vector toward a wall."""
    vector = np.array(WALLS[name])
    return np.asarray(vector / np.linalg.norm(vector))


def infarct(heart: Heart, territory: str, stage: str, strength: float, rng: Random) -> Heart:
    """Q waves, ST and T of an infarct. `stage` is "acute", "recent" or "old"."""
    toward = wall(territory)
    share, reach, moment = REACH[territory]
    size = float(np.exp(np.clip(rng.normal(0, 0.35), -0.3, 0.7)))
    depth = {"acute": 0.55, "recent": 0.9, "old": 1.0}[stage] * (0.7 + 0.35 * strength) * size
    qrs = _without_early_forces(heart.qrs, toward, min(share * (0.6 + 0.4 * depth), 1.0))
    q_wave = waves((moment, 8.5, 9.5, tuple(-reach * depth * toward)))
    qrs = joined([qrs, q_wave]).from_onset()
    lift = {"acute": rng.uniform(0.11, 0.26), "recent": rng.uniform(0.02, 0.07), "old": 0.012}
    invert = {"acute": -0.10, "recent": 0.40, "old": rng.uniform(0.0, 0.22)}[stage]
    t_vector = heart.t.vector - np.outer([invert * (0.7 + 0.3 * strength), 0], toward)
    st = heart.st + lift[stage] * (0.6 + 0.4 * strength) * toward
    scar = replace(heart.t, vector=t_vector).scaled(rng.uniform(0.45, 0.95))
    return replace(heart, qrs=qrs, st=st, t=scar)


def _without_early_forces(qrs: Waves, toward: Array, share: float) -> Waves:
    """QRS less `share` of what points at the wall in the first half of it."""
    early = 1 / (1 + np.exp((qrs.centre - 0.040) / 0.008))
    along = np.clip(qrs.vector @ toward, 0, None)
    lost = np.outer(share * np.maximum(early, 0.2) * along, toward)
    return replace(qrs, vector=qrs.vector - lost)


def left_ventricular_hypertrophy(heart: Heart, strength: float, rng: Random) -> Heart:
    """Sokolow-Lyon over 3.5 mV: deep S in V1-V2, tall R in V5-V6; strain when marked."""
    chest = DOWER[[2, 6]] @ _at_times(heart.qrs)
    needed = (2.5 + 0.30 * strength) / max(float(chest[1].max() - chest[0].min()), 0.1)
    gain = max(1.05 + 0.30 * strength + rng.uniform(0, 0.3), min(needed / 0.93, 3.0))
    qrs = heart.qrs.scaled_first(1.0, 0.85 * gain, 1.12 * gain, 0.9 * gain, 0.9)
    grown = replace(heart, qrs=qrs.stretched(1.08))
    if frontal_axis(grown.qrs.area) > 50:
        grown = with_axis(grown, rng.uniform(10, 45))
    strained = float(rng.uniform(0.0, 0.40)) * strength
    away = np.array([0.90, 0.14, 0.58])
    t_vector = grown.t.vector - np.outer([0.95 * strained, 0], away)
    return replace(grown, t=replace(grown.t, vector=t_vector), st=grown.st - 0.22 * strained * away)


def right_ventricular_hypertrophy(heart: Heart, strength: float, rng: Random) -> Heart:
    """Axis over 95 degrees, tall R in V1, deep S in V5-V6, T inverted in V1-V3."""
    forces = waves((48, 9, 10, (-0.42, 0.18, -0.85)), (70, 9, 10, (-0.42, 0.0, -0.12)))
    qrs = heart.qrs.scaled_first(1.0, 0.9, 0.55, 0.6, 0.6)
    grown = replace(heart, qrs=joined([qrs, forces.scaled(0.75 + 0.35 * strength)]))
    grown = with_axis(grown, 97 + 16 * strength + rng.uniform(0, 10), t_share=0.0)
    t_vector = grown.t.vector + np.outer([0.30 + 0.20 * strength, 0], [0.15, -0.1, 0.9])
    st = grown.st + np.array([0.0, -0.02, 0.06])
    return replace(grown, qrs=grown.qrs.from_onset(), t=replace(grown.t, vector=t_vector), st=st)


def left_atrial_enlargement(heart: Heart, strength: float, rng: Random) -> Heart:
    """P over 115 ms and notched in I and II, its end deep and negative in V1."""
    late = heart.p.centre > heart.p.centre.mean()
    width = heart.p.end - heart.p.onset
    delay = np.where(late, max(0.020, 0.112 - width) + 0.010 * strength, 0.0)
    extra = np.outer(late, [0.035, 0.030, 0.050 + 0.030 * strength])
    p_waves = replace(heart.p, centre=heart.p.centre + delay, vector=heart.p.vector + extra)
    return replace(heart, p=p_waves, pr=heart.pr + 0.025)


def right_atrial_enlargement(heart: Heart, strength: float, rng: Random) -> Heart:
    """P over 0.25 mV and peaked in II, III, aVF, tall at its beginning in V1."""
    early = heart.p.centre < heart.p.centre.mean()
    extra = np.outer(early, [0.01, 0.12 + 0.07 * strength, -0.05 - 0.02 * strength])
    narrow = np.where(early, 1.0, 0.85)
    centre = np.where(early, heart.p.centre, heart.p.centre - 0.010)
    return replace(
        heart,
        p=replace(
            heart.p, vector=heart.p.vector + extra, centre=centre, rise=heart.p.rise * narrow
        ),
    )


def ischaemia(heart: Heart, strength: float, rng: Random) -> Heart:
    """ST depressed and T inverted symmetrically over the apex and the side: no territory named."""
    toward = np.array([0.93, rng.uniform(-0.2, 0.5), rng.uniform(-0.1, 0.7)])
    return _ischaemic(heart, toward, strength, rng)


def ischaemia_of(territory: str) -> Shape:
    """As `ischaemia`, over one wall."""
    return lambda heart, strength, rng: _ischaemic(heart, wall(territory), strength, rng)


def _ischaemic(heart: Heart, toward: Array, strength: float, rng: Random) -> Heart:
    toward = toward / np.linalg.norm(toward)
    st = heart.st - rng.uniform(0.3, 1.1) * (0.05 + 0.06 * strength) * toward
    size = 0.06 + rng.uniform(0.0, 0.26) * strength
    return replace(heart, st=st, t=_t_against(heart.t, toward, size))


def injury_of(territory: str) -> Shape:
    """Subendocardial injury of one wall: ST 0.1-0.25 mV away from it, T nearly as it was."""

    def injured(heart: Heart, strength: float, rng: Random) -> Heart:
        lift = (0.06 + 0.09 * strength) * wall(territory)
        return replace(heart, st=heart.st - lift, t=heart.t.scaled(rng.uniform(0.5, 0.9)))

    return injured


def digitalis(heart: Heart, strength: float, rng: Random) -> Heart:
    """ST sags in the leads with a tall R, T low or biphasic, QT short."""
    main = heart.qrs.area / max(float(np.linalg.norm(heart.qrs.area)), 1e-9)
    size = 0.05 + 0.07 * strength
    t_waves = heart.t.scaled(np.array([rng.uniform(0.25, 0.6), 1.0]))
    sag = replace(t_waves, rise=t_waves.rise * 0.9, fall=t_waves.fall * 0.9)
    return replace(heart, st=heart.st - size * main, t=sag, qtc=heart.qtc - 0.03)


def septal_hypertrophy(heart: Heart, strength: float, rng: Random) -> Heart:
    """A thick septum: deep narrow q in I, aVL, V5, V6 and tall R in V1 and V2; T inverted."""
    septum = waves((15, 6, 7, (-0.42, -0.20, -0.55))).scaled(0.7 + 0.4 * strength)
    grown = heart.qrs.scaled_first(1.2, 1.15, 1.2, 1.0, 1.0)
    t_waves = _t_against(heart.t, wall("lateral"), rng.uniform(0.05, 0.3))
    return replace(heart, qrs=joined([grown, septum]).from_onset(), t=t_waves)


def high_voltage(heart: Heart, strength: float, rng: Random) -> Heart:
    """Tall R and deep S without any other sign of a thick wall."""
    return replace(heart, qrs=heart.qrs.scaled(1.25 + 0.3 * strength))


def u_wave(heart: Heart, strength: float, rng: Random) -> Heart:
    """A U wave of 0.1 mV and more in V2-V4."""
    toward = np.array([0.04, 0.02, -0.09]) * (0.7 + 0.4 * strength)
    vector = np.vstack([heart.t.vector[:1], toward])
    return replace(heart, t=replace(heart.t, vector=vector))


def st_depression(heart: Heart, strength: float, rng: Random) -> Heart:
    """0.08-0.2 mV in the leads over the apex; T stays upright but lower."""
    toward = wall("lateral") + rng.uniform(0.4, 0.9) * wall("inferior") + 0.35 * wall("anterior")
    toward = toward / np.linalg.norm(toward)
    size = 0.09 + 0.07 * strength
    return replace(heart, st=heart.st - size * toward, t=heart.t.scaled(0.7))


def st_elevation(heart: Heart, strength: float, rng: Random) -> Heart:
    """0.1-0.3 mV over the front wall or the inferior wall, without Q."""
    toward = wall("anterior") if rng.random() < 0.7 else wall("inferior")
    return replace(heart, st=heart.st + (0.11 + 0.08 * strength) * toward)


def early_repolarization(heart: Heart, strength: float, rng: Random) -> Heart:
    """J point lifted 0.1-0.2 mV in V3-V6 and II, a slur at the end of R, tall T."""
    toward = np.array([0.62, 0.35, -0.55])
    slur = waves((84, 6, 9, tuple(0.16 * toward)))
    qrs = joined([heart.qrs.scaled_first(1, 1.1, 1, 0.8, 0.5), slur])
    lift = (0.08 + 0.06 * strength) * toward
    return replace(heart, qrs=qrs, st=heart.st + lift, t=heart.t.scaled(1.3))


def t_wave_inversion(heart: Heart, strength: float, rng: Random) -> Heart:
    """T negative, 0.1 mV and more, where it should be positive."""
    toward = wall(str(rng.choice(["lateral", "anterior", "inferior"], p=[0.55, 0.25, 0.2])))
    return replace(heart, t=_t_against(heart.t, toward, 0.16 + 0.14 * strength))


def low_t_wave(heart: Heart, strength: float, rng: Random) -> Heart:
    """T under a tenth of R in the leads where R is tall."""
    return replace(heart, t=_lower(heart.t, 0.32 - 0.16 * strength), st=heart.st - LOWERED)


LOWERED = np.array([0.022, 0.014, 0.0])  # mV that ST lies lower where T is low


def _lower(t_waves: Waves, gain: float) -> Waves:
    """T times `gain` toward the side and the feet, and less changed toward the front; U stays."""
    change = np.array([[gain, gain, min(gain + 0.3, 1.0)], [1, 1, 1]])
    return replace(t_waves, vector=t_waves.vector * change)


def t_wave_change(heart: Heart, strength: float, rng: Random) -> Heart:
    """T low in some leads and turned in others; ST a little low."""
    t_waves = _lower(heart.t, rng.uniform(0.40, 0.60) - 0.06 * strength)
    turn = horizontal_turn(rng.choice([-1, 1], p=[0.7, 0.3]) * rng.uniform(5, 45))
    return replace(heart, t=t_waves.turned(turn), st=heart.st - LOWERED)


def prolonged_qt(heart: Heart, strength: float, rng: Random) -> Heart:
    """QTc of 480-560 ms."""
    stretched = heart.t.rise * (1.25 + 0.1 * strength)
    qtc = rng.uniform(0.478, 0.492) + 0.045 * strength
    return replace(heart, t=replace(heart.t, rise=stretched), qtc=float(qtc))


def low_voltage(heart: Heart, strength: float, rng: Random) -> Heart:
    """QRS under 0.5-0.7 mV from peak to peak in all limb leads; the chest leads lose less."""
    largest = float(np.ptp(LIMB @ _at_times(heart.qrs), axis=1).max())
    gain = min((0.70 - 0.12 * strength) / largest, 0.85)
    chest = gain ** rng.uniform(0.2, 0.9)
    change = np.array([gain, gain, chest])
    t_gain = gain**0.35
    return replace(
        heart,
        qrs=replace(heart.qrs, vector=heart.qrs.vector * change),
        t=heart.t.scaled(t_gain),
        st=heart.st * t_gain,
    )


LIMB = np.stack([DOWER[0], DOWER[1], DOWER[1] - DOWER[0], DOWER[0] - DOWER[1] / 2])


def _at_times(parts: Waves) -> Array:
    """(3, 80) mV: the dipole every 2 ms from its onset."""
    seconds = parts.onset + np.arange(80)[:, None] * 0.002
    width = np.where(seconds < parts.centre, parts.rise, parts.fall)
    return np.asarray((np.exp(-0.5 * ((seconds - parts.centre) / width) ** 2) @ parts.vector).T)


def _t_against(t_waves: Waves, toward: Array, size: float) -> Waves:
    """T with its share along `toward` taken out and `size` mV the other way put in; U stays."""
    peak = t_waves.vector[0]
    along = max(float(peak @ toward), 0.0)
    vector = np.vstack([peak - (along + size) * toward, t_waves.vector[1:]])
    return replace(t_waves, vector=vector)
