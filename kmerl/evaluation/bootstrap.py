"""Bootstrap intervals over patients.

Records of one patient resemble each other, so patients are drawn, not records: in a replicate
each record weighs as often as its patient was drawn. One draw of a corpus's patients serves
every task, lead set and protocol measured on that corpus, which pairs their replicates: the
interval of a difference is read from the replicates' differences.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float32

from kmerl.evaluation.metrics import PAIRS_A_RECORD
from kmerl.params import Count, CountOrZero, ProperShare, checked

Weights = Float32[np.ndarray, "record replicate"]
"""How often each record counts in each replicate; float32 is exact for sums below 2**24."""

Replicates = Float[np.ndarray, "replicate class"]

SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")

REPLICATES_AT_ONCE = 64
"""Replicates whose sums are formed together: few enough for the processor's cache."""


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


def auroc_replicates(
    truth: Bool[np.ndarray, "record class"],
    score: Float[np.ndarray, "*set record class"],
    weights: Weights,
) -> Float[np.ndarray, "*set replicate class"]:
    """The AUROC of each class in each replicate; NaN where it has no positive or no negative.

    Scores may carry leading axes (lead sets, seeds), which share the draws. Where a class has few
    pairs of a positive and a negative, all pairs of all sets are one matrix product; where it has
    many, the scores are sorted, and the weight below a positive is a difference of cumulative
    sums. Both add whole numbers and halves, so that they agree to the bit.
    """
    leading, (records, classes) = score.shape[:-2], truth.shape
    sets = score.reshape(math.prod(leading), records, classes)
    out = np.full((len(sets), weights.shape[1], classes), np.nan)
    for column in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
        out[:, :, column] = _class_auroc(truth[:, column], sets[:, :, column], weights)
    return out.reshape(*leading, *out.shape[1:])


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


def _class_auroc(
    truth: Bool[np.ndarray, " record"], score: Float[np.ndarray, "set record"], weights: Weights
) -> Float[np.ndarray, "set replicate"]:
    positive, negative = weights[truth], weights[~truth]
    high, low = score[:, truth], score[:, ~truth]
    if len(positive) * len(negative) > PAIRS_A_RECORD * len(truth):
        wins = _wins_by_order(high, low, positive, negative)
    elif len(positive) <= len(negative):
        wins = _wins_by_pair(high, low, positive, negative)
    else:  # the same pairs seen from below, so that the product stays small
        wins = _wins_by_pair(-low, -high, negative, positive)
    pairs = positive.sum(axis=0, dtype=np.float64) * negative.sum(axis=0, dtype=np.float64)
    out = np.full(wins.shape, np.nan)
    np.divide(wins, pairs, out=out, where=pairs > 0)
    return out


def _wins_by_pair(
    positive: Float[np.ndarray, "set positive"],
    negative: Float[np.ndarray, "set negative"],
    positive_weights: Float32[np.ndarray, "positive replicate"],
    negative_weights: Float32[np.ndarray, "negative replicate"],
) -> Float[np.ndarray, "set replicate"]:
    above = (positive[:, :, None] > negative[:, None]).astype(np.float32)
    above += positive[:, :, None] >= negative[:, None]
    below = above.reshape(-1, negative.shape[1]) @ negative_weights  # twice the weight below each
    below = below.reshape(*positive.shape, -1)
    return np.einsum("spr,pr->sr", below, positive_weights, dtype=np.float64) / 2


def _wins_by_order(
    positive: Float[np.ndarray, "set positive"],
    negative: Float[np.ndarray, "set negative"],
    positive_weights: Float32[np.ndarray, "positive replicate"],
    negative_weights: Float32[np.ndarray, "negative replicate"],
) -> Float[np.ndarray, "set replicate"]:
    replicates = positive_weights.shape[1]
    out = np.empty((len(positive), replicates))
    for row, high, low in zip(out, positive, negative, strict=True):
        order = np.argsort(low, kind="stable")
        below, up_to = (np.searchsorted(low[order], high, side=side) for side in SIDES)
        for start in range(0, replicates, REPLICATES_AT_ONCE):
            part = slice(start, start + REPLICATES_AT_ONCE)
            won = positive_weights[:, part].astype(np.float64)
            total = np.zeros((len(order) + 1, won.shape[1]), dtype=np.float32)
            np.cumsum(negative_weights[order, part], axis=0, out=total[1:])
            twice = np.einsum("pr,pr->r", won, total[below])
            twice += np.einsum("pr,pr->r", won, total[up_to])
            row[part] = twice / 2
    return out
