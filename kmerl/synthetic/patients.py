"""Patients and their visits: who they are, what they have, and what they show on a given day."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from kmerl.synthetic.catalogue import CATALOGUE, NORMAL, TERRITORIES, compatible, is_normal
from kmerl.synthetic.draws import pick_weighted, stream
from kmerl.synthetic.noise import SITES, Noise, draw_noise

Random = np.random.Generator

HEALTHY = 0.36
"""Share of patients without a chronic finding."""

CHRONIC: dict[str, dict[str, float]] = {
    "rhythm": {
        "ventricular pacing": 0.035,
        "atrial fibrillation": 0.12,
        "atrial flutter": 0.045,
        "junctional rhythm": 0.025,
        "supraventricular tachycardia": 0.03,
    },
    "av": {
        "first degree av block": 0.12,
        "second degree av block type one": 0.03,
        "second degree av block type two": 0.025,
        "third degree av block": 0.025,
    },
    "conduction": {
        "left bundle branch block": 0.085,
        "incomplete left bundle branch block": 0.03,
        "right bundle branch block": 0.095,
        "incomplete right bundle branch block": 0.07,
        "intraventricular conduction delay": 0.045,
        "wolff-parkinson-white": 0.04,
    },
    "fascicle": {"left anterior fascicular block": 0.09, "left posterior fascicular block": 0.03},
    "axis": {"left axis deviation": 0.06, "right axis deviation": 0.03},
    "rotation": {"clockwise rotation": 0.05, "counterclockwise rotation": 0.04},
    "hypertrophy": {"left ventricular hypertrophy": 0.20, "right ventricular hypertrophy": 0.06},
    "atria": {"left atrial enlargement": 0.10, "right atrial enlargement": 0.055},
    "infarct": {
        "inferior myocardial infarction": 0.18,
        "anteroseptal myocardial infarction": 0.16,
        "anterior myocardial infarction": 0.075,
        "lateral myocardial infarction": 0.08,
    },
    "st-t": {
        "myocardial ischemia": 0.13,
        "t wave inversion": 0.095,
        "low t wave": 0.08,
        "t wave abnormality": 0.08,
        "st depression": 0.08,
        "st elevation": 0.055,
    },
    "qt": {"prolonged qt interval": 0.065},
    "voltage": {"low voltage": 0.06},
}
"""Chance of each finding, at most one a group, in a patient who has any."""
MOST_CHRONIC = 3
"""Chronic findings of one patient at most: more would hide each other."""

PASSING: dict[str, float] = {
    "premature atrial complex": 0.07,
    "premature ventricular complex": 0.07,
    "ventricular bigeminy": 0.02,
    "ventricular trigeminy": 0.02,
    "sinus pause": 0.015,
}
"""Chance of what one visit of a patient may show and the next one not; healthy hearts a third."""

SINUS: dict[str, float] = {
    "sinus rhythm": 0.66,
    "sinus bradycardia": 0.14,
    "sinus tachycardia": 0.12,
    "sinus arrhythmia": 0.08,
}

CPSC_CLASSES: dict[str, float] = {
    NORMAL: 918,
    "atrial fibrillation": 1221,
    "first degree av block": 722,
    "left bundle branch block": 236,
    "right bundle branch block": 1857,
    "premature atrial complex": 616,
    "premature ventricular complex": 700,
    "st depression": 869,
    "st elevation": 220,
}
"""CPSC2018 was put together by its nine classes: how many records name each."""

RATES: dict[str, tuple[float, float]] = {
    "sinus rhythm": (61, 96),
    "sinus arrhythmia": (58, 88),
    "sinus bradycardia": (41, 57),
    "sinus tachycardia": (104, 142),
    "atrial fibrillation": (52, 148),
    "supraventricular tachycardia": (150, 205),
    "junctional rhythm": (38, 58),
    "ventricular pacing": (60, 80),
}
"""Ventricular rate, beats a minute; flutter's follows from its conduction."""


@dataclass(frozen=True)
class Patient:
    """One person: what does not change from visit to visit.

    Attributes:
        seed, corpus, index: together the name of every random stream of this patient.
        size: distance of the chest wall from the heart; 1 is average.
        axis: frontal QRS axis without disease, degrees.
        chronic: findings present at each visit.
    """

    seed: int
    corpus: str
    index: int
    age: int
    female: bool
    height: int
    weight: int
    size: float
    axis: float
    chronic: tuple[str, ...]
    visits: int

    def stream(self, *names: str | int) -> Random:
        return stream(self.seed, self.corpus, self.index, *names)


@dataclass(frozen=True)
class Visit:
    """One recording of a patient.

    Attributes:
        record: running number in the corpus, from 0.
        number: of this patient's visits, from 0.
        findings: all findings of this visit, in the catalogue's order.
        stages: "acute", "recent" or "old" for each infarct.
        rate: ventricular rate asked of the rhythm, beats a minute.
    """

    patient: Patient
    record: int
    number: int
    findings: tuple[str, ...]
    rate: float
    seconds: float
    noise: Noise
    stages: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        return name in self.findings

    def stream(self, *names: str | int) -> Random:
        return self.patient.stream("visit", self.number, *names)


