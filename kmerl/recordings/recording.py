"""A person's own recording, and what a reader finds in a file before its leads are named."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from jaxtyping import Int16

from kmerl.recordings.headers import microvolts
from kmerl.recordings.long import Long, Values

EXTRA = 'pip install "kmerl[formats]"'


class RecordError(ValueError):
    """A recording cannot be read as asked; the message names the file, the lead and what to do."""


@dataclass(frozen=True)
class Person:
    """What a file says of who was recorded; empty or None where it does not.

    No names: they are neither read nor kept. `age` in years, `sex` is "female" or "male".
    """

    identity: str = ""
    age: float | None = None
    sex: str = ""


@dataclass(frozen=True)
class Recording:
    """Leads by name in whole microvolts, `signal.NAN` where nothing was measured; rate in Hz.

    Those of a long file are read where they are sliced.

    `doubts` are the facts that reading found against it, with figures
    (`kmerl.recordings.plausible`), `notes` what reading did to it, and `left_out` every channel of
    the file that is no lead of `leads`, with the reason.
    """

    source: str
    rate: float
    leads: dict[str, Int16[np.ndarray, " sample"] | Long]
    doubts: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    kind: str = ""
    date: datetime | None = None
    person: Person = Person()


@dataclass(frozen=True)
class Channel:
    """A channel of a file: value = `values` * `gain` + `offset`, in `unit`; rate in Hz.

    `unit` is empty and `rate` 0 where the file does not say; a sample that is not finite, or
    `missing`, was not measured.
    """

    name: str
    values: Values
    unit: str = ""
    rate: float = 0.0
    gain: float = 1.0
    offset: float = 0.0
    missing: int | None = None


@dataclass(frozen=True)
class Contents:
    """What a file holds. `named` is false where the channels' names are their numbers alone.

    `left_out` is what a reader itself leaves out: {name: reason}. `derived` says that the device
    shows leads that it does not store, which follow from others.
    """

    channels: tuple[Channel, ...]
    named: bool = True
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    derived: bool = False
    date: datetime | None = None
    person: Person = Person()


@dataclass(frozen=True)
class Told:
    """What a person says of a file, in the words of `kmerl predict`'s options.

    Args:
        rate: samples a second; 0 where it is not said.
        unit: "mV", or a number of it that a step is worth, such as "4.88uV".
        channels: names of the channels in their order, for a file that has none.
        leads: {name of a channel: lead, or "-" to leave it out}.
        derive: whether III, aVR, aVL and aVF are computed where two limb leads are there.
    """

    rate: float = 0.0
    unit: str = ""
    channels: tuple[str, ...] = ()
    leads: Mapping[str, str] = field(default_factory=dict)
    derive: bool = False

    @property
    def step(self) -> float | None:
        """Microvolts in one of a file's values, as far as `unit` says.

        Raises:
            RecordError: the unit is no voltage.
        """
        if not self.unit:
            return None
        match = re.match(r"\s*([0-9.]+(?:e-?\d+)?)?\s*(\D+)$", self.unit, re.IGNORECASE)
        scale = microvolts(match[2]) if match else None
        try:
            number = float(match[1] or 1) if match else math.nan
        except ValueError:
            number = math.nan
        if scale is None or not number > 0:
            raise RecordError(
                f"--unit {self.unit} is no voltage; write mV, uV or V, or what a step is worth: "
                "4.88uV"
            )
        return number * scale


def age_of(born: datetime | None, date: datetime | None) -> float | None:
    """Whole years from one to the other."""
    if born is None or date is None or date < born:
        return None
    return float(date.year - born.year - ((date.month, date.day) < (born.month, born.day)))


def sex_of(text: str) -> str:
    """ "female" or "male", of the words and letters in which files say it; else empty."""
    return {"f": "female", "w": "female", "m": "male"}.get(text.strip().lower()[:1], "")


def when(text: str, *forms: str) -> datetime | None:
    """The first of the forms of `strptime` that fits."""
    for form in forms:
        try:
            return datetime.strptime(text.strip(), form)
        except ValueError:
            continue
    return None
