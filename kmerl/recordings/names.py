"""Which channel is which lead: names as devices and standards write them.

A name that says more than a lead ("MLII", "V1-LA", "-aVR") is read as the nearest lead, and what it
says beside that is told. A name that says less ("ECG", "1") is no lead's: a person says which.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kmerl.leads import LEADS, canonical
from kmerl.recordings.recording import RecordError

NUMBERED = dict(
    zip((1, 2, *range(3, 9), 61, 62, 63, 64), ("I", "II", *LEADS[6:], *LEADS[2:6]), strict=True)
) | {
    **{9: "V7", 66: "V8", 67: "V9", 65: "-aVR", 16: "X", 17: "Y", 18: "Z", 19: "CC5", 20: "CM5"},
    **{10: "V2R", 11: "V3R", 12: "V4R", 13: "V5R", 14: "V6R", 15: "V7R", 68: "V8R", 69: "V9R"},
}
"""Leads by their number in SCP-ECG, and so in DICOM's and IEEE 11073's codes for leads."""
STRANGE = "its name is no lead's"
_BY_UPPER = {lead.upper(): lead for lead in LEADS} | {
    **{"D1": "I", "D2": "II", "D3": "III", "DI": "I", "DII": "II", "DIII": "III"},
    **{"VR": "", "VL": "", "VF": ""},  # without their a they are other leads
}
_PAIRS = {"LA-RA": "I", "LL-RA": "II", "LL-LA": "III", "L-R": "I", "F-R": "II", "F-L": "III"}
_BEFORE = re.compile(
    r"^(MDC[ _]ECG[ _]LEAD[ _]|(ECG|EKG|LEAD|ABLEITUNG|DERIVACI[OÓ]N|DERIVATION|D[EÉ]RIVATION)"
    r"[\s_:.-]*)+"
)
_AGAINST = re.compile(r"(.+?)\s*[-/]\s*(RA|LA|RL|LL|REF|WCT|CT|G|M)$")
_MODIFIED = re.compile(r"M(?:L[\s_-]?(III|II|I)|(?:CL|V)[\s_-]?([1-6]))$")


@dataclass(frozen=True)
class Named:
    """The lead that a channel's name says, turned where `sign` is -1; `note` is what else it
    says."""

    lead: str
    sign: int = 1
    note: str = ""


@dataclass(frozen=True)
class Choice:
    """Rows and signs by lead, what was understood beside that, and who is left out, why."""

    rows: dict[str, int]
    signs: dict[str, int]
    notes: tuple[str, ...]
    left_out: dict[str, str]


def named(name: str) -> Named | None:
    """What a channel's name says; None where it is no lead's."""
    text = unicodedata.normalize("NFKC", name).replace("\u2212", "-").strip()
    text = re.sub(r"\s*[\[(][^\])]*[\])]\s*$", "", text).strip("'\" ").upper()
    bare = _BEFORE.sub("", text)
    if (pair := bare.replace(" ", "").replace("_", "-")) in _PAIRS:
        return Named(_PAIRS[pair], 1, f"the voltage between {pair.replace('-', ' and ')}")
    turned = bare.startswith("-") or bare.endswith(("NEG", "AVR-"))
    core = re.sub(r"NEG$", "", bare).strip("-") if turned else bare
    if lead := _plain(core):
        return Named(lead, -1, "with its sign turned") if turned else Named(lead)
    if (match := _MODIFIED.match(bare)) and (lead := match[1] or f"V{match[2]}"):
        return Named(lead, 1, "a modified lead, with electrodes on other places")
    if (match := _AGAINST.match(bare)) and (lead := _plain(match[1])):
        usual = match[2] in ("REF", "WCT", "CT", "G", "M")
        return Named(lead) if usual else Named(lead, 1, f"measured against {match[2]}")
    return None


def _plain(text: str) -> str:
    return _BY_UPPER.get(re.sub(r"[\s_.]", "", text), "")


def parse_map(text: str) -> dict[str, str]:
    """ "ECG1=I,ECG2=II" as {channel: lead}; "-" in place of a lead leaves a channel out.

    Raises:
        RecordError: another form, or an unknown lead.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        name, mark, lead = part.rpartition("=")
        if not mark or not name.strip():
            raise RecordError(f"--map {text!r}: write CHANNEL=LEAD between commas")
        try:
            found[name.strip()] = "-" if lead.strip() == "-" else canonical(lead)
        except ValueError as error:
            raise RecordError(f"--map {text!r}: {error}") from None
    return found


def choose(names: Sequence[str], told: Mapping[str, str]) -> Choice:
    """The channel of each lead: those that `told` names, then those whose own names say it.

    Raises:
        RecordError: two channels have equal claims to a lead, or `told` names one that is not
            there.
    """
    said = _said(names, told)
    claims: dict[str, list[tuple[int, int, Named]]] = {}
    left_out: dict[str, str] = {}
    for row, name in enumerate(names):
        found = said.get(row, named(name))
        if found is None or not found.lead:
            add(left_out, name, row, STRANGE if row not in said else "as asked")
        else:
            claims.setdefault(found.lead, []).append(
                (0 if row in said else 1 + bool(found.note), row, found)
            )
    rows, signs, notes = {}, {}, []
    for lead, all_claims in claims.items():
        best, *others = sorted(all_claims, key=lambda claim: claim[:2])
        if others and others[0][0] == best[0]:
            both = " and ".join(repr(names[claim[1]]) for claim in (best, others[0]))
            raise RecordError(
                f'lead {lead} is there twice, as {both}; --map "NAME=-" leaves one out'
            )
        rows[lead], signs[lead] = best[1], best[2].sign
        if best[2].note:
            notes.append(f"{names[best[1]]} is read as lead {lead}: {best[2].note}")
        for _, row, _ in others:
            add(left_out, names[row], row, f"{names[best[1]]} is lead {lead}")
    return Choice(rows, signs, tuple(notes), left_out)


def add(left_out: dict[str, str], name: str, row: int, why: str) -> None:
    """Names a channel by its place where its name is empty, or there already."""
    shown = name.strip() or f"channel {row + 1}"
    left_out[f"{shown} (channel {row + 1})" if shown in left_out else shown] = why


def _said(names: Sequence[str], told: Mapping[str, str]) -> dict[int, Named | None]:
    """Rows of the channels that a person names, and their leads; None to leave one out."""
    found: dict[int, Named | None] = {}
    for name, lead in told.items():
        exact = [row for row, own in enumerate(names) if own.strip() == name]
        alike = [row for row, own in enumerate(names) if own.strip().lower() == name.lower()]
        place = [int(name) - 1] if name.isdigit() and 0 < int(name) <= len(names) else []
        rows = exact or alike or place
        if not rows:
            has = ", ".join(own.strip() or f"channel {n}" for n, own in enumerate(names, 1))
            raise RecordError(f"--map names a channel {name!r} that is not there; there are {has}")
        for row in rows[:1] if lead != "-" else rows:
            found[row] = None if lead == "-" else Named(lead)
    return found
