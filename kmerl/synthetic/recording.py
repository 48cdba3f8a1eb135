"""One visit turned into twelve leads and the measurements a cart would take."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kmerl.synthetic import conduction, muscle, rhythms
from kmerl.synthetic.body import lead_field
from kmerl.synthetic.catalogue import SINUS_RHYTHMS, TERRITORIES
from kmerl.synthetic.device import HEART, ROWS, draw_device, recorded
from kmerl.synthetic.heart import (
    T_SHARE,
    Heart,
    frontal_axis,
    healthy_heart,
    horizontal_turn,
    notched,
    rate_factor,
    with_axis,
)
from kmerl.synthetic.noise import RATE, SITES
from kmerl.synthetic.patients import Patient, Visit
from kmerl.synthetic.rhythms import Beats
from kmerl.synthetic.source import beat_heart, lay

Random = np.random.Generator
Shape = Callable[[Heart, float, Random], Heart]

SHORTEST_PR = 0.122  # seconds; shorter is preexcitation

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
    heart = visit_heart(visit)
    beats = visit_beats(visit, heart)
    site, rng = SITES[visit.patient.corpus], visit.stream("recording")
    device = draw_device(rng, site)
    rows = np.empty((ROWS, round(visit.seconds * RATE)), np.float32)
    lay(visit.patient, heart, beats, rng, device.blur, rows[HEART])
    field = lead_field(visit.patient.stream("body"), visit.patient.size)
    field *= rng.normal(1, 0.04, field.shape)  # the electrodes of this visit
    samples = recorded(rng, device, site, visit.noise, rows, field, units_per_mv)
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
    pr = max(heart.pr * min(max((60 / visit.rate) ** 0.25, 0.86), 1.05), SHORTEST_PR)
    if visit.has("first degree av block"):
        pr = visit.patient.stream("first degree av block").uniform(0.214, 0.30)
    if visit.has("wolff-parkinson-white") or visit.has("prolonged pr interval"):
        pr = heart.pr  # at whatever rate
    return notched(replace(heart, pr=float(pr)), visit.patient.stream("notches"))


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


def measured(visit: Visit, heart: Heart, beats: Beats) -> Measurements:
    """What a cart would print for this visit, from the simulation itself."""
    inside = beats.rr[(beats.qrs > 0) & (beats.qrs < visit.seconds)]
    rr = statistics.median(inside.tolist()) if len(inside) else 60 / visit.rate
    if visit.has("ventricular pacing"):
        heart = beat_heart(rhythms.PACED, visit.patient, heart)
    atrial = any(visit.has(name) for name in SINUS_RHYTHMS)
    areas = np.stack([heart.p.area, heart.qrs.area, heart.t.vector[0]], axis=1)
    p_axis, qrs_axis, t_axis = frontal_axis(areas).tolist()
    return Measurements(
        rr=rr,
        p_width=heart.p.end - heart.p.onset if atrial else None,
        pr=heart.pr if atrial else None,
        qrs=heart.qrs_width,
        qt=heart.qtc * rate_factor(rr),
        p_axis=p_axis if atrial else None,
        qrs_axis=qrs_axis,
        t_axis=t_axis,
    )
