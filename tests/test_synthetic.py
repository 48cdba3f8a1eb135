"""The synthetic heart: physics, findings in their own leads, rhythms."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from kmerl.leads import LEADS
from kmerl.synthetic import conduction, rhythms
from kmerl.synthetic.body import DOWER, digitised, electrodes_of
from kmerl.synthetic.catalogue import CATALOGUE, compatible
from kmerl.synthetic.heart import beat, frontal_axis, healthy_heart, with_axis
from kmerl.synthetic.patients import Visit, draw_patient, draw_visit, visits
from kmerl.synthetic.recording import RATE, SHAPES, record, visit_beats, visit_heart
from kmerl.synthetic.waves import dipole

PEOPLE = range(6)


def visit_with(*findings: str, person: int = 0, **changes: object) -> Visit:
    """A visit of a patient with exactly `findings`, in sinus rhythm unless one is a rhythm."""
    patient = dataclasses.replace(
        draw_patient(7, "ptb-xl", person), chronic=findings, axis=45.0, size=1.0
    )
    visit = draw_visit(patient, 0, person)
    rhythm = () if any(CATALOGUE[f].group == "rhythm" for f in findings) else ("sinus rhythm",)
    stages = {name: "old" for name in findings if CATALOGUE[name].group == "infarct"}
    plain = dataclasses.replace(
        visit, findings=compatible((*rhythm, *findings)), stages=stages, rate=70.0
    )
    return dataclasses.replace(plain, **changes)


def beat_of(*findings: str, person: int = 0, **changes: object) -> dict[str, np.ndarray]:
    """One noiseless beat: lead -> mV, 500 samples of 2 ms, QRS onset at sample 100."""
    heart = visit_heart(visit_with(*findings, person=person, **changes))
    potentials = electrodes_of(DOWER @ dipole(beat(heart, 0.95).moved(0.2), 500, RATE))
    return dict(zip(LEADS, digitised(potentials, 1000) / 1000, strict=True))


def qrs(lead: np.ndarray) -> np.ndarray:
    return lead[100:170]


def t_peak(lead: np.ndarray) -> float:
    """The extreme of T against the level before QRS."""
    part = lead[210:300] - lead[:60].mean()
    return float(part[np.abs(part).argmax()])


@settings(max_examples=50, deadline=None)
@given(
    potentials=strategies.lists(strategies.floats(-12, 12), min_size=9, max_size=9),
    units=strategies.sampled_from([200, 1000]),
)
def test_limb_leads_obey_einthoven_and_goldberger_for_any_potentials(potentials, units):
    column = np.array(potentials)[:, None]
    lead = dict(zip(LEADS, digitised(column, units)[:, 0].astype(int), strict=True))
    assert lead["III"] == lead["II"] - lead["I"]
    assert abs(2 * lead["aVR"] + lead["I"] + lead["II"]) <= 1
    assert abs(2 * lead["aVL"] - 2 * lead["I"] + lead["II"]) <= 1
    assert abs(2 * lead["aVF"] - 2 * lead["II"] + lead["I"]) <= 1


def test_recordings_with_noise_obey_einthoven_too():
    samples = record(visit_with("atrial fibrillation"), 1000).samples.astype(int)
    lead = dict(zip(LEADS, samples, strict=True))
    assert np.array_equal(lead["III"], lead["II"] - lead["I"])
    assert np.abs(lead["aVR"] + lead["aVL"] + lead["aVF"]).max() <= 1
    assert samples.std(axis=1).min() > 5


@settings(max_examples=50, deadline=None)
@given(target=strategies.floats(-85, 175))
def test_axis_is_the_one_asked_for(target):
    heart = healthy_heart(np.random.default_rng(3))
    assert frontal_axis(with_axis(heart, target).qrs.area) == pytest.approx(target, abs=1)


def test_normal_beats_look_normal():
    for person in PEOPLE:
        lead = beat_of(person=person)
        heart = visit_heart(visit_with(person=person))
        assert 0.07 <= heart.qrs_width <= 0.11
        assert 0.12 <= heart.pr <= 0.20
        assert qrs(lead["aVR"]).min() < -0.3
        assert qrs(lead["V1"]).min() < -0.4 < 0.5 < qrs(lead["V5"]).max()
        assert t_peak(lead["II"]) > 0.05


SPREAD = [  # lead, wave, and what a tenth of healthy people exceeds (mV; PTB-XL, folds 1-8)
    ("I", "R", 0.85, 1.5),
    ("V2", "S", 1.3, 2.4),
    ("V3", "S", 0.9, 1.8),
    ("V5", "R", 1.5, 2.6),
]


def test_healthy_hearts_vary_as_people_do_and_their_p_is_upright_in_the_first_lead():
    hearts = [healthy_heart(np.random.default_rng(k)) for k in range(150)]
    shown = [electrodes_of(DOWER @ dipole(h.qrs.moved(0.1), 150, RATE)) for h in hearts]
    leads = [dict(zip(LEADS, digitised(each, 1000) / 1000, strict=True)) for each in shown]
    for lead, wave, low, high in SPREAD:
        sizes = [one[lead].max() if wave == "R" else -one[lead].min() for one in leads]
        assert low < np.percentile(sizes, 90) < high, lead
    upright = [DOWER[0] @ heart.p.vector.sum(axis=0) > 0 for heart in hearts]
    assert np.mean(upright) > 0.95


def test_low_voltage_is_one_of_the_limb_leads():
    for person in PEOPLE:
        small = {x: np.ptp(qrs(v)) for x, v in beat_of("low voltage", person=person).items()}
        assert max(small[x] for x in LEADS[:6]) < 0.75 < max(small[x] for x in LEADS[6:])


WIDTHS = {  # seconds of QRS
    "left bundle branch block": (0.120, 0.175),
    "right bundle branch block": (0.120, 0.165),
    "incomplete right bundle branch block": (0.085, 0.120),
    "incomplete left bundle branch block": (0.100, 0.120),
    "intraventricular conduction delay": (0.110, 0.145),
    "wolff-parkinson-white": (0.105, 0.150),
}
Q_WAVES = {
    "inferior myocardial infarction": ("III", "aVF"),
    "anteroseptal myocardial infarction": ("V1", "V2"),
    "anterior myocardial infarction": ("V2", "V3"),
    "lateral myocardial infarction": ("I", "aVL"),
}
EARLY, R_PRIME, ST = slice(100, 113), slice(130, 175), slice(158, 166)  # R' after 60 ms


def sokolow(lead):
    return qrs(lead["V5"]).max() - qrs(lead["V1"]).min()


def steepest(lead):
    """The fastest change at the start of QRS in mV a sample."""
    return max(np.abs(np.diff(lead[x][104:114])).max() for x in ("V4", "V5"))


def st(ill, well, lead):
    return float((ill[lead] - well[lead])[ST].mean())


def early_forces_lost(ill, well):
    """A Q, or an R that has shrunk: what most anterior infarcts of PTB-XL are told by."""
    return ill.min() < well.min() - 0.05 or ill.max() < 0.6 * well.max()


SIGNS = {  # what holds of a beat with the finding and of the same person's without
    "left bundle branch block": lambda ill, _: [
        qrs(ill["V1"]).min() < -0.5 and qrs(ill["V1"]).max() < 0.25,
        qrs(ill["V6"]).max() > 0.4 and t_peak(ill["V6"]) < 0,
    ],
    "right bundle branch block": lambda ill, _: [
        ill["V1"][R_PRIME].max() > 0.3,
        ill["V6"][R_PRIME].min() < -0.1,
    ],
    "wolff-parkinson-white": lambda ill, well: [steepest(ill) < steepest(well)],
    "left ventricular hypertrophy": lambda ill, well: [
        sokolow(ill) > 2.7,
        sokolow(ill) > 1.2 * sokolow(well),
    ],
    "right ventricular hypertrophy": lambda ill, _: [
        qrs(ill["V1"]).max() > 0.4,
        qrs(ill["I"]).min() < -0.2,
        t_peak(ill["V1"]) < 0,
    ],
    "low t wave": lambda ill, well: [abs(t_peak(ill["V4"])) < 0.5 * t_peak(well["V4"])],
    "t wave inversion": lambda ill, _: [
        min(t_peak(ill[x]) for x in ("aVL", "I", "V2", "V3", "V5", "III")) < -0.08
    ],
    "st depression": lambda ill, well: [st(ill, well, "V5") < -0.06],
    "st elevation": lambda ill, well: [max(st(ill, well, x) for x in ("V2", "aVF")) > 0.08],
    "low voltage": lambda ill, _: [max(np.ptp(qrs(ill[x])) for x in LEADS[:6]) < 0.75],
    **{
        name: lambda ill, well, leads=leads: [
            *(early_forces_lost(ill[x][EARLY], well[x][EARLY]) for x in leads),
            *(t_peak(ill[x]) < max(t_peak(well[x]), 0) + 0.02 for x in leads),
        ]
        for name, leads in Q_WAVES.items()
    },
}


@pytest.mark.parametrize("name", SIGNS)
def test_a_finding_shows_in_its_own_leads(name):
    for person in PEOPLE:
        signs = SIGNS[name](beat_of(name, person=person), beat_of(person=person))
        assert all(signs), (person, signs)


def test_an_acute_infarct_lifts_st_and_the_opposite_leads_mirror_it():
    name = "inferior myocardial infarction"
    for person in PEOPLE:
        acute, normal = beat_of(name, person=person, stages={name: "acute"}), beat_of(person=person)
        level = {x: st(acute, normal, x) for x in LEADS}
        assert level["III"] > 0.1 and level["aVF"] > 0.08
        assert level["aVL"] < -0.04


def heart_of(*findings, person=0):
    return visit_heart(visit_with(*findings, person=person))


def test_conduction_and_repolarisation_have_their_durations():
    for person in PEOPLE:
        for name, (low, high) in WIDTHS.items():
            assert low <= heart_of(name, person=person).qrs_width <= high, name
        assert heart_of("wolff-parkinson-white", person=person).pr < 0.12
        assert heart_of("prolonged qt interval", person=person).qtc > 0.47


def test_atrial_enlargement_changes_p():
    for person in PEOPLE:
        plain = heart_of(person=person).p
        left = heart_of("left atrial enlargement", person=person).p
        right = heart_of("right atrial enlargement", person=person).p
        v1, second = DOWER[2], DOWER[1]
        assert left.end - left.onset > max(0.112, plain.end - plain.onset + 0.02)
        assert (left.vector @ v1).min() < (plain.vector @ v1).min() - 0.04
        assert (right.vector @ second).max() > (plain.vector @ second).max() + 0.1


def test_axis_findings_and_fascicular_blocks_turn_the_axis():
    limits = {
        "left axis deviation": (-180, -30),
        "right axis deviation": (90, 180),
        "left anterior fascicular block": (-180, -40),
        "left posterior fascicular block": (95, 180),
    }
    for person in PEOPLE:
        for name, (low, high) in limits.items():
            assert low < frontal_axis(heart_of(name, person=person).qrs.area) < high, name


def test_every_shape_changes_the_beat():
    plain = beat_of()
    for name in SHAPES:
        if CATALOGUE[name].group not in ("atria", "av"):
            changed = beat_of(name)
            assert max(np.abs(changed[x] - plain[x]).max() for x in LEADS) > 0.05, name


def rr_of(*findings: str, person: int = 0) -> tuple[rhythms.Beats, np.ndarray]:
    visit = visit_with(*findings, person=person)
    beats = visit_beats(visit, visit_heart(visit))
    inside = (beats.qrs > 0) & (beats.qrs < visit.seconds)
    return beats, np.diff(beats.qrs[inside])


def test_atrial_fibrillation_is_irregular_and_without_p():
    for person in PEOPLE:
        beats, rr = rr_of("atrial fibrillation", person=person)
        _, sinus = rr_of(person=person)
        assert not len(beats.p) and beats.atria == "fibrillation"
        assert rr.std() / rr.mean() > 0.10
        assert sinus.std() / sinus.mean() < 0.05


def test_av_blocks_delay_drop_or_part_the_ventricles():
    beats, _ = rr_of("first degree av block")
    assert ((beats.qrs - beats.p) > 0.20).all()
    for person in PEOPLE:
        for kind in ("one", "two"):
            beats, _ = rr_of(f"second degree av block type {kind}", person=person)
            assert len(beats.p) > len(beats.qrs)
            delay = beats.qrs - beats.p[np.searchsorted(beats.p, beats.qrs) - 1]
            assert (np.ptp(delay) > 0.04) == (kind == "one")
    beats, rr = rr_of("third degree av block")
    assert 60 / rr.mean() < 46 and (beats.kind == rhythms.ESCAPE).all()


@pytest.mark.parametrize(("name", "every"), [("bigeminy", 2), ("trigeminy", 3)])
def test_ventricular_beats_come_in_step(name, every):
    beats, _ = rr_of(f"ventricular {name}")
    ectopic = np.flatnonzero(beats.kind == rhythms.ECTOPIC)
    assert (np.diff(ectopic) == every).all() and len(ectopic) > 2
    assert (beats.rr[ectopic[1:]] < np.median(beats.rr[beats.kind == rhythms.CONDUCTED])).all()


def test_pauses_and_early_beats():
    for person in PEOPLE:
        assert rr_of("sinus pause", person=person)[1].max() > 1.9
        _, rr = rr_of("premature atrial complex", person=person)
        assert rr.min() < 0.85 * np.median(rr)


def test_rates_are_what_the_findings_say():
    for name, low, high in (("supraventricular tachycardia", 140, 215), ("sinus rhythm", 60, 100)):
        visit = next(v for v in visits(1, "mimic-iv-ecg", 400) if v.has(name))
        beats = visit_beats(visit, visit_heart(visit))
        assert low < 60 / np.median(np.diff(beats.qrs)) < high


def test_paced_beats_have_a_stimulus_before_them():
    heart = visit_heart(visit_with("ventricular pacing"))
    paced = conduction.paced(heart, np.random.default_rng(0))
    shape = dipole(paced.qrs.moved(0.2), 400, RATE)
    assert np.abs(np.diff(shape[1]))[92:100].max() > 0.3
