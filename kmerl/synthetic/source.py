"""The heart's dipoles over a whole recording: beats laid where the rhythm wants them."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from kmerl.synthetic import conduction, rhythms
from kmerl.synthetic.heart import Heart, beat, frontal_turn, rate_factor
from kmerl.synthetic.noise import RATE, Random
from kmerl.synthetic.patients import Patient
from kmerl.synthetic.rhythms import Beats
from kmerl.synthetic.waves import Array, Signal, Waves, dipoles

Kind = TypeVar("Kind", bound=Hashable)

ONSET = 40  # samples of a template before its onset
TEMPLATE = 560  # samples of a template: room for U after the longest QT
P_TEMPLATE = 160  # of one that has P alone
QT_STEP = 0.015  # relative step in which QT follows the interval


def lay(
    patient: Patient, heart: Heart, beats: Beats, rng: Random, blur: float, out: Signal
) -> None:
    """Fill `out`, (6, sample) mV: the dipole of the ventricles, with QRS, ST and T of all beats,
    and that of the atria, with P waves or what is in their place.

    Args:
        blur: seconds, width of the cart's low-pass.
    """
    out[:] = 0
    count = out.shape[1]
    breath = 1 + rng.uniform(0.01, 0.07) * np.sin(
        2 * np.pi * (rng.uniform(0.17, 0.33) * beats.qrs + rng.random())
    )
    ventricles, atria = out[:3], out[3:]
    _ventricles(patient, heart, beats, breath, blur, ventricles)
    if len(beats.p):
        kinds = beats.p_kind.tolist()
        shapes = {kind: _p_shape(kind, heart.p, patient) for kind in dict.fromkeys(kinds)}
        _place(shapes, kinds, beats.p, np.ones(len(kinds)), blur, P_TEMPLATE, atria)
    seconds = np.arange(count) / RATE
    if beats.atria == "fibrillation":
        atria += _fibrillation(rng, beats.atrial_rate, seconds)
    if beats.atria == "flutter":
        atria += _flutter(rng, beats.atrial_rate, seconds)


def _ventricles(
    patient: Patient, heart: Heart, beats: Beats, breath: Array, blur: float, out: Signal
) -> None:
    """QRS, ST and T of all beats, each with the QT its interval asks for."""
    usual = float(beats.rr.mean())
    intervals = 0.6 * usual + 0.4 * np.minimum(beats.rr, 1.6)
    factors = [round(rate_factor(rr) / QT_STEP) * QT_STEP for rr in intervals.tolist()]
    kinds = beats.kind.tolist()
    hearts = {kind: beat_heart(kind, patient, heart) for kind in set(kinds)}
    keys = list(zip(kinds, factors, strict=True))
    shapes = {key: beat(hearts[key[0]], key[1]) for key in dict.fromkeys(keys)}
    _place(shapes, keys, beats.qrs, breath, blur, TEMPLATE, out)


def beat_heart(kind: int, patient: Patient, heart: Heart) -> Heart:
    """The heart as it beats by one way of driving it: conducted, ectopic, paced, escaping."""
    if kind == rhythms.PACED:
        return conduction.paced(heart, patient.stream("paced"))
    rng = patient.stream("ectopic")
    if kind == rhythms.CONDUCTED or (kind == rhythms.ESCAPE and rng.random() < 0.5):
        return heart
    return conduction.ventricular_ectopic(heart, rng)


def _place(
    shapes: Mapping[Kind, Waves],
    keys: Sequence[Kind],
    onsets: Array,
    gains: Array,
    blur: float,
    length: int,
    out: Signal,
) -> None:
    """Add shapes to `out`, each with its onset at the sample nearest to its time."""
    beats = dipoles(list(shapes.values()), length, RATE, -ONSET / RATE, blur)
    drawn = dict(zip(shapes, beats, strict=True))
    starts = np.rint(onsets * RATE).astype(int) - ONSET
    for key, start, gain in zip(keys, starts.tolist(), gains.tolist(), strict=True):
        begin, stop = max(start, 0), min(start + length, out.shape[1])
        if begin < stop:
            out[:, begin:stop] += np.float32(gain) * drawn[key][:, begin - start : stop - start]


def _p_shape(kind: int, p_waves: Waves, patient: Patient) -> Waves:
    if kind == rhythms.ATRIAL_ECTOPIC:
        rng = patient.stream("atrial ectopic")
        elsewhere = frontal_turn(float(rng.choice([-1, 1]) * rng.uniform(45, 95)))
        return p_waves.turned(elsewhere).scaled(1.1)
    if kind == rhythms.RETROGRADE:
        return p_waves.turned(np.diag([0.5, -0.9, -0.6]))
    return p_waves


def _fibrillation(rng: Random, frequency: float, seconds: Array) -> Array:
    """Waves of drifting rate and height, largest in V1."""
    out = np.zeros((3, len(seconds)))
    for share in (1.0, 0.6, 0.4):
        drift = np.cumsum(rng.normal(0, 0.35, 24))
        local = frequency * rng.uniform(0.85, 1.15) + 0.25 * np.interp(
            seconds, np.linspace(0, seconds[-1], 24), drift - drift.mean()
        )
        phase = 2 * np.pi * np.cumsum(local) / RATE + rng.uniform(0, 6.28)
        height = np.interp(seconds, np.linspace(0, seconds[-1], 16), rng.uniform(0.4, 1.3, 16))
        direction = np.array([-0.1, 0.45, -0.8]) + rng.normal(0, 0.3, 3)
        out += share * np.outer(direction, height * np.sin(phase))
    return out * rng.uniform(0.038, 0.100)


def _flutter(rng: Random, frequency: float, seconds: Array) -> Array:
    """Sawtooth, negative in II, III, aVF, positive in V1; its phase is the rhythm's own."""
    steps = np.arange(1, 5)[:, None]
    angle = 2 * np.pi * frequency * steps * (seconds + rhythms.BEFORE + 1)
    saw = (np.sin(angle) / steps).sum(axis=0) * (2 / np.pi)
    direction = np.array([0.05, -0.9, -0.5]) + rng.normal(0, 0.1, 3)
    return np.asarray(np.outer(direction, saw) * rng.uniform(0.11, 0.20))
