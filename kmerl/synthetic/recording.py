"""One visit turned into twelve leads and the measurements a cart would take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kmerl.synthetic import conduction, muscle, rhythms
from kmerl.synthetic.body import digitised, lead_field
from kmerl.synthetic.catalogue import SINUS_RHYTHMS, TERRITORIES
from kmerl.synthetic.heart import (
    T_SHARE,
    Heart,
    beat,
    frontal_axis,
    frontal_turn,
    healthy_heart,
    horizontal_turn,
    rate_factor,
    with_axis,
)
from kmerl.synthetic.noise import SITES, at_electrodes
from kmerl.synthetic.patients import Patient, Visit
from kmerl.synthetic.rhythms import Beats
from kmerl.synthetic.waves import Array, Waves, dipole

Random = np.random.Generator
Shape = Callable[[Heart, float, Random], Heart]

SHORTEST_PR = 0.122  # seconds; shorter is preexcitation
RATE = 500  # Hz, all four corpora
ONSET = 100  # samples of a template before its onset
TEMPLATE = 650  # samples of a template: room for U after the longest QT
QT_STEP = 0.01  # relative step in which QT follows the interval

SHAPES: dict[str, Shape] = {
    "left ventricular hypertrophy": muscle.left_ventricular_hypertrophy,
    "right ventricular hypertrophy": muscle.right_ventricular_hypertrophy,
    "early repolarization": muscle.early_repolarization,
    "left anterior fascicular block": conduction.left_anterior_fascicular_block,
    "left posterior fascicular block": conduction.left_posterior_fascicular_block,
    "incomplete left bundle branch block": conduction.incomplete_left_bundle_branch_block,
    "left bundle branch block": conduction.left_bundle_branch_block,
    "right bundle branch block": conduction.right_bundle_branch_block,
    "incomplete right bundle branch block": conduction.incomplete_right_bundle_branch_block,
    "intraventricular conduction delay": conduction.intraventricular_block,
    "wolff-parkinson-white": conduction.preexcitation,
    "left atrial enlargement": muscle.left_atrial_enlargement,
    "right atrial enlargement": muscle.right_atrial_enlargement,
    "septal hypertrophy": muscle.septal_hypertrophy,
    "prolonged pr interval": conduction.prolonged_pr,
    "myocardial ischemia": muscle.ischaemia,
    **{f"{wall} ischemia": muscle.ischaemia_of(wall) for wall in muscle.ISCHAEMIC},
    **{f"{wall} subendocardial injury": muscle.injury_of(wall) for wall in muscle.INJURED},
    "digitalis effect": muscle.digitalis,
    "st depression": muscle.st_depression,
    "st elevation": muscle.st_elevation,
    "t wave inversion": muscle.t_wave_inversion,
    "low t wave": muscle.low_t_wave,
    "t wave abnormality": muscle.t_wave_change,
    "prolonged qt interval": muscle.prolonged_qt,
    "u wave": muscle.u_wave,
    "high qrs voltage": muscle.high_voltage,
    "low voltage": muscle.low_voltage,
}
"""What each finding does to the heart, in the order in which it is done; infarcts come before
low voltage, which comes last."""


@dataclass(frozen=True)
class Measurements:
    """A cart's numbers: seconds and degrees; None where there is no such wave."""

    rr: float
    p_width: float | None
    pr: float | None
    qrs: float
    qt: float
    p_axis: float | None
    qrs_axis: float
    t_axis: float


@dataclass(frozen=True)
class Recording:
    """samples: (12, sample) int16 in the standard lead order, `units_per_mv` to a mV."""

    visit: Visit
    samples: NDArray[np.int16]
    units_per_mv: int
    measured: Measurements


def record(visit: Visit, units_per_mv: int) -> Recording:
    """Simulate one visit."""
    count = round(visit.seconds * RATE)
    heart = visit_heart(visit)
    beats = visit_beats(visit, heart)
    source = _ventricles(visit, heart, beats, count)
    source += _atrial_beats(visit, heart, beats, count)
    source += _atrial_activity(visit.stream("atria"), beats, count)
    site = SITES[visit.patient.corpus]
    field = _visit_field(visit)
    noise = at_electrodes(visit.stream("noise"), site, visit.noise, count, RATE)
    noise += (site.gain * field).astype(np.float32) @ source.astype(np.float32)
    samples = digitised(noise, units_per_mv)
    return Recording(visit, samples, units_per_mv, measured(visit, heart, beats))


