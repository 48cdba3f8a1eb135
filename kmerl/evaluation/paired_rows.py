"""AUROC of one or two scorings as rows of metrics; differences are of the same drawn patients.

Both sides of a replicate are measured on the same patients, so that what the draw does to both
cancels in the difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from kmerl.evaluation import metrics
from kmerl.evaluation.metric_rows import Evaluation, Row, mean, mean_replicates, with_interval
from kmerl.evaluation.metrics import Replicates, Weights


@dataclass(frozen=True)
class Ranking:
    """The AUROC of each class of a task, mean over seeds, also in each replicate."""

    auroc: Float[np.ndarray, " class"]
    auroc_replicates: Replicates


Ranked = Evaluation | Ranking


def rankings(
    truth: Bool[np.ndarray, "record class"],
    score: Mapping[str, Float[np.ndarray, "seed record class"]],
    weights: Weights,
) -> dict[str, Ranking]:
    """By lead set."""
    stacked = np.stack(list(score.values()))
    aurocs = metrics.auroc(truth, stacked).mean(axis=1)
    replicates = metrics.auroc_replicates(truth, stacked, weights).mean(axis=1)
    return {key: Ranking(*one) for key, *one in zip(score, aurocs, replicates, strict=True)}


def auroc_row(name: str, tasks: Sequence[Ranked], level: float) -> Row:
    """Mean over tasks of the macro AUROC, as keys `name`, `name_lo`, `name_hi`."""
    drawn = mean_replicates(e.auroc_replicates for e in tasks)
    return with_interval(name, mean(e.auroc for e in tasks), drawn, level)


def difference_row(name: str, a: Sequence[Ranked], b: Sequence[Ranked], level: float) -> Row:
    """How far A is above B in the mean over tasks, paired; keys as in `auroc_row`."""
    difference = mean(e.auroc for e in a) - mean(e.auroc for e in b)
    return with_interval(name, difference, differences(a, b), level)


def reference_row(name: str, a: Sequence[Ranked], b: Sequence[Ranked], level: float) -> Row:
    """The AUROC of a reference B, `<name>_auroc`, and how far A is above it, `above_<name>`."""
    above = difference_row(f"above_{name}", a, b, level)
    return auroc_row(f"{name}_auroc", b, level) | above


def differences(a: Sequence[Ranked], b: Sequence[Ranked]) -> Float[np.ndarray, " replicate"]:
    """A less B in each replicate."""
    one, two = (mean_replicates(e.auroc_replicates for e in side) for side in (a, b))
    return one - two
