"""Which names a model is asked for, and its answers in order."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from kmerl.tasks.classes import classes


def class_names(listed: str | None, task: str | None, entities: Sequence[str]) -> tuple[str, ...]:
    """The names to ask for: those listed with commas, a task's, or the model's own entities.

    Raises:
        ValueError: both are given, a name is empty, or the task is unknown.
    """
    if listed is not None and task is not None:
        raise ValueError("give --classes or --task, not both")
    if task is not None:
        return tuple(one.name for one in classes(task))
    if listed is None:
        return tuple(entities)
    names = [" ".join(name.split()).lower() for name in listed.split(",")]
    if not all(names):
        raise ValueError(f"--classes {listed!r} has an empty name; write names between commas")
    return tuple(dict.fromkeys(names))


def ranked(
    names: Sequence[str], probabilities: Float[np.ndarray, " name"]
) -> list[tuple[str, float]]:
    """(name, probability), likeliest first, equals by name."""
    pairs = zip(names, map(float, probabilities), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
