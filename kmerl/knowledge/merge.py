"""Merging: synonyms and abbreviations to one canonical entity (Sec. 3.4; 341 -> 252 in the paper).

What must not be merged is guarded whatever the backend says: names that differ in side, territory,
degree, completeness and the like stay apart.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from kmerl.files import read_yaml
from kmerl.knowledge.backend import Backend
from kmerl.params import checked

Marks = frozenset[str]


@checked
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
    return guarded({name: answers[name] for name in names})


def guarded(answers: Mapping[str, str]) -> Merged:
    """`answers` without the merges in which two names of one entity contradict each other.

    Where the marks of an axis ("anterior", "inferior") differ within a group that is to become one
    entity, the group falls into parts of equal marks. The part that agrees with the entity keeps
    it; each other one becomes an entity of its own, named by its longest name.
    """
    entity, refused = dict(answers), dict[str, tuple[str, str]]()
    while new := _split(entity):  # a part may get the name of another group, and contradict it
        entity |= {name: to for name, (to, _) in new.items()}
        refused = {name: (answers[name], axis) for name, (_, axis) in new.items()} | refused
    return Merged(entity, tuple(sorted((name, *why) for name, why in refused.items())))


def _split(answers: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The entity of each name that must leave its group, and the axis."""
    groups: dict[str, list[str]] = {}
    for name in sorted(answers):
        groups.setdefault(answers[name], []).append(name)
    leaving: dict[str, tuple[str, str]] = {}
    for target, members in groups.items():
        axes = _disputed([target, *members])
        parts: dict[tuple[Marks, ...], list[str]] = {}
        for name in members:
            parts.setdefault(_signature(name, axes), []).append(name)
        parts.pop(_signature(target, axes), None)
        for part in parts.values():
            leaving |= dict.fromkeys(part, (max(part, key=_length), axes[0]))
    return leaving


def contradiction(one: str, other: str) -> str | None:
    """The axis on which two names contradict each other ("side", "territory", ...), or None.

    Two names contradict each other where both carry marks of an axis and the marks differ.
    """
    return next(iter(_disputed([one, other])), None)


def _length(name: str) -> tuple[int, str]:
    return len(name), name


def _disputed(names: Sequence[str]) -> list[str]:
    """The axes on which two of the names carry different marks."""
    return [axis for axis in _axes() if len({m for n in names if (m := _marks(n, axis))}) > 1]


def _signature(name: str, axes: Sequence[str]) -> tuple[Marks, ...]:
    return tuple(_marks(name, axis) for axis in axes)


def _marks(name: str, axis: str) -> Marks:
    return frozenset(mark for mark, pattern in _axes()[axis].items() if pattern.search(name))


@lru_cache(maxsize=1)
def _axes() -> Mapping[str, Mapping[str, re.Pattern[str]]]:
    axes = read_yaml(resources.files("kmerl.knowledge.lexicon") / "guard.yaml")
    return {
        axis: {mark: re.compile(pattern) for mark, pattern in marks.items()}
        for axis, marks in axes.items()
    }
