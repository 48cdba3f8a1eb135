"""Bootstrap intervals over patients.

Records of one patient resemble each other, so patients are drawn, not records: in a replicate
each record weighs as often as its patient was drawn. One draw of a corpus's patients serves
every task, lead set and protocol measured on that corpus, which pairs their replicates: the
interval of a difference is read from the replicates' differences.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from kmerl.evaluation.metrics import Replicates, Weights
from kmerl.params import Count, CountOrZero, ProperShare, checked


@checked
class Statistics:
    """The `statistics` section of params.yaml."""

    replicates: Count
    level: ProperShare
    min_positives: CountOrZero


def draw_patients(
    patients: Sequence[str], replicates: int, generator: np.random.Generator
) -> Weights:
    """How often each record counts, given its patient: a replicate draws patients with
    replacement, as many as there are different ones."""
    unique, place = np.unique(np.array(patients, dtype=str), return_inverse=True)
    counts = np.zeros((replicates, len(unique)), dtype=np.float32)
    for row in counts:
        drawn = generator.integers(max(len(unique), 1), size=len(unique))
        row[:] = np.bincount(drawn, minlength=len(unique))
    return np.ascontiguousarray(counts.T)[place]


def f1_replicates(
    truth: Bool[np.ndarray, "record class"],
    predicted: Bool[np.ndarray, "record class"],
    weights: Weights,
) -> Replicates:
    """The F1 of each class in each replicate; NaN where it has no positive."""
    hits = weights.T @ (truth & predicted).astype(np.float32)
    positives = weights.T @ truth.astype(np.float32)
    called = weights.T @ predicted.astype(np.float32)
    values = np.full(hits.shape, np.nan)
    np.divide(2.0 * hits, positives + called, out=values, where=positives > 0)
    return values


def interval(replicates: Float[np.ndarray, " replicate"], level: float) -> tuple[float, float]:
    """The percentile interval over the replicates in which the metric is defined; else NaNs."""
    low, high = class_intervals(replicates[:, None], level)
    return float(low[0]), float(high[0])


def class_intervals(
    replicates: Replicates, level: float
) -> tuple[Float[np.ndarray, " class"], Float[np.ndarray, " class"]]:
    """The interval of each class; see `interval`."""
    ordered = np.sort(replicates, axis=0)  # NaN last
    last = (~np.isnan(ordered)).sum(axis=0) - 1
    columns = np.arange(ordered.shape[1])
    ends = []
    for share in ((1 - level) / 2, (1 + level) / 2):
        place = share * np.maximum(last, 0)
        below = np.floor(place).astype(int)
        low, high = (ordered[row, columns] for row in (below, np.ceil(place).astype(int)))
        ends.append(np.where(last >= 0, low + (high - low) * (place - below), np.nan))
    return ends[0], ends[1]