def patient_heart(patient: Patient) -> Heart:
    """The patient's heart before disease: own waves, own axis, own rotation."""
    heart = healthy_heart(patient.stream("heart"), patient.age, patient.female)
    rng = patient.stream("position")
    turn = {"clockwise rotation": 32.0, "counterclockwise rotation": -34.0}
    degrees = next((turn[name] for name in patient.chronic if name in turn), 0.0)
    matrix = horizontal_turn(float(degrees))
    heart = replace(heart, qrs=heart.qrs.turned(matrix))
    axis = patient.axis
    if "left axis deviation" in patient.chronic:
        axis = rng.uniform(-50, -34)
    if "right axis deviation" in patient.chronic:
        axis = rng.uniform(98, 118)
    return with_axis(heart, axis, T_SHARE)


def visit_heart(visit: Visit) -> Heart:
    """The conducted beat of this visit, with everything the findings do to it."""
    heart = patient_heart(visit.patient)
    for name, shape in SHAPES.items():
        if name == "low voltage":
            heart = _with_infarcts(heart, visit)
        if visit.has(name):
            heart = shape(heart, strength(visit.patient, name), visit.patient.stream(name))
    pr = max(heart.pr * float(np.clip((60 / visit.rate) ** 0.25, 0.86, 1.05)), SHORTEST_PR)
    if visit.has("first degree av block"):
        pr = visit.patient.stream("first degree av block").uniform(0.214, 0.30)
    if visit.has("wolff-parkinson-white"):
        pr = heart.pr
    return replace(heart, pr=float(pr))


def strength(patient: Patient, name: str) -> float:
    """How marked a finding is in this patient: 0.7 (mild) to 1.3."""
    return float(patient.stream(name, "strength").uniform(0.7, 1.3))


def _with_infarcts(heart: Heart, visit: Visit) -> Heart:
    for name, stage in visit.stages.items():
        rng, size = visit.patient.stream(name), strength(visit.patient, name)
        heart = muscle.infarct(heart, TERRITORIES[name], stage, size, rng)
    return heart


def visit_beats(visit: Visit, heart: Heart) -> Beats:
    """The rhythm of this visit, with its ectopy."""
    rng = visit.stream("rhythm")
    special = next((name for name in visit.findings if name in rhythms.RHYTHMS), "")
    if special:
        beats = rhythms.RHYTHMS[special](rng, visit.rate, heart.pr, visit.seconds)
    else:
        swing = rng.uniform(0.13, 0.22) if visit.has("sinus arrhythmia") else rng.uniform(0, 0.03)
        beats = rhythms.sinus(rng, visit.rate, heart.pr, visit.seconds, swing)
    return _with_ectopy(visit, beats, rng)


def _with_ectopy(visit: Visit, beats: Beats, rng: Random) -> Beats:
    if visit.has("sinus pause"):
        beats = rhythms.with_pause(beats, rng, visit.seconds)
    if visit.has("premature atrial complex"):
        beats = rhythms.with_atrial_ectopy(beats, rng, visit.seconds)
    every = {
        "premature ventricular complex": 0,
        "ventricular bigeminy": 2,
        "ventricular trigeminy": 3,
    }
    for name, period in every.items():
        if visit.has(name):
            beats = rhythms.with_ventricular_ectopy(beats, rng, visit.seconds, period)
    return beats


def _ventricles(visit: Visit, heart: Heart, beats: Beats, count: int) -> Array:
    """(3, count) mV: QRS, ST and T of all beats, each with the QT its interval asks for."""
    hearts = beat_hearts(visit.patient, heart)
    usual = float(beats.rr.mean())
    intervals = 0.6 * usual + 0.4 * np.minimum(beats.rr, 1.6)
    factors = [round(rate_factor(rr) / QT_STEP) * QT_STEP for rr in intervals.tolist()]
    keys = list(zip(beats.kind.tolist(), factors, strict=True))
    shapes = {key: _template(beat(hearts[key[0]], key[1])) for key in set(keys)}
    breath = 1 + 0.03 * np.sin(2 * np.pi * 0.25 * beats.qrs + visit.number)
    return _placed([shapes[key] for key in keys], beats.qrs, breath, count)


