"""Lead names, their orders, and sets of leads. Leads travel by name, never by row."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import AfterValidator

LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""The twelve leads in the standard order: the order of every lead axis in this project."""

ORDERS: dict[str, tuple[str, ...]] = {
    "standard": LEADS,
    # MIMIC-IV-ECG's files write aVF before aVL.
    "mimic": ("I", "II", "III", "aVR", "aVF", "aVL", *LEADS[6:]),
    # Sec. 4.2.1, "Partial Lead Setting": aVF before aVR.
    "paper": ("I", "II", "III", "aVF", "aVR", "aVL", *LEADS[6:]),
}
"""Orders in which partial-lead evaluation adds one lead at a time."""

NAMED_SETS: dict[str, tuple[str, ...]] = {
    "limb": LEADS[:6],
    "chest": LEADS[6:],
    "all": LEADS,
    "independent": ("I", "II", *LEADS[6:]),  # the other four follow from I and II
    # Closest to EASI's A-I, A-S (aVR reversed) and E-S; a monitor's own EASI leads are others.
    "easi": ("I", "aVR", "V2"),
    "holter": LEADS[:7],  # five electrodes: four on the limbs' places, one at V1
}
"""Sets that people record, each in the standard order."""

_BY_UPPER = {lead.upper(): lead for lead in LEADS}


def canonical(name: str) -> str:
    """The standard spelling of a lead name ("AVR", "avr" -> "aVR").

    Raises:
        ValueError: the name is none of the twelve leads.
    """
    try:
        return _BY_UPPER[name.strip().upper()]
    except KeyError:
        raise ValueError(f"unknown lead {name!r}; the leads are {', '.join(LEADS)}") from None


def in_standard_order(leads: Iterable[str]) -> tuple[str, ...]:
    """The given leads, canonical, once each, in the standard order."""
    wanted = {canonical(lead) for lead in leads}
    return tuple(lead for lead in LEADS if lead in wanted)


def lead_indices(leads: Sequence[str]) -> list[int]:
    """Positions of leads in the standard order: the index of a lead embedding."""
    return [LEADS.index(canonical(lead)) for lead in leads]


def parse_leads(text: str, order: str = "paper") -> tuple[str, ...]:
    """A lead set from what a person or a metric key calls it.

    "3" is the first three leads of `order`, "mimic:3" those of another order; "limb" and the
    other `NAMED_SETS` are names; "I+II" and "I,II" list leads. The answer is in the standard order.

    Raises:
        ValueError: a count outside 1..12, an unknown order, or an unknown lead.
    """
    if ":" in text:
        order, text = text.split(":", 1)
    if order not in ORDERS:
        raise ValueError(f"unknown lead order {order!r}; choose one of {', '.join(ORDERS)}")
    if text.isdigit():
        if not 1 <= int(text) <= len(LEADS):
            raise ValueError(f"a lead count is 1 to {len(LEADS)}, not {text}")
        return in_standard_order(ORDERS[order][: int(text)])
    if text in NAMED_SETS:
        return NAMED_SETS[text]
    return in_standard_order(text.replace("+", ",").split(","))


def _readable(text: str) -> str:
    parse_leads(text)
    return text


LeadKey = Annotated[str, AfterValidator(_readable)]
"""In a section of params.yaml: a lead set, by any name that `parse_leads` reads."""
