"""Merging: synonyms and abbreviations to one canonical entity (Sec. 3.4; 341 -> 252 in the paper).

What must not be merged is guarded whatever the backend says: names that differ in side, territory,
degree, completeness and the like stay apart.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import yaml

from kmerl.knowledge.backend import Backend


@dataclass(frozen=True)
class Merge:
    """The `merge` section of params.yaml."""

    synonyms: bool


@dataclass(frozen=True)
class Merged:
    """Canonical entity of each expression, and the merges that the guard refused."""

    entity: Mapping[str, str]
    refused: tuple[tuple[str, str, str], ...]  # (expression, entity it was to become, axis)


def merge(expressions: Iterable[str], backend: Backend, synonyms: bool = True) -> Merged:
    """The canonical entity of each distinct expression; itself where `synonyms` is off.

    Raises:
        ValueError: the backend left an expression without an answer.
    """
    names = sorted(set(expressions))
    if not synonyms:
        return Merged({name: name for name in names}, ())
    answers = backend.merge(names)
    missing = [name for name in names if name not in answers]
    if missing:
        raise ValueError(f"merge: no entity for {missing[0]!r} and {len(missing) - 1} others")
    refused = [
        (name, answers[name], axis)
        for name in names
        if (axis := contradiction(name, answers[name])) is not None
    ]
    kept_apart = {name: name for name, _, _ in refused}
    return Merged({name: answers[name] for name in names} | kept_apart, tuple(refused))


def contradiction(one: str, other: str) -> str | None:
    """The axis on which two names contradict each other ("side", "territory", ...), or None.

    Two names contradict each other where both carry marks of an axis and the marks differ.
    """
    for axis, marks in _axes():
        ours, theirs = _marks(one, marks), _marks(other, marks)
        if ours and theirs and ours != theirs:
            return axis
    return None


def _marks(name: str, marks: Sequence[tuple[str, re.Pattern[str]]]) -> frozenset[str]:
    return frozenset(mark for mark, pattern in marks if pattern.search(name))


@lru_cache(maxsize=1)
def _axes() -> tuple[tuple[str, tuple[tuple[str, re.Pattern[str]], ...]], ...]:
    text = resources.files("kmerl.knowledge.lexicon").joinpath("guard.yaml").read_text("utf-8")
    return tuple(
        (axis, tuple((mark, re.compile(pattern)) for mark, pattern in marks.items()))
        for axis, marks in yaml.safe_load(text).items()
    )
