"""The findings the cohort can have: what each is called, and its code in each corpus."""

from collections.abc import Iterable
from dataclasses import dataclass

ISCHAEMIA = "myocardial ischemia"
NORMAL = "normal ecg"


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        name: full name, lower case: the canonical entity of the truth tables.
        group: what it belongs to; a patient has at most one finding of an exclusive group.
        scp: PTB-XL's SCP-ECG codes, the diagnostic one first.
        snomed: codes of the Chapman-Shaoxing-Ningbo corpus.
        cpsc: class of CPSC2018, 1 to 9; 0 where it has none.
        minor: a cardiologist often leaves it unmentioned.
    """

    name: str
    group: str
    scp: tuple[str, ...] = ()
    snomed: tuple[str, ...] = ()
    cpsc: int = 0
    minor: bool = False


_FINDINGS = (
    Finding("sinus rhythm", "rhythm", ("SR",), ("426783006",)),
    Finding("sinus bradycardia", "rhythm", ("SBRAD",), ("426177001",)),
    Finding("sinus tachycardia", "rhythm", ("STACH",), ("427084000",)),
    Finding("sinus arrhythmia", "rhythm", ("SARRH",), ("427393009",)),
    Finding("atrial fibrillation", "rhythm", ("AFIB",), ("164889003",), 2),
    Finding("atrial flutter", "rhythm", ("AFLT",), ("164890007",)),
    Finding("supraventricular tachycardia", "rhythm", ("SVTAC",), ("426761007",)),
    Finding("junctional rhythm", "rhythm", ("SVARR",), ("426995002",)),
    Finding("ventricular pacing", "rhythm", ("PACE",), ("10370003",)),
    Finding("sinus pause", "ectopy", ("SVARR",)),
    Finding("premature atrial complex", "ectopy", ("PAC",), ("284470004",), 6),
    Finding("premature ventricular complex", "ectopy", ("PVC",), ("17338001",), 7),
    Finding("ventricular bigeminy", "ectopy", ("PVC", "BIGU"), ("17338001", "11157007"), 7),
    Finding("ventricular trigeminy", "ectopy", ("PVC", "TRIGU"), ("17338001",), 7),
    Finding("first degree av block", "av", ("1AVB", "LPR"), ("270492004",), 3),
    Finding("second degree av block type one", "av", ("2AVB",), ("54016002",)),
    Finding("second degree av block type two", "av", ("2AVB",), ("28189009",)),
    Finding("third degree av block", "av", ("3AVB",), ("27885002",)),
    Finding("left bundle branch block", "conduction", ("CLBBB",), ("164909002",), 4),
    Finding("incomplete left bundle branch block", "conduction", ("ILBBB",)),
    Finding("right bundle branch block", "conduction", ("CRBBB",), ("59118001",), 5),
    Finding("incomplete right bundle branch block", "conduction", ("IRBBB",), minor=True),
    Finding("intraventricular conduction delay", "conduction", ("IVCD",), ("698252002",)),
    Finding("wolff-parkinson-white", "conduction", ("WPW",), ("74390002",)),
    Finding("left anterior fascicular block", "fascicle", ("LAFB",), ("39732003",)),
    Finding("left posterior fascicular block", "fascicle", ("LPFB",), ("47665007",)),
    Finding("left axis deviation", "axis", (), ("39732003",), minor=True),
    Finding("right axis deviation", "axis", (), ("47665007",), minor=True),
    Finding("clockwise rotation", "rotation", (), ("251198002",), minor=True),
    Finding("counterclockwise rotation", "rotation", (), ("251199005",), minor=True),
    Finding("left ventricular hypertrophy", "hypertrophy", ("LVH", "VCLVH"), ("164873001",)),
    Finding("right ventricular hypertrophy", "hypertrophy", ("RVH",), ("89792004",)),
    Finding("left atrial enlargement", "atria", ("LAO/LAE",), ("164912004",)),
    Finding("right atrial enlargement", "atria", ("RAO/RAE",), ("446358003",)),
    Finding("inferior myocardial infarction", "infarct", ("IMI",), ("164865005",)),
    Finding("anterior myocardial infarction", "infarct", ("AMI",), ("164865005",)),
    Finding("anteroseptal myocardial infarction", "infarct", ("ASMI",), ("164865005",)),
    Finding("lateral myocardial infarction", "infarct", ("LMI",), ("164865005",)),
    Finding(ISCHAEMIA, "st-t", ("ISC_", "STD_"), ("428750005",), 8),
    Finding("st depression", "st-t", ("NST_", "STD_"), ("429622005",), 8),
    Finding("st elevation", "st-t", ("NST_", "STE_"), ("164930006",), 9),
    Finding("t wave inversion", "st-t", ("NDT", "INVT"), ("59931005",)),
    Finding("low t wave", "st-t", ("NDT", "LOWT"), ("164934002",), minor=True),
    Finding("t wave abnormality", "st-t", ("NDT", "NT_"), ("164934002",), minor=True),
    Finding("prolonged qt interval", "qt", ("LNGQT",), ("111975006",)),
    Finding("low voltage", "voltage", ("LVOLT",), ("251146004",)),
    Finding("early repolarization", "st-t", ("STE_",), ("428417006",), minor=True),
    Finding(NORMAL, "summary", ("NORM",), (), 1),
)

CATALOGUE: dict[str, Finding] = {finding.name: finding for finding in _FINDINGS}

SINUS_RHYTHMS = ("sinus rhythm", "sinus bradycardia", "sinus tachycardia", "sinus arrhythmia")
TERRITORIES: dict[str, str] = {
    f"{wall} myocardial infarction": wall
    for wall in ("inferior", "anterior", "anteroseptal", "lateral")
}

WITHIN_NORMAL = {
    *SINUS_RHYTHMS,
    "early repolarization",
    "premature atrial complex",
    "clockwise rotation",
    "counterclockwise rotation",
}
"""A record with nothing else is read as a normal ECG."""

_NO_SINUS = {
    "first degree av block",
    "second degree av block type one",
    "second degree av block type two",
    "third degree av block",
    "left atrial enlargement",
    "right atrial enlargement",
    "premature atrial complex",
    "sinus pause",
    "wolff-parkinson-white",
}
_ST_T = {finding.name for finding in _FINDINGS if finding.group == "st-t"}
_ECTOPY = {finding.name for finding in _FINDINGS if finding.group == "ectopy"}
_INFARCTS = set(TERRITORIES)
_WIDE = {finding.name for finding in _FINDINGS if finding.group in ("conduction", "fascicle")}
_SHAPES = (
    _WIDE
    | _INFARCTS
    | _ST_T
    | {
        "left ventricular hypertrophy",
        "right ventricular hypertrophy",
        "low voltage",
        "prolonged qt interval",
    }
)

HIDES: dict[str, set[str]] = {
    "ventricular pacing": _SHAPES | _NO_SINUS | _ECTOPY,
    "atrial fibrillation": _NO_SINUS,
    "atrial flutter": _NO_SINUS | _ST_T | {"prolonged qt interval"},
    "supraventricular tachycardia": _NO_SINUS | _ECTOPY | {"prolonged qt interval"} | _ST_T,
    "junctional rhythm": _NO_SINUS | _ECTOPY,
    "left bundle branch block": _INFARCTS
    | _ST_T
    | {
        "left ventricular hypertrophy",
        "right ventricular hypertrophy",
        "left anterior fascicular block",
        "left posterior fascicular block",
        "prolonged qt interval",
    },
    "incomplete left bundle branch block": {"left posterior fascicular block"} | _INFARCTS,
    "right bundle branch block": {
        "right ventricular hypertrophy",
        "st elevation",
        "t wave abnormality",
        "low t wave",
        "early repolarization",
    },
    "incomplete right bundle branch block": {"right ventricular hypertrophy"},
    "intraventricular conduction delay": {"left posterior fascicular block"},
    "wolff-parkinson-white": _INFARCTS
    | _ST_T
    | {
        "left anterior fascicular block",
        "left posterior fascicular block",
        "left ventricular hypertrophy",
        "right ventricular hypertrophy",
        "first degree av block",
        "second degree av block type one",
        "second degree av block type two",
        "third degree av block",
    },
    "third degree av block": _ECTOPY | {"left anterior fascicular block", "wolff-parkinson-white"},
    "second degree av block type one": _ECTOPY,
    "second degree av block type two": _ECTOPY,
    "left ventricular hypertrophy": {"low voltage", "left posterior fascicular block"},
    "right ventricular hypertrophy": {
        "low voltage",
        "left anterior fascicular block",
        "left posterior fascicular block",
        "lateral myocardial infarction",
        "anteroseptal myocardial infarction",
    },
    "left anterior fascicular block": {"inferior myocardial infarction"},
    "left posterior fascicular block": {"lateral myocardial infarction"},
    **{
        name: {"st elevation", "early repolarization", "low t wave", "t wave abnormality"}
        for name in TERRITORIES
    },
}
"""Findings that cannot be seen, or do not exist, beside another one."""


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
    return tuple(dict.fromkeys(code for name in names for code in CATALOGUE[name].snomed))


def is_normal(names: Iterable[str]) -> bool:
    """Nothing but what a normal ECG may show."""
    return set(names) <= WITHIN_NORMAL
