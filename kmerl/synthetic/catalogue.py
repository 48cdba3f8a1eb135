"""The findings the cohort can have (findings.yaml): their codes in each corpus, what hides what."""

from collections.abc import Iterable
from importlib import resources
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kmerl.files import read_yaml
from kmerl.params import build, checked, nearest

NORMAL = "normal ecg"

Group = Literal[
    "rhythm", "ectopy", "av", "conduction", "fascicle", "axis", "rotation", "hypertrophy", "atria",
    "infarct", "st-t", "qt", "voltage", "summary",
]  # fmt: skip


@checked
class Finding:
    """One finding, by its full name: the canonical entity of the truth tables.

    Attributes:
        group: what it belongs to; a patient has at most one chronic finding of a group.
        scp: PTB-XL's SCP-ECG codes, the diagnostic one first.
        snomed: SNOMED CT codes in the Chapman-Shaoxing-Ningbo corpus.
        cpsc: class of CPSC2018, 1 to 9; 0 where it has none.
        minor: a cardiologist often leaves it unmentioned.
        within_normal: a record with nothing else is read as a normal ECG.
    """

    group: Group
    scp: tuple[str, ...] = ()
    snomed: tuple[int, ...] = ()
    cpsc: Annotated[int, Field(ge=0, le=9)] = 0
    minor: bool = False
    within_normal: bool = False


@checked
class Findings:
    """findings.yaml as it is written: `hides` names findings, and groups for all in them."""

    findings: dict[str, Finding]
    hides: dict[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        groups = {finding.group for finding in self.findings.values()}
        for name in (*self.hides, *(name for names in self.hides.values() for name in names)):
            if name not in self.findings and name not in groups:
                near = nearest(name, [*self.findings, *groups])
                raise ValueError(f"hides: {name!r} is no finding and no group; {near}")

    def members(self, name: str) -> tuple[str, ...]:
        """The findings of a group, or the one finding of that name."""
        return tuple(each for each, f in self.findings.items() if name in (each, f.group))


_FILE = build(
    Findings,
    read_yaml(resources.files("kmerl.synthetic") / "findings.yaml"),
    "kmerl/synthetic/findings.yaml: ",
)
CATALOGUE = _FILE.findings
SINUS_RHYTHMS = tuple(name for name in _FILE.members("rhythm") if name.startswith("sinus "))
TERRITORIES: dict[str, str] = {
    name: name.removesuffix(" myocardial infarction") for name in _FILE.members("infarct")
}
"""The wall of each infarct."""

HIDES: dict[str, set[str]] = {
    name: {hidden for each in hides for hidden in _FILE.members(each)}
    for key, hides in _FILE.hides.items()
    for name in _FILE.members(key)
}
"""Findings that cannot be seen, or do not exist, beside another one."""


def known(name: str) -> str:
    """`name`; a ValueError if no finding has it."""
    if name not in CATALOGUE:
        raise ValueError(f"no finding of findings.yaml has this name; {nearest(name, CATALOGUE)}")
    return name


FindingName = Annotated[str, AfterValidator(known)]


def compatible(names: Iterable[str]) -> tuple[str, ...]:
    """`names` less what another of them hides, in the catalogue's order."""
    given = set(names)
    order = {name: rank for rank, name in enumerate(HIDES)}
    for name in sorted(given, key=lambda n: order.get(n, len(order))):
        if name in given:
            given -= HIDES.get(name, set())
    return tuple(name for name in CATALOGUE if name in given)


def scp_codes(names: Iterable[str]) -> tuple[str, ...]:
    """All SCP-ECG codes of the findings, once each, in their order."""
    return tuple(dict.fromkeys(code for name in names for code in CATALOGUE[name].scp))


def snomed_codes(names: Iterable[str]) -> tuple[str, ...]:
    """All SNOMED CT codes of the findings, once each, in their order."""
    return tuple(dict.fromkeys(str(code) for name in names for code in CATALOGUE[name].snomed))


def is_normal(names: Iterable[str]) -> bool:
    """Nothing but what a normal ECG may show."""
    return all(CATALOGUE[name].within_normal for name in names)
