"""Which names a model is asked for, and its answers in order."""

import difflib
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from kmerl.tasks.classes import TASKS, classes

BEFORE = ("record", "start", "seconds", "leads")
AFTER = ("notes", "left_out")
"""Columns of a table of answers, before and after those of the names."""
MOVED = 0.01
"""A probability that other company changes by less is not spoken of."""


def class_names(
    listed: str | Sequence[str] | None, task: str | None, entities: Sequence[str]
) -> tuple[str, ...]:
    """The names to ask for, in lower case: those listed (with commas, or each by itself), a task's,
    or the model's own entities.

    Raises:
        ValueError: both are given, a name is empty or that of another column of the answers, or
            the task is unknown.
    """
    if listed is not None and task is not None:
        raise ValueError("give --classes or --task, not both")
    if task is not None:
        return tuple(one.name for one in classes(task))
    if listed is None:
        return tuple(entities)
    each = listed.split(",") if isinstance(listed, str) else listed
    names = [" ".join(name.split()).lower() for name in each]
    if not names or not all(names):
        raise ValueError(f"--classes {listed!r} has an empty name; write names between commas")
    if clash := {*names} & {*BEFORE, *AFTER}:
        raise ValueError(f"class {min(clash)!r} is the name of another column; ask in other words")
    return tuple(dict.fromkeys(names))


def unknown(names: Sequence[str], entities: Sequence[str]) -> dict[str, str]:
    """What to say of each name that is neither an entity of the model nor a class of a task. Any
    name is answered; but a word that is misspelt is another one to a text encoder."""
    known = {*entities, *(one.name for task in TASKS for one in classes(task))}
    found = {}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
            told = f"; the nearest are {', '.join(near)}" if near else ""
            found[name] = f"{name!r} is no name that this model was trained or tested on{told}"
    return found


def company_notes(
    names: Sequence[str],
    here: Float[np.ndarray, " name"],
    elsewhere: Mapping[str, Float[np.ndarray, " name"]],
) -> tuple[str, ...]:
    """What to say of answers that depend on which other names are asked (`in_company`)."""
    moved = []
    for row, name in enumerate(names):
        others = {company: float(values[row]) for company, values in elsewhere.items()}
        if any(abs(value - here[row]) >= MOVED for value in others.values()):
            listed = ", ".join(f"{value:.3f} {company}" for company, value in others.items())
            moved.append(f"{name} {here[row]:.3f} here, {listed}")
    if not elsewhere:
        return ()
    which = "; ".join(moved) or f"none of these moves by {MOVED}"
    return (
        "in this model names see each other, so that an answer depends on what else is asked "
        f"(query_network.self_attention): {which}",
    )


def ranked(
    names: Sequence[str], probabilities: Float[np.ndarray, " name"]
) -> list[tuple[str, float]]:
    """(name, probability), likeliest first, equals by name."""
    pairs = zip(names, map(float, probabilities), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def unused(left_out: Mapping[str, str]) -> str:
    """The channels that are not used, those of one reason together."""
    names: dict[str, list[str]] = {}
    for name, why in left_out.items():
        names.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(those)} ({why})" for why, those in names.items())
