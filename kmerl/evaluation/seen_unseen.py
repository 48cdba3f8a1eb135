"""Classes met in pretraining, and classes never met (Sec. 4.3, Fig. 5a and 5b, Table 5).

A downstream class is seen when its name and some mined entity are close in the text tower.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float
from pydantic import Field

from kmerl.evaluation.metric_rows import Evaluations, Row, with_interval
from kmerl.evaluation.metrics import macro
from kmerl.evaluation.scores import Scores
from kmerl.params import checked

GROUPS = ("seen", "unseen")
ALL_LEADS = "12"
CLASSES = ("class", "entity", "similarity", "group")
ENTITIES = ("entity", "class", "similarity", "group")
"""Columns of the overlaps of either, as files."""


@checked
class SeenUnseen:
    """The `seen_unseen` section of params.yaml."""

    threshold: Annotated[float, Field(ge=-1, le=1)]


@dataclass(frozen=True)
class Overlap:
    """A class or an entity, the nearest of the other kind, their cosine, and seen or unseen."""

    name: str
    nearest: str
    similarity: float
    group: str


def overlaps(
    names: Sequence[str],
    vectors: Float[np.ndarray, "name width"],
    others: Sequence[str],
    other_vectors: Float[np.ndarray, "other width"],
    threshold: float,
) -> list[Overlap]:
    """Every class with its nearest entity, or the other way round; sorted by name.

    Seen is above the threshold. Of several that are nearest the first by name is given; with no
    other at all everything is unseen.

    Raises:
        ValueError: a vector is zero or not finite, or names and vectors differ in number.
    """
    order = sorted(range(len(others)), key=lambda i: others[i])
    directions = _directions(others, other_vectors)[order]
    similarity = _directions(names, vectors) @ directions.T
    found = []
    for name, row in sorted(zip(names, similarity, strict=True), key=lambda pair: pair[0]):
        place = int(np.argmax(row)) if len(row) else None
        value = float("nan") if place is None else float(row[place])
        nearest = "" if place is None else others[order[place]]
        found.append(Overlap(name, nearest, value, "seen" if value > threshold else "unseen"))
    return found


def group_metrics(
    found: Sequence[Overlap],
    mined: Sequence[Overlap],
    scores: Sequence[Scores],
    evaluations: Evaluations,
    level: float,
) -> dict[str, Row]:
    """{group: row} with all leads: means over the classes of all tasks that belong to a group.

    `classes` counts the group's names of these tasks; `entities` those of the mined ones, 35 of the
    paper's 277 seen; `scored` the task-class pairs with a defined AUROC.

    Args:
        found: of the classes.
        mined: of the entities.

    Raises:
        ValueError: a task has a class that `found` does not know.
    """
    group_of = {overlap.name: overlap.group for overlap in found}
    names = {name for task in scores for name in task.names}
    missing = sorted(names - group_of.keys())
    if missing:
        raise ValueError(f"class {missing[0]!r} has no vector; run `dvc repro embed_text` again")
    groups = [np.array([group_of[name] for name in task.names]) for task in scores]
    return {
        group: {
            "classes": sum(group_of[name] == group for name in names),
            "entities": sum(overlap.group == group for overlap in mined),
            **_metrics(scores, evaluations, [one == group for one in groups], level),
        }
        for group in GROUPS
    }


def _metrics(
    scores: Sequence[Scores],
    evaluations: Evaluations,
    members: list[np.ndarray],
    level: float,
) -> Row:
    tasks = [evaluations[task.task][ALL_LEADS] for task in scores]

    def gathered(name: str) -> np.ndarray:
        pairs = zip(tasks, members, strict=True)
        return np.concatenate([getattr(task, name)[..., chosen] for task, chosen in pairs], axis=-1)

    row: Row = {"scored": int((~np.isnan(gathered("auroc"))).sum())}
    for name in ("auroc", "f1"):
        value, drawn = macro(gathered(name)), macro(gathered(f"{name}_replicates"))
        row |= with_interval(name, float(value), drawn, level)
    return row


def _directions(
    names: Sequence[str], vectors: Float[np.ndarray, "name width"]
) -> Float[np.ndarray, "name width"]:
    if len(names) != len(vectors):
        raise ValueError(f"{len(names)} names for {len(vectors)} vectors")
    wide = vectors.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    for name, value in zip(names, length[:, 0], strict=True):
        if not 0 < value < np.inf:
            raise ValueError(f"the vector of {name!r} has length {value}; it has no direction")
    directions: Float[np.ndarray, "name width"] = wide / length
    return directions
