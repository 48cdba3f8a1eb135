"""How conduction, pacing and ectopic origin change the waves of a beat.

Every function takes a heart, a strength (1 is typical, 0.7 mild, 1.3 marked) and the patient's
random stream, and returns the changed heart. Vectors are mV toward left, foot, back.
"""

from dataclasses import replace

import numpy as np

from kmerl.synthetic.heart import (
    Heart,
    frontal_axis,
    frontal_turn,
    horizontal_turn,
    with_axis,
)
from kmerl.synthetic.waves import Array, Waves, joined, waves

Random = np.random.Generator

# Late activation of the left ventricle through muscle: no septal q, slurred and notched plateau.
LEFT_BLOCK = waves(
    (22, 11, 11, (0.26, 0.22, -0.02)),
    (54, 14, 15, (0.62, 0.20, 1.65)),
    (92, 16, 14, (0.70, -0.08, 1.45)),
    (116, 12, 10, (0.24, -0.16, 0.55)),
)
# Spread from the right ventricle's apex: as left bundle branch block, but from below upward.
PACED = waves(
    (28, 13, 14, (0.30, -0.20, 0.35)),
    (64, 17, 17, (0.75, -0.70, 1.30)),
    (106, 17, 15, (0.55, -0.50, 0.90)),
)
RIGHT_ORIGIN = waves(
    (30, 14, 16, (0.30, 0.35, 0.25)),
    (72, 18, 18, (0.80, 0.70, 0.95)),
    (114, 16, 16, (0.25, 0.10, 0.55)),
)
LEFT_ORIGIN = waves(
    (30, 14, 16, (-0.25, -0.15, -0.35)),
    (70, 18, 18, (-0.55, -0.75, -1.05)),
    (112, 17, 17, (-0.25, -0.45, -0.50)),
)


def left_bundle_branch_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """QRS of 120 ms and more: broad notched R in I, aVL, V5, V6, QS or rS in V1; discordant T."""
    gain = _gain(rng, 0.22) * (0.9 + 0.1 * strength)
    qrs = LEFT_BLOCK.stretched(float(np.clip(rng.normal(1.0, 0.06), 0.92, 1.18))).scaled(gain)
    backward = np.array([1, 1, np.clip(rng.normal(1, 0.25), 0.55, 1.6)])
    qrs = _jittered(replace(qrs, vector=qrs.vector * backward), rng)
    qrs = qrs.turned(frontal_turn(rng.normal(-8, 24))).from_onset()
    return _discordant(replace(heart, qrs=qrs, qtc=heart.qtc + 0.03), rng)


def incomplete_left_bundle_branch_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """QRS of 105-118 ms, no q in I, V5, V6, a slurred upstroke."""
    late = waves((58, 11, 10, (0.40, 0.05, 0.35))).scaled(0.9 + 0.3 * strength)
    qrs = joined([heart.qrs.scaled_first(-0.25, 0.55, 1.0, 0.8, 0.5), late])
    qrs = _widened(qrs, rng.uniform(0.107, 0.118))
    return replace(heart, qrs=qrs, t=heart.t.scaled(0.55))


def right_bundle_branch_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """QRS of 120 ms and more: rSR' in V1, broad S in I and V6; T opposite in V1-V3."""
    gain = _gain(rng, 0.25) * (0.8 + 0.25 * strength)
    late = waves(
        (66, 10, 12, (-0.18, 0.02, -0.50)),
        (93, 13, 14, (-0.30, 0.02, -0.55)),
    ).scaled(gain)
    late = _jittered(late.stretched(float(rng.uniform(1.0, 1.14))), rng)
    early = heart.qrs.scaled_first(1.1, 0.95, rng.uniform(0.3, 0.75), 0.15, 0.0)
    t_turned = heart.t.vector + gain * np.array([0.06, 0.0, rng.uniform(0.18, 0.34)])
    turned = replace(heart.t, vector=np.vstack([t_turned[:1], heart.t.vector[1:]]))
    st = heart.st + np.array([0.0, 0.0, 0.08])
    qrs = joined([early, late]).from_onset()
    return replace(heart, qrs=qrs, t=turned, st=st, qtc=heart.qtc + 0.02)


