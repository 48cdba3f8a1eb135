"""What every mining backend does: texts in, entities out (Sec. 3.4)."""

from collections.abc import Sequence
from enum import StrEnum
from importlib import import_module
from typing import Protocol, cast, runtime_checkable


class Verdict(StrEnum):
    """How a text states an entity."""

    POSITIVE = "positive"
    HEDGED = "hedged"  # "possible", "cannot rule out", one of two alternatives
    NEGATED = "negated"  # "no", "without", "previously"
    ABSENT = "absent"  # the text does not speak of it


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
        """Superclasses of the given entities with their sorted children; no empty superclass."""
        ...


@runtime_checkable
class Coverage(Protocol):
    """What a backend can say beside the four answers where it reads by rules."""

    def unrecognised(self, texts: Sequence[str]) -> list[list[str]]:
        """For each text the words and clauses that were not understood; empty where all were."""
        ...


def open_backend(name: str) -> Backend:
    """The backend `name`: `kmerl/knowledge/<name>/backend.py`, whose `open_backend()` makes it.

    Raises:
        ValueError: there is no backend of that name.
    """
    if name not in ("lexicon",):
        raise ValueError(f"extract.backend is {name!r}; known backends: lexicon")
    return cast(Backend, import_module(f"kmerl.knowledge.{name}.backend").open_backend())
