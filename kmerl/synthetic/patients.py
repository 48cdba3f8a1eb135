"""Patients and their visits: who they are, what they have, and what they show on a given day."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import resources

import numpy as np

from kmerl.files import read_yaml
from kmerl.params import Count, Positive, PositiveOrZero, Share, build, checked
from kmerl.synthetic.catalogue import (
    CATALOGUE,
    NORMAL,
    TERRITORIES,
    FindingName,
    Group,
    compatible,
    is_normal,
)
from kmerl.synthetic.draws import pick_weighted, stream
from kmerl.synthetic.noise import SITES, Noise, draw_noise

Random = np.random.Generator


@checked
class Population:
    """How common each finding is (population.yaml).

    Attributes:
        healthy: share of patients without a chronic finding.
        most_chronic: chronic findings of one patient at most.
        chronic: chance of each finding, at most one a group, in a patient who has any.
        together: chance of what a chronic finding brings along.
        passing: chance of what one visit of a patient may show and the next one not.
        sinus: weight of each sinus rhythm, where no other rhythm is.
        cpsc2018: weight of each of CPSC2018's classes among its records.
        rates: lowest and highest ventricular rate of a rhythm, beats a minute.
    """

    healthy: Share
    most_chronic: Count
    chronic: dict[Group, dict[FindingName, Share]]
    together: dict[FindingName, dict[FindingName, Share]]
    passing: dict[FindingName, Share]
    sinus: dict[FindingName, PositiveOrZero]
    cpsc2018: dict[FindingName, PositiveOrZero]
    rates: dict[FindingName, tuple[Positive, Positive]]


POPULATION = build(
    Population,
    read_yaml(resources.files("kmerl.synthetic") / "population.yaml"),
    "kmerl/synthetic/population.yaml: ",
)


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
        size=float(np.clip((mass / 25) ** 0.35 * (0.96 if female else 0.9), 0.78, 1.15)),
        axis=float(np.clip(rng.normal(28 - 0.5 * (age - 55) + 9 * female, 29), -29, 88)),
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
        return _of_class(rng, pick_weighted(rng, POPULATION.cpsc2018))
    if rng.random() < POPULATION.healthy:
        return ("early repolarization",) if rng.random() < 0.07 else ()
    while True:
        drawn = [name for options in POPULATION.chronic.values() if (name := _one_of(rng, options))]
        kept = rng.permutation(len(drawn))[: POPULATION.most_chronic]
        own = [drawn[k] for k in kept]
        brought = (POPULATION.together.get(name, {}) for name in own)
        chosen = _one_a_group((*own, *(name for each in brought if (name := _one_of(rng, each)))))
        if not is_normal(chosen):
            return chosen


def _one_a_group(names: Iterable[str]) -> tuple[str, ...]:
    """What can be seen of `names`, the first of each group."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(CATALOGUE[name].group, name)
    return compatible(first.values())


def _of_class(rng: Random, name: str) -> tuple[str, ...]:
    """A CPSC2018 patient of the class `name`, sometimes with a second finding."""
    if name == NORMAL:
        return ()
    group = CATALOGUE[name].group
    others = [
        options for key, options in POPULATION.chronic.items() if key not in (group, "rhythm")
    ]
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
        rhythm = pick_weighted(rng, POPULATION.sinus)
    names |= {rhythm, *_passing(rng, patient)}
    findings = compatible(names)
    if is_normal(findings):
        findings = (*findings, NORMAL)
    low, high = POPULATION.rates[rhythm]
    return Visit(
        patient=patient,
        record=record,
        number=number,
        findings=findings,
        rate=float(low + (high - low) * rng.beta(1.5, 1.9)),
        seconds=_seconds(rng, patient.corpus),
        noise=draw_noise(rng, SITES[patient.corpus]),
        stages={name: _stage(patient, name, number) for name in findings if name in TERRITORIES},
    )


def _passing(rng: Random, patient: Patient) -> tuple[str, ...]:
    if patient.corpus == "cpsc2018" and not patient.chronic:
        return ()
    share = 0.33 if is_normal(patient.chronic) else 1.0
    drawn = _one_of(rng, POPULATION.passing, share)
    return (drawn,) if drawn else ()


def _stage(patient: Patient, name: str, number: int) -> str:
    """An infarct is acute at most once: at the first visit; then it grows old."""
    began = str(
        patient.stream(name, "stage").choice(["acute", "recent", "old"], p=[0.15, 0.12, 0.73])
    )
    return began if number == 0 else {"acute": "recent"}.get(began, "old") if number == 1 else "old"


def _seconds(rng: Random, corpus: str) -> float:
    """10 s, but CPSC2018's recordings last 6 to 60 s."""
    if corpus != "cpsc2018":
        return 10.0
    return round(float(np.clip(6 + rng.gamma(1.6, 6.0), 6, 60)) * 2) / 2
