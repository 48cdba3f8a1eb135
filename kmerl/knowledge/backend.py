"""What every mining backend does: texts in, entities out (Sec. 3.4)."""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

Name = Literal["lexicon", "vllm"]
"""Backends: `kmerl/knowledge/<name>/backend.py`, whose `open_backend(answers)` makes one."""


class MiningError(ValueError):
    """Mining cannot go on, and a person can put it right; the message says how."""


class Verdict(StrEnum):
    """How a text states an entity."""

    POSITIVE = "positive"
    HEDGED = "hedged"  # "possible", "cannot rule out", one of two alternatives
    NEGATED = "negated"  # "no", "without", "previously"
    ABSENT = "absent"  # the text does not speak of it, or the LLM's NO


@dataclass(frozen=True)
class Unresolved:
    """A question that got no usable answer, also when it was asked again."""

    about: str  # "statement 12: sinus rhythm"
    reason: str  # "not json", "refusal", ...
    reply: str  # as it came


class Backend(Protocol):
    """The four questions of Sec. 3.4. Every method answers every item it was asked, in order."""

    def extract(self, texts: Sequence[str]) -> list[list[str]]:
        """The entity expressions of each text as written, in normalised spelling, sorted."""
        ...

    def verify(
        self, texts: Sequence[str], entities: Sequence[Sequence[str]]
    ) -> list[list[Verdict]]:
        """For each text and each of its expressions, whether the text states it."""
        ...

    def merge(self, names: Sequence[str]) -> dict[str, str]:
        """For each expression the canonical entity that it means; itself where there is none."""
        ...

    def aggregate(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Superclasses of the given entities with their sorted children.

        None is empty, and none bears an entity's name (see `free_name`).
        """
        ...

    def counts(self) -> dict[str, Any]:
        """Questions, tokens and malformed replies so far; the same after a resumed run."""
        ...

    def unresolved(self) -> Sequence[Unresolved]:
        """Every question that got no usable answer; nothing else is lost."""
        ...


_OF_THE_TABLE = re.compile(r"record|__\w*")


def is_of_the_table(name: str) -> bool:
    """Whether labels.parquet has a column of this name for itself, or Arrow may when it reads."""
    return _OF_THE_TABLE.fullmatch(name) is not None


def free_name(name: str, taken: Container[str]) -> str:
    """The name of a superclass or an entity, or "any ..." where another one or the label table
    itself bears it."""
    while name in taken or is_of_the_table(name):
        name = f"any {name}"
    return name


def namesakes(superclass: str, entities: Container[str]) -> Iterator[str]:
    """The entities for whose sake a superclass is called "any ..." (see `free_name`)."""
    while superclass.startswith("any "):
        superclass = superclass.removeprefix("any ")
        if superclass in entities:
            yield superclass


@runtime_checkable
class Coverage(Protocol):
    """What a backend can say beside the four answers where it reads by rules."""

    def unrecognised(self, texts: Sequence[str]) -> list[list[str]]:
        """For each text the words and clauses that were not understood; empty where all were."""
        ...
