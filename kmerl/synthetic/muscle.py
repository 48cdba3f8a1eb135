"""How hypertrophy, infarction, ischaemia and other ST-T changes alter the waves of a beat.

An injured wall is a direction: dead muscle takes away the early forces toward it (Q), injured
muscle shifts ST toward it, and T points away from it later. Reciprocal changes follow by
themselves. Functions take a heart, a strength (1 is typical) and the patient's random stream.
"""

from dataclasses import replace

import numpy as np

from kmerl.synthetic.heart import Heart, frontal_axis, horizontal_turn, with_axis
from kmerl.synthetic.waves import Array, Waves, joined, waves

Random = np.random.Generator

WALLS = {
    "inferior": (-0.10, 1.0, 0.0),  # II, III, aVF
    "anterior": (0.42, 0.10, -0.90),  # V2-V4
    "anteroseptal": (-0.22, 0.05, -0.97),  # V1-V3
    "lateral": (0.93, -0.34, 0.12),  # I, aVL, V5, V6
}
"""Direction (left, foot, back) from the heart's centre to the wall, and the leads over it."""


def wall(name: str) -> Array:
    """(3,) unit vector toward a wall."""
    vector = np.array(WALLS[name])
    return np.asarray(vector / np.linalg.norm(vector))


def infarct(heart: Heart, territory: str, stage: str, strength: float, rng: Random) -> Heart:
    """Q waves, ST and T of an infarct. `stage` is "acute", "recent" or "old"."""
    toward = wall(territory)
    depth = {"acute": 0.55, "recent": 0.9, "old": 1.0}[stage] * (0.8 + 0.35 * strength)
    lost = 0.75 * depth
    qrs = _without_early_forces(heart.qrs, toward, lost)
    reach = {"inferior": 0.34, "lateral": 0.36, "anterior": 0.32, "anteroseptal": 0.34}[territory]
    q_wave = waves((19, 8.5, 9.5, tuple(-reach * depth * toward)))
    qrs = joined([qrs.moved(0.006), q_wave]).from_onset()
    lift = {"acute": rng.uniform(0.17, 0.30), "recent": rng.uniform(0.04, 0.09), "old": 0.012}
    invert = {"acute": -0.12, "recent": 0.60, "old": rng.uniform(0.20, 0.48)}[stage]
    t_vector = heart.t.vector - np.outer([invert * (0.7 + 0.3 * strength), 0], toward)
    st = heart.st + lift[stage] * (0.6 + 0.4 * strength) * toward
    return replace(heart, qrs=qrs, st=st, t=replace(heart.t, vector=t_vector))


def _without_early_forces(qrs: Waves, toward: Array, share: float) -> Waves:
    """QRS less `share` of what points at the wall in the first half of it."""
    early = 1 / (1 + np.exp((qrs.centre - 0.040) / 0.008))
    along = np.clip(qrs.vector @ toward, 0, None)
    lost = np.outer(share * np.maximum(early, 0.2) * along, toward)
    return replace(qrs, vector=qrs.vector - lost)


def left_ventricular_hypertrophy(heart: Heart, strength: float, rng: Random) -> Heart:
    """Sokolow-Lyon over 3.5 mV: deep S in V1-V2, tall R in V5-V6; strain when marked."""
    gain = 1.30 + 0.35 * strength
    qrs = heart.qrs.scaled_first(1.0, 0.85 * gain, gain * 1.12, 0.9)
    grown = replace(heart, qrs=qrs.stretched(1.08))
    if frontal_axis(grown.qrs.area) > 50:
        grown = with_axis(grown, rng.uniform(10, 45))
    strained = 0.5 * max(strength - 0.75, 0) + 0.15
    away = np.array([0.95, 0.15, 0.35])
    t_vector = grown.t.vector - np.outer([1.25 * strained, 0], away)
    return replace(grown, t=replace(grown.t, vector=t_vector), st=grown.st - 0.22 * strained * away)


def right_ventricular_hypertrophy(heart: Heart, strength: float, rng: Random) -> Heart:
    """Axis over 95 degrees, tall R in V1, deep S in V5-V6, T inverted in V1-V3."""
    forces = waves((48, 9, 10, (-0.42, 0.18, -0.85)), (70, 9, 10, (-0.42, 0.0, -0.12)))
    qrs = heart.qrs.scaled_first(1.0, 0.9, 0.55, 0.6)
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
    extra = np.outer(late, [0.035, 0.015, 0.085 + 0.05 * strength])
    p_waves = replace(heart.p, centre=heart.p.centre + delay, vector=heart.p.vector + extra)
    return replace(heart, p=p_waves, pr=heart.pr + 0.014)


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
    """ST depressed and T inverted symmetrically, anterolateral or inferolateral."""
    walls = ("lateral", "anterior") if rng.random() < 0.7 else ("inferior", "lateral")
    toward = wall(walls[0]) + 0.6 * wall(walls[1])
    toward = toward / np.linalg.norm(toward)
    st = heart.st - (0.07 + 0.06 * strength) * toward
    return replace(heart, st=st, t=_t_against(heart.t, toward, 0.32 + 0.16 * strength))


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
    qrs = joined([heart.qrs.scaled_first(1, 1.1, 1, 0.5), slur])
    lift = (0.08 + 0.06 * strength) * toward
    return replace(heart, qrs=qrs, st=heart.st + lift, t=heart.t.scaled(1.3))


def t_wave_inversion(heart: Heart, strength: float, rng: Random) -> Heart:
    """T negative, 0.1 mV and more, where it should be positive."""
    toward = wall(str(rng.choice(["lateral", "anterior", "inferior"], p=[0.4, 0.4, 0.2])))
    return replace(heart, t=_t_against(heart.t, toward, 0.26 + 0.18 * strength))


def low_t_wave(heart: Heart, strength: float, rng: Random) -> Heart:
    """T under a tenth of R in the leads where R is tall."""
    return replace(heart, t=heart.t.scaled(np.array([0.22 - 0.12 * strength, 1.0])))


def t_wave_change(heart: Heart, strength: float, rng: Random) -> Heart:
    """T flat in some leads and turned in others; ST a little low."""
    t_waves = heart.t.scaled(np.array([0.62 - 0.14 * strength, 1.0]))
    turn = horizontal_turn(rng.choice([-1, 1]) * rng.uniform(40, 75))
    return replace(heart, t=t_waves.turned(turn), st=heart.st - np.array([0.035, 0.02, 0.0]))


def prolonged_qt(heart: Heart, strength: float, rng: Random) -> Heart:
    """QTc of 480-560 ms."""
    stretched = heart.t.rise * (1.25 + 0.1 * strength)
    qtc = rng.uniform(0.478, 0.492) + 0.045 * strength
    return replace(heart, t=replace(heart.t, rise=stretched), qtc=float(qtc))


def low_voltage(heart: Heart, strength: float, rng: Random) -> Heart:
    """QRS under 0.5 mV in all limb leads and under 1 mV in the chest leads."""
    gain = float(np.clip(0.42 - 0.08 * strength, 0.28, 0.40))
    return replace(
        heart,
        qrs=heart.qrs.scaled(gain),
        t=heart.t.scaled(0.6),
        st=heart.st * 0.6,
        p=heart.p.scaled(0.8),
    )


def _t_against(t_waves: Waves, toward: Array, size: float) -> Waves:
    """T with its share along `toward` taken out and `size` mV the other way put in; U stays."""
    peak = t_waves.vector[0]
    along = max(float(peak @ toward), 0.0)
    vector = np.vstack([peak - (along + size) * toward, t_waves.vector[1:]])
    return replace(t_waves, vector=vector)
