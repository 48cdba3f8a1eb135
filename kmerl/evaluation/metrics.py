"""Metrics of multi-label classification, a value a class, and their macro average.

A class is undefined, and its value NaN, where the records do not allow the metric: AUROC needs
a positive and a negative record, AUPRC and F1 a positive one. `macro` averages what is defined.
Ties count as ties: half a win in AUROC, one threshold in the others. All agree with scikit-learn.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

Truth = Bool[np.ndarray, "record class"]
Score = Float[np.ndarray, "record class"]
PerClass = Float[np.ndarray, " class"]
Weights = Float32[np.ndarray, "record replicate"]
"""How often each record counts in each replicate; float32 is exact for sums below 2**24."""
Replicates = Float[np.ndarray, "replicate class"]

REPLICATES_AT_ONCE = 64
"""Replicates whose sums are formed together: few enough for the processor's cache."""

PAIRS_A_RECORD = 25
"""Below so many pairs of a positive and a negative for each record, pairs are compared one by one:
that is quicker than sorting. Both ways count in exact halves, so that they agree to the bit."""


def auroc(truth: Truth, score: Float[np.ndarray, "*set record class"]) -> Float[np.ndarray, "..."]:
    """Area under the ROC curve of each class (the Mann-Whitney statistic), float64.

    Scores may carry leading axes (lead sets, seeds).

    Raises:
        ValueError: a score is NaN, or the shapes differ.
    """
    _check(truth, score)
    return auroc_replicates(truth, score, np.ones((len(truth), 1), np.float32))[..., 0, :]


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


def auprc(truth: Truth, score: Score) -> PerClass:
    """Average precision of each class: precision summed over the steps of recall."""
    _check(truth, score)
    return np.array([_average_precision(*pair) for pair in zip(truth.T, score.T, strict=True)])


def auprc_replicates(truth: Truth, score: Score, weights: Weights) -> Replicates:
    """`auprc` in each replicate; NaN where a class has no positive record."""
    out = np.full((weights.shape[1], truth.shape[1]), np.nan)
    for column in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-score[:, column], kind="stable")
        ordered, positive = score[order, column], truth[order, column]
        ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        for start in range(0, weights.shape[1], REPLICATES_AT_ONCE):
            part = slice(start, start + REPLICATES_AT_ONCE)
            drawn = weights[order, part].astype(np.float64)
            called, hits = (drawn * kind[:, None] for kind in (np.ones(len(order)), positive))
            called, hits = called.cumsum(axis=0)[ends], hits.cumsum(axis=0)[ends]
            steps = np.diff(hits, axis=0, prepend=0) * hits / np.maximum(called, 1)
            with np.errstate(invalid="ignore"):
                out[part, column] = steps.sum(axis=0) / hits[-1]
    return out


def f1(truth: Truth, predicted: Bool[np.ndarray, "record class"]) -> PerClass:
    """F1 of yes-or-no predictions."""
    hits = (truth & predicted).sum(axis=0)
    total = truth.sum(axis=0) + predicted.sum(axis=0)
    return np.where(truth.any(axis=0), 2 * hits / np.maximum(total, 1), np.nan)


def best_threshold(truth: Truth, score: Score) -> tuple[PerClass, PerClass]:
    """The threshold with the highest F1 for each class, and that F1; `score >= threshold` is yes.

    On validation records it gives the threshold to test with. On test records its F1 is what
    MERL reports (`f1_max`): no threshold could do better, so it is an upper bound.
    The highest of several best thresholds is taken; NaN where a class has no positive record.
    """
    _check(truth, score)
    best = [_best_operating_point(*pair) for pair in zip(truth.T, score.T, strict=True)]
    thresholds = np.array([threshold for threshold, _ in best], dtype=score.dtype)
    return thresholds, np.array([value for _, value in best])


def macro(values: Float[np.ndarray, "..."], axis: int = -1) -> Float[np.ndarray, "..."]:
    """Mean of the defined values along an axis; NaN where none is defined."""
    defined = ~np.isnan(values)
    count = np.asarray(defined.sum(axis=axis))
    total = np.asarray(np.where(defined, values, 0.0).sum(axis=axis))
    means = np.full(total.shape, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means


def _check(truth: Truth, score: Float[np.ndarray, "*set record class"]) -> None:
    if score.shape[-2:] != truth.shape:
        raise ValueError(f"scores of shape {score.shape} for labels of shape {truth.shape}")
    if np.isnan(score).any():
        *_, record, column = np.argwhere(np.isnan(score))[0]
        raise ValueError(f"the score of record {record}, class {column} is NaN")


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
        below = np.searchsorted(low[order], high, side="left")
        up_to = np.searchsorted(low[order], high, side="right")
        for start in range(0, replicates, REPLICATES_AT_ONCE):
            part = slice(start, start + REPLICATES_AT_ONCE)
            won = positive_weights[:, part].astype(np.float64)
            total = np.zeros((len(order) + 1, won.shape[1]), dtype=np.float32)
            np.cumsum(negative_weights[order, part], axis=0, out=total[1:])
            twice = np.einsum("pr,pr->r", won, total[below])
            twice += np.einsum("pr,pr->r", won, total[up_to])
            row[part] = twice / 2
    return out


def _operating_points(
    truth: Bool[np.ndarray, " record"], score: Float[np.ndarray, " record"]
) -> tuple[Float[np.ndarray, " point"], Int[np.ndarray, " point"], Int[np.ndarray, " point"]]:
    """Each distinct score as a threshold, from the highest: thresholds, true and all positives."""
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return ordered[ends], truth[order].cumsum()[ends], ends + 1


def _average_precision(
    truth: Bool[np.ndarray, " record"], score: Float[np.ndarray, " record"]
) -> float:
    if not truth.any():
        return float("nan")
    _, hits, called = _operating_points(truth, score)
    return float((np.diff(hits, prepend=0) / truth.sum() * (hits / called)).sum())


def _best_operating_point(
    truth: Bool[np.ndarray, " record"], score: Float[np.ndarray, " record"]
) -> tuple[float, float]:
    if not truth.any():
        return float("nan"), float("nan")
    thresholds, hits, called = _operating_points(truth, score)
    values = 2 * hits / (called + truth.sum())
    best = int(np.argmax(values))
    return float(thresholds[best]), float(values[best])
