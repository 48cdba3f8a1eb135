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
COLUMNS = ("class", "entity", "similarity", "group")


@checked
class SeenUnseen:
    """The `seen_unseen` section of params.yaml."""

    threshold: Annotated[float, Field(ge=-1, le=1)]


@dataclass(frozen=True)
class Overlap:
    """A class name, the entity nearest to it, their cosine similarity, and seen or unseen."""

    name: str
    entity: str
    similarity: float
    group: str


def overlaps(
    classes: Sequence[str],
    class_vectors: Float[np.ndarray, "class width"],
    entities: Sequence[str],
    entity_vectors: Float[np.ndarray, "entity width"],
    threshold: float,
) -> list[Overlap]:
    """Every class with its nearest entity, sorted by class name.

    Seen is above the threshold. Of several nearest entities the first by name is given; with no
    entity at all every class is unseen.

    Raises:
        ValueError: a vector is zero or not finite, or names and vectors differ in number.
    """
    order = sorted(range(len(entities)), key=lambda i: entities[i])
    directions = _directions(entities, entity_vectors)[order]
    similarity = _directions(classes, class_vectors) @ directions.T
    found = []
    for name, row in sorted(zip(classes, similarity, strict=True), key=lambda pair: pair[0]):
        nearest = int(np.argmax(row)) if len(row) else None
        value = float("nan") if nearest is None else float(row[nearest])
        entity = "" if nearest is None else entities[order[nearest]]
        found.append(Overlap(name, entity, value, "seen" if value > threshold else "unseen"))
    return found


def group_metrics(
    found: Sequence[Overlap], scores: Sequence[Scores], evaluations: Evaluations, level: float
) -> dict[str, Row]:
    """{group: row} with all leads: means over the classes of all tasks that belong to a group.

    `classes` counts the group's names; `scored` the task-class pairs with a defined AUROC.

    Raises:
        ValueError: a task has a class that `found` does not know.
    """
    group_of = {overlap.name: overlap.group for overlap in found}
    missing = sorted({name for task in scores for name in task.names} - group_of.keys())
    if missing:
        raise ValueError(f"class {missing[0]!r} has no vector; run `dvc repro embed_text` again")
    groups = [np.array([group_of[name] for name in task.names]) for task in scores]
    return {
        group: {"classes": sum(overlap.group == group for overlap in found)}
        | _metrics(scores, evaluations, [names == group for names in groups], level)
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
