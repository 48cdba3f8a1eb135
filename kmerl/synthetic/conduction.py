"""How conduction, pacing and ectopic origin change the waves of a beat.

Every function takes a heart, a strength (1 is typical, 0.7 mild, 1.3 marked) and the patient's
random stream, and returns the changed heart. Vectors are mV toward left, foot, back.
"""

from dataclasses import replace

import numpy as np

from kmerl.synthetic.heart import Heart, frontal_turn, with_axis
from kmerl.synthetic.waves import Array, Waves, joined, waves

Random = np.random.Generator

# Late activation of the left ventricle through muscle: no septal q, slurred and notched plateau.
LEFT_BLOCK = waves(
    (24, 12, 12, (0.22, 0.16, 0.12)),
    (58, 15, 16, (0.72, 0.24, 0.86)),
    (98, 17, 15, (0.74, 0.06, 0.60)),
    (124, 12, 10, (0.20, -0.05, 0.30)),
)
# Spread from the right ventricle's apex: as left bundle branch block, but from below upward.
PACED = waves(
    (28, 13, 14, (0.25, -0.30, 0.25)),
    (66, 18, 18, (0.55, -0.80, 0.75)),
    (112, 18, 16, (0.45, -0.55, 0.55)),
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
    gain = _gain(rng) * (0.9 + 0.1 * strength)
    qrs = LEFT_BLOCK.stretched(float(np.clip(rng.normal(1.02, 0.05), 0.93, 1.15))).scaled(gain)
    qrs = _jittered(qrs, rng).turned(frontal_turn(rng.normal(-5, 14))).from_onset()
    return _discordant(replace(heart, qrs=qrs, qtc=heart.qtc + 0.03), rng)


def incomplete_left_bundle_branch_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """QRS of 105-118 ms, no q in I, V5, V6, a slurred upstroke."""
    late = waves((58, 11, 10, (0.40, 0.05, 0.35))).scaled(0.9 + 0.3 * strength)
    qrs = joined([heart.qrs.scaled_first(-0.25, 0.55, 1.0, 0.5), late])
    qrs = _widened(qrs, rng.uniform(0.107, 0.118))
    return replace(heart, qrs=qrs, t=heart.t.scaled(0.55))


def right_bundle_branch_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """QRS of 120 ms and more: rSR' in V1, broad S in I and V6; T opposite in V1-V3."""
    gain = _gain(rng) * (0.8 + 0.25 * strength)
    late = waves(
        (88, 12, 15, (-0.30, 0.02, -0.58)),
        (112, 12, 13, (-0.22, 0.03, -0.42)),
    ).scaled(gain)
    qrs = joined([heart.qrs.scaled_first(1, 1, 0.8, 0.4), late]).from_onset()
    t_turned = heart.t.vector + gain * np.array([0.10, 0.0, 0.34])
    turned = replace(heart.t, vector=np.vstack([t_turned[:1], heart.t.vector[1:]]))
    back = np.array([0.0, 0.0, 0.05])
    return replace(heart, qrs=qrs, t=turned, st=heart.st + back, qtc=heart.qtc + 0.02)


def incomplete_right_bundle_branch_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """QRS of 100-118 ms with a small late r' in V1 and an s in V6."""
    late = waves((78, 8, 9, (-0.20, 0.0, -0.46))).scaled(_gain(rng) * (0.7 + 0.35 * strength))
    qrs = joined([heart.qrs.scaled_first(1, 1, 0.85, 0.3), late]).from_onset()
    return replace(heart, qrs=qrs)


def left_anterior_fascicular_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """Axis of -45 to -75 degrees: qR in aVL, rS in II, III, aVF."""
    start = waves((12, 6, 6, (-0.06, 0.22, -0.06)))
    axis = -45 - 12 * strength - rng.uniform(0, 10)
    turned = with_axis(heart, axis, t_share=-0.05)
    qrs = joined([turned.qrs, start]).stretched(1.1)
    return replace(turned, qrs=qrs.from_onset())


def left_posterior_fascicular_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """Axis of 105 to 135 degrees: rS in I and aVL, qR in II, III, aVF."""
    start = waves((12, 6, 6, (0.16, -0.22, -0.03)))
    turned = with_axis(heart, 100 + 12 * strength + rng.uniform(0, 10), t_share=0.1)
    qrs = joined([turned.qrs, start]).stretched(1.1)
    return replace(turned, qrs=qrs.from_onset())


def intraventricular_block(heart: Heart, strength: float, rng: Random) -> Heart:
    """QRS of 118-140 ms without the form of a bundle branch block, notched."""
    notch = waves((52, 5, 5, (-0.30, -0.22, -0.20))).scaled(0.7 + 0.4 * strength)
    end = waves((86, 10, 11, (0.16, 0.14, 0.10)))
    width = rng.uniform(0.118, 0.128) + 0.012 * (strength - 0.7)
    return replace(heart, qrs=_widened(joined([heart.qrs, notch, end]), width))


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
    qrs = joined([slur, heart.qrs.moved(0.034).scaled_first(0.2, 0.9, 1, 0.8)])
    opposite = heart.t.vector - np.outer([0.55, 0.1], np.array(vector) * gain)
    pr = float(np.clip(rng.normal(0.098, 0.008), 0.080, 0.114))
    return replace(heart, qrs=qrs.from_onset(), t=replace(heart.t, vector=opposite), pr=pr)


def paced(heart: Heart, rng: Random) -> Heart:
    """A beat driven from the right ventricle's apex, its stimulus just before QRS."""
    qrs = _jittered(PACED.scaled(_gain(rng)), rng).stretched(rng.normal(1.04, 0.04)).from_onset()
    wide = _discordant(replace(heart, qrs=qrs, qtc=heart.qtc + 0.05), rng)
    stimulus = waves((-8, 1.2, 1.2, (0.25, -1.5, 0.7))).scaled(rng.uniform(0.7, 1.2))
    return replace(wide, qrs=joined([wide.qrs, stimulus]))


def ventricular_ectopic(heart: Heart, rng: Random) -> Heart:
    """A beat born in a ventricle: wide, tall, T opposite."""
    origin = RIGHT_ORIGIN if rng.random() < 0.55 else LEFT_ORIGIN
    turn = frontal_turn(rng.normal(0, 35))
    qrs = _jittered(origin.scaled(1.25 * _gain(rng)), rng).turned(turn)
    qrs = qrs.stretched(rng.normal(1.02, 0.06)).from_onset()
    return _discordant(replace(heart, qrs=qrs, qtc=heart.qtc + 0.03), rng)


def _discordant(heart: Heart, rng: Random) -> Heart:
    """ST and T against the main direction of a QRS that spread through muscle."""
    main = heart.qrs.area / max(float(np.linalg.norm(heart.qrs.area)), 1e-9)
    peak = float(np.linalg.norm(heart.qrs.vector, axis=1).max())
    t_vector = np.array([-0.42 * peak * main, -0.02 * main]) + rng.normal(0, 0.03, (2, 3))
    t_waves = replace(heart.t, vector=t_vector, rise=heart.t.rise * np.array([1.1, 1]))
    return replace(heart, t=t_waves, st=-0.09 * peak * main)


def _gain(rng: Random) -> float:
    return float(np.exp(rng.normal(0, 0.14)))


def _jittered(parts: Waves, rng: Random) -> Waves:
    noise: Array = rng.normal(0, 0.05, parts.vector.shape)
    return replace(parts, vector=parts.vector + noise)


def _widened(parts: Waves, seconds: float) -> Waves:
    """Slowed to a QRS width of `seconds`."""
    return parts.stretched(seconds / (parts.end - parts.onset)).from_onset()