def beat_hearts(patient: Patient, heart: Heart) -> dict[int, Heart]:
    """The heart as it beats by each way of driving it: conducted, ectopic, paced, escaping."""
    rng = patient.stream("ectopic")
    ectopic, stimulated = conduction.ventricular_ectopic(heart, rng), conduction.paced(heart, rng)
    return {
        rhythms.CONDUCTED: heart,
        rhythms.ECTOPIC: ectopic,
        rhythms.PACED: stimulated,
        rhythms.ESCAPE: ectopic if rng.random() < 0.5 else heart,
    }


def _atrial_beats(visit: Visit, heart: Heart, beats: Beats, count: int) -> Array:
    """(3, count) mV: all P waves."""
    shapes = _p_shapes(heart.p, visit.patient.stream("atrial ectopic"))
    kinds = beats.p_kind.tolist()
    drawn = {kind: _template(shapes[kind]) for kind in set(kinds)}
    return _placed([drawn[kind] for kind in kinds], beats.p, np.ones(len(kinds)), count)


def _template(parts: Waves) -> Array:
    """(3, TEMPLATE) mV of one beat whose onset is at sample ONSET."""
    return dipole(parts.moved(ONSET / RATE), TEMPLATE, RATE)


def _placed(shapes: Sequence[Array], onsets: Array, gains: Array, count: int) -> Array:
    """Templates added up, each with its onset at the sample nearest to its time."""
    out = np.zeros((3, count))
    starts = np.rint(onsets * RATE).astype(int) - ONSET
    for shape, start, gain in zip(shapes, starts.tolist(), gains.tolist(), strict=True):
        begin, stop = max(start, 0), min(start + TEMPLATE, count)
        if begin < stop:
            out[:, begin:stop] += gain * shape[:, begin - start : stop - start]
    return out


def _p_shapes(p_waves: Waves, rng: Random) -> dict[int, Waves]:
    elsewhere = frontal_turn(float(rng.choice([-1, 1]) * rng.uniform(45, 95)))
    upward = np.diag([0.5, -0.9, -0.6])
    return {
        rhythms.SINUS: p_waves,
        rhythms.ATRIAL_ECTOPIC: p_waves.turned(elsewhere).scaled(1.1),
        rhythms.RETROGRADE: p_waves.turned(upward),
    }


def _atrial_activity(rng: Random, beats: Beats, count: int) -> Array:
    """(3, count) mV of fibrillation or flutter; nothing where there are P waves."""
    seconds = np.arange(count) / RATE
    if beats.atria == "fibrillation":
        return _fibrillation(rng, beats.atrial_rate, seconds)
    if beats.atria == "flutter":
        return _flutter(rng, beats.atrial_rate, seconds)
    return np.zeros((3, count))


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
    return out * rng.uniform(0.028, 0.075)


def _flutter(rng: Random, frequency: float, seconds: Array) -> Array:
    """Sawtooth, negative in II, III, aVF, positive in V1; its phase is the rhythm's own."""
    steps = np.arange(1, 5)[:, None]
    angle = 2 * np.pi * frequency * steps * (seconds + rhythms.BEFORE + 1)
    saw = (np.sin(angle) / steps).sum(axis=0) * (2 / np.pi)
    direction = np.array([0.05, -0.9, -0.5]) + rng.normal(0, 0.1, 3)
    return np.asarray(np.outer(direction, saw) * rng.uniform(0.11, 0.20))


def _visit_field(visit: Visit) -> Array:
    """The patient's body, its electrodes placed anew."""
    field = lead_field(visit.patient.stream("body"), visit.patient.size)
    return field * visit.stream("electrodes").normal(1, 0.03, field.shape)


def measured(visit: Visit, heart: Heart, beats: Beats) -> Measurements:
    """What a cart would print for this visit, from the simulation itself."""
    inside = beats.rr[(beats.qrs > 0) & (beats.qrs < visit.seconds)]
    rr = float(np.median(inside)) if len(inside) else 60 / visit.rate
    if visit.has("ventricular pacing"):
        heart = beat_hearts(visit.patient, heart)[rhythms.PACED]
    atrial = any(visit.has(name) for name in SINUS_RHYTHMS)
    return Measurements(
        rr=rr,
        p_width=heart.p.end - heart.p.onset if atrial else None,
        pr=heart.pr if atrial else None,
        qrs=heart.qrs_width,
        qt=heart.qtc * rate_factor(rr),
        p_axis=float(frontal_axis(heart.p.area)) if atrial else None,
        qrs_axis=float(frontal_axis(heart.qrs.area)),
        t_axis=float(frontal_axis(heart.t.vector[0])),
    )