def incomplete_right_bundle_branch_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """QRS of 86-118 ms with a small late r' in V1 and an s in V6."""
    size = _gain(rng, 0.35) * (0.3 + 0.3 * strength)
    late = waves((68, 8, 10, (-0.16, 0.0, -0.36))).scaled(size)
    qrs = joined([heart.qrs.scaled_first(1, 1, 0.95, 0.75, 0.2), _jittered(late, rng)])
    return replace(heart, qrs=qrs.stretched(rng.uniform(1.0, 1.12)).from_onset())


def left_anterior_fascicular_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """Axis of -45 to -75 degrees: qR in aVL, rS in II, III, aVF, S as far as V6."""
    start = waves((12, 6, 6, (-0.04, 0.13, -0.06)))
    end = waves((56, 9, 9, (-0.36, -0.34, 0.30))).scaled(_gain(rng, 0.3))
    turned = with_axis(heart, -32 - 8 * strength - rng.uniform(0, 10), t_share=-0.05)
    flatter = np.array([1, rng.uniform(0.6, 0.9), 1])
    qrs = replace(turned.qrs, vector=turned.qrs.vector * flatter)
    qrs = joined([qrs, start, end]).stretched(rng.uniform(1.04, 1.16))
    ill = replace(turned, qrs=qrs.from_onset())
    axis = float(frontal_axis(ill.qrs.area))
    return ill if axis < -42 else with_axis(ill, -43 - rng.uniform(0, 8), t_share=0)


def left_posterior_fascicular_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """Axis of 105 to 135 degrees: rS in I and aVL, qR in II, III, aVF."""
    start = waves((12, 6, 6, (0.16, -0.22, -0.03)))
    turned = with_axis(heart, 100 + 12 * strength + rng.uniform(0, 10), t_share=0.1)
    qrs = joined([turned.qrs, start]).stretched(1.1)
    return replace(turned, qrs=qrs.from_onset())


def intraventricular_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """QRS of 111-140 ms without the form of a bundle branch block, notched."""
    notch = waves((46, 5, 5, tuple(rng.normal(-0.2, 0.12, 3)))).scaled(0.7 + 0.4 * strength)
    end = waves((76, 9, 10, tuple(rng.normal((0.14, 0.10, 0.16), 0.12))))
    taller = heart.qrs.scaled_first(0.7, 1.0, *[rng.uniform(1.0, 1.6)] * 2, 1.0)
    width = rng.uniform(0.111, 0.126) + 0.014 * (strength - 0.7)
    opposite = rng.uniform(0, 0.25) * np.array([1.0, 0.3, 0.8])
    t_waves = replace(heart.t, vector=heart.t.vector - np.outer([1, 0], opposite))
    return replace(heart, qrs=_widened(joined([taller, notch, end]), width), t=t_waves)


def preexcitation(heart: Heart, strength: float, rng: Random) -> Heart:
    """Wolff-Parkinson-White: PR under 120 ms, delta wave, QRS over 110 ms, secondary T change."""
    sides = {
        "left": (-0.10, 0.24, -0.30),  # positive delta in V1 and inferior leads
        "septal": (0.30, -0.24, -0.20),  # negative delta in III and aVF
        "right": (0.36, 0.10, 0.08),  # negative or flat delta in V1
    }
    vector = sides[str(rng.choice(list(sides)))]
    gain = 0.75 + 0.45 * strength
    slur = waves((24, 11, 15, vector), (48, 11, 9, vector)).scaled(gain)
    qrs = joined([slur, heart.qrs.moved(0.034).scaled_first(0.2, 0.9, 1, 0.9, 0.8)])
    opposite = heart.t.vector - np.outer([0.55, 0.1], np.array(vector) * gain)
    pr = float(np.clip(rng.normal(0.098, 0.008), 0.080, 0.114))
    qrs = _widened(qrs, max(rng.uniform(0.108, 0.118), qrs.end - qrs.onset))
    return replace(heart, qrs=qrs, t=replace(heart.t, vector=opposite), pr=pr)