def visits(seed: int, corpus: str, records: int) -> Iterator[Visit]:
    """`records` visits of as many patients as it takes; record k is the same for any `records`."""
    record, index = 0, 0
    while record < records:
        patient = draw_patient(seed, corpus, index)
        for number in range(min(patient.visits, records - record)):
            yield draw_visit(patient, number, record + number)
        record, index = record + patient.visits, index + 1


def draw_patient(seed: int, corpus: str, index: int) -> Patient:
    rng = stream(seed, corpus, index, "patient")
    chronic = _chronic(rng, corpus)
    older = 0 if is_normal(chronic) else 14
    age = int(np.clip(rng.normal(50 + older, 15), 18, 89))
    female = bool(rng.random() < 0.48)
    height = round(float(rng.normal(164 if female else 177, 7)))
    weight = round(float(np.clip(rng.normal(height - 95, 13), 42, 150)))
    mass = weight / (height / 100) ** 2
    return Patient(
        seed=seed,
        corpus=corpus,
        index=index,
        age=age,
        female=female,
        height=height,
        weight=weight,
        size=float(np.clip((mass / 25) ** 0.35 * (1.05 if female else 0.98), 0.85, 1.25)),
        axis=float(np.clip(rng.normal(62 - 0.45 * age + 10, 18), -18, 80)),
        chronic=chronic,
        visits=_visit_count(rng, corpus),
    )


def _visit_count(rng: Random, corpus: str) -> int:
    """Most have one or two; CPSC2018 and CSN have one record a patient."""
    if corpus in ("cpsc2018", "csn"):
        return 1
    return int(rng.choice([1, 2, 3, 4], p=[0.62, 0.24, 0.09, 0.05]))


def _chronic(rng: Random, corpus: str) -> tuple[str, ...]:
    if corpus == "cpsc2018":
        return _of_class(rng, pick_weighted(rng, CPSC_CLASSES))
    if rng.random() < HEALTHY:
        return ("early repolarization",) if rng.random() < 0.07 else ()
    while True:
        drawn = [name for options in CHRONIC.values() if (name := _one_of(rng, options))]
        kept = rng.permutation(len(drawn))[:MOST_CHRONIC]
        chosen = compatible(drawn[k] for k in kept)
        if not is_normal(chosen):
            return chosen


def _of_class(rng: Random, name: str) -> tuple[str, ...]:
    """A CPSC2018 patient of the class `name`, sometimes with a second finding."""
    if name == NORMAL:
        return ()
    group = CATALOGUE[name].group
    others = [options for key, options in CHRONIC.items() if key not in (group, "rhythm")]
    drawn = [other for options in others if (other := _one_of(rng, options, 0.35))]
    chosen = compatible([name, *drawn])
    return chosen if name in chosen else (name,)


def _one_of(rng: Random, options: dict[str, float], share: float = 1.0) -> str:
    """One of the options, or "" when none of them came up; their chances times `share`."""
    draw = float(rng.random())
    for name, chance in options.items():
        draw -= chance * share
        if draw < 0:
            return name
    return ""


def draw_visit(patient: Patient, number: int, record: int) -> Visit:
    rng = patient.stream("visit", number)
    names = set(patient.chronic)
    rhythm = next((name for name in names if CATALOGUE[name].group == "rhythm"), "")
    if not rhythm:
        rhythm = pick_weighted(rng, SINUS)
    names |= {rhythm, *_passing(rng, patient)}
    findings = compatible(names)
    if is_normal(findings):
        findings = (*findings, NORMAL)
    low, high = RATES.get(rhythm, (61, 96))
    return Visit(
        patient=patient,
        record=record,
        number=number,
        findings=findings,
        rate=float(rng.uniform(low, high)),
        seconds=_seconds(rng, patient.corpus),
        noise=draw_noise(rng, SITES[patient.corpus]),
        stages={name: _stage(patient, name, number) for name in findings if name in TERRITORIES},
    )


def _passing(rng: Random, patient: Patient) -> tuple[str, ...]:
    if patient.corpus == "cpsc2018" and not patient.chronic:
        return ()
    share = 0.33 if is_normal(patient.chronic) else 1.0
    drawn = _one_of(rng, PASSING, share)
    return (drawn,) if drawn else ()


def _stage(patient: Patient, name: str, number: int) -> str:
    """An infarct is acute at most once: at the first visit; then it grows old."""
    began = str(
        patient.stream(name, "stage").choice(["acute", "recent", "old"], p=[0.25, 0.15, 0.6])
    )
    return began if number == 0 else {"acute": "recent"}.get(began, "old") if number == 1 else "old"


def _seconds(rng: Random, corpus: str) -> float:
    """10 s, but CPSC2018's recordings last 6 to 60 s."""
    if corpus != "cpsc2018":
        return 10.0
    return round(float(np.clip(6 + rng.gamma(1.6, 6.0), 6, 60)) * 2) / 2
