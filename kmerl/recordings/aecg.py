"""HL7 annotated ECG (HL7 V3, FDA): the sequences of one series, in digits with scale and origin."""

from typing import Any

import numpy as np

from kmerl.recordings import names, xml_trees
from kmerl.recordings.recording import (
    Channel,
    Contents,
    Person,
    RecordError,
    Told,
    age_of,
    sex_of,
    when,
)

STAMPS = ("%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d")
TIMES = ("TIME_ABSOLUTE", "TIME_RELATIVE")


def read(content: bytes, told: Told) -> Contents:
    """The rhythm's sequences; other series, and those derived from it, are left out by name.

    Raises:
        RecordError: there is no sequence, or one without digits, scale or increment.
    """
    root = xml_trees.parse(content)
    series = root.findall("component/series") or list(root.iter("series"))
    sets = [(one, found) for one in series for found in one.findall("component/sequenceSet")]
    if not sets:
        raise RecordError("it has no sequence of samples")
    main, held = sets[0]
    left_out: dict[str, str] = {}
    for place, (one, found) in enumerate(sets[1:]):
        code = _code(one) or f"series {place + 2}"
        names.add(left_out, f"{code} ({', '.join(_leads(found))})", place, "another series")
    for one in root.iter("derivedSeries"):
        for found in one.iter("sequenceSet"):
            shown = f"{_code(one) or 'derived series'} ({', '.join(_leads(found))})"
            names.add(left_out, shown, 0, "computed by the device")
    rate = _rate(held)
    channels = tuple(_channel(one, rate) for one in _sequences(held) if _code(one) not in TIMES)
    date = when(_value(main, "effectiveTime/low") or _value(main, "effectiveTime/center"), *STAMPS)
    return Contents(channels, left_out=left_out, date=date, person=_person(root, date))


def _sequences(held: Any) -> list[Any]:
    return list(held.findall("component/sequence"))


def _code(element: Any) -> str:
    code = element.find("code")
    return "" if code is None else str(code.get("code", ""))


def _leads(held: Any) -> list[str]:
    return [_code(one).removeprefix("MDC_ECG_LEAD_") for one in _sequences(held)
            if _code(one) not in TIMES]  # fmt: skip


def _value(element: Any, path: str) -> str:
    found = element.find(path)
    return "" if found is None else str(found.get("value", ""))[:14]


def _rate(held: Any) -> float:
    """Samples a second, from the increment of the sequence of times."""
    for one in _sequences(held):
        step = one.find("value/increment")
        if _code(one) in TIMES and step is not None:
            seconds = {"s": 1.0, "ms": 1e-3, "us": 1e-6}.get(step.get("unit", "s"))
            value = xml_trees.as_number(step.get("value"), "increment of time")
            if seconds is None or not value > 0:
                raise RecordError(f"its increment of time is {value:g} {step.get('unit')}")
            return float(1 / (value * seconds))
    raise RecordError("it has no sequence of times, which gives the rate")


def _channel(one: Any, rate: float) -> Channel:
    code = _code(one)
    digits, scale, origin = (one.find(f"value/{part}") for part in ("digits", "scale", "origin"))
    if digits is None or scale is None:
        raise RecordError(f"{code}: a sequence without digits or scale")
    try:
        values = np.array((digits.text or "").split(), np.float64)
    except ValueError:
        raise RecordError(f"{code}: its digits are no numbers") from None
    unit = str(scale.get("unit", ""))
    offset = 0.0
    if origin is not None and origin.get("value"):
        offset = xml_trees.as_number(origin.get("value"), f"{code}'s origin")
        if offset and origin.get("unit", unit) != unit:
            raise RecordError(f"{code}: origin and scale are in two units")
    gain = xml_trees.as_number(scale.get("value"), f"{code}'s scale")
    return Channel(code, values, unit, rate, gain, offset)


def _person(root: Any, date: Any) -> Person:
    subject = next(root.iter("trialSubject"), None)
    if subject is None:
        return Person()
    identity = subject.find("id")
    gender = next(subject.iter("administrativeGenderCode"), None)
    birth = next(subject.iter("birthTime"), None)
    born = when(str(birth.get("value", ""))[:8], "%Y%m%d") if birth is not None else None
    return Person(
        "" if identity is None else str(identity.get("extension", "")),
        age_of(born, date),
        "" if gender is None else sex_of(str(gender.get("code", ""))),
    )