def paced(heart: Heart, rng: Random) -> Heart:
    """A beat driven from the right ventricle's apex, its stimulus just before QRS."""
    qrs = _jittered(PACED.scaled(0.8 * _gain(rng, 0.3)), rng).stretched(rng.normal(1.04, 0.08))
    qrs = qrs.turned(frontal_turn(rng.normal(12, 26))).turned(horizontal_turn(rng.normal(0, 25)))
    wide = _discordant(replace(heart, qrs=qrs.from_onset(), qtc=heart.qtc + 0.05), rng, 0.09)
    return replace(wide, qrs=joined([wide.qrs, _stimulus(rng)]))


def _stimulus(rng: Random) -> Waves:
    """One sample or two, from less than 0.1 mV (bipolar leads) to several mV (unipolar)."""
    size = float(np.exp(rng.uniform(np.log(0.5), np.log(5.0))))
    toward = np.array([0.25, -1.0, 0.5]) + rng.normal(0, 0.35, 3)
    width = float(rng.uniform(0.8, 1.6))
    return waves((-8, width, width, size * toward * rng.choice([-1, 1], p=[0.25, 0.75])))


def ventricular_ectopic(heart: Heart, rng: Random) -> Heart:
    """A beat born in a ventricle: wide, tall, T opposite."""
    origin = RIGHT_ORIGIN if rng.random() < 0.55 else LEFT_ORIGIN
    turn = frontal_turn(rng.normal(0, 35))
    qrs = _jittered(origin.scaled(1.25 * _gain(rng)), rng).turned(turn)
    qrs = qrs.stretched(rng.normal(1.02, 0.06)).from_onset()
    return _discordant(replace(heart, qrs=qrs, qtc=heart.qtc + 0.03), rng)


def _discordant(heart: Heart, rng: Random, lift: float = 0.18) -> Heart:
    """ST and T against the main direction of a QRS that spread through muscle."""
    main = heart.qrs.area / max(float(np.linalg.norm(heart.qrs.area)), 1e-9)
    peak = float(np.linalg.norm(heart.qrs.vector, axis=1).max())
    share = rng.uniform(0.28, 0.5)
    sideways = np.array([0.7, 1.0, 1.0])  # T turns less to the side than to the back
    t_vector = np.array([-share * peak * main * sideways, -0.02 * main])
    t_vector += rng.normal(0, [[0.08], [0.01]], (2, 3))
    t_waves = replace(heart.t, vector=t_vector, rise=heart.t.rise * np.array([1.1, 1]))
    return replace(heart, t=t_waves, st=-rng.uniform(0.4, 1.0) * lift * peak * main)


def _gain(rng: Random, spread: float = 0.18) -> float:
    return float(np.exp(np.clip(rng.normal(), -2, 2) * spread))


def _jittered(parts: Waves, rng: Random) -> Waves:
    noise: Array = rng.normal(0, 0.05, parts.vector.shape)
    return replace(parts, vector=parts.vector + noise)


def _widened(parts: Waves, seconds: float) -> Waves:
    """Slowed to a QRS width of `seconds`."""
    return parts.stretched(seconds / (parts.end - parts.onset)).from_onset()


def prolonged_pr(heart: Heart, strength: float, rng: Random) -> Heart:
    """PR of 205 to 240 ms: longer than normal, and often left at that."""
    return replace(heart, pr=float(rng.uniform(0.205, 0.225) + 0.012 * strength))
