"""Metrics of multi-label classification, a value a class, and their macro average.

A class is undefined, and its value NaN, where the records do not allow the metric: AUROC needs
a positive and a negative record, AUPRC and F1 a positive one. `macro` averages what is defined.
Ties count as ties: half a win in AUROC, one threshold in the others. All agree with scikit-learn.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

Truth = Bool[np.ndarray, "record class"]
Score = Float[np.ndarray, "record class"]
PerClass = Float[np.ndarray, " class"]

PAIRS_A_RECORD = 25
"""Below so many pairs of a positive and a negative for each record, pairs are compared one by one:
that is quicker than ranking. Both ways count in exact halves, so that they agree to the bit."""


def auroc(truth: Truth, score: Float[np.ndarray, "*set record class"]) -> Float[np.ndarray, "..."]:
    """Area under the ROC curve of each class (the Mann-Whitney statistic), float64.

    Scores may carry leading axes (lead sets, seeds).

    Raises:
        ValueError: a score is NaN, or the shapes differ.
    """
    _check(truth, score)
    positives = truth.sum(axis=0)
    pairs = positives * (len(truth) - positives)
    wins = np.zeros((*score.shape[:-2], truth.shape[1]))
    few = pairs <= PAIRS_A_RECORD * len(truth)
    for column in np.flatnonzero(few & (pairs > 0)):
        wins[..., column] = _wins(truth[:, column], score[..., column])
    wins[..., ~few] = _wins_by_rank(truth[:, ~few], score[..., ~few])
    values = np.full(wins.shape, np.nan)
    np.divide(wins, pairs, out=values, where=pairs > 0)
    return values


def auprc(truth: Truth, score: Score) -> PerClass:
    """Average precision of each class: precision summed over the steps of recall."""
    _check(truth, score)
    return np.array([_average_precision(*pair) for pair in zip(truth.T, score.T, strict=True)])


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


def _wins(
    truth: Bool[np.ndarray, " record"], score: Float[np.ndarray, "*set record"]
) -> Float[np.ndarray, "*set"]:
    """Pairs in which the positive scores higher; a tie is half a win. Every pair is looked at."""
    positive, negative = score[..., truth][..., :, None], score[..., ~truth][..., None, :]
    above = (positive > negative).sum(axis=(-1, -2), dtype=np.int64)
    not_below = (positive >= negative).sum(axis=(-1, -2), dtype=np.int64)
    return np.asarray((above + not_below) / 2)


def _wins_by_rank(
    truth: Truth, score: Float[np.ndarray, "*set record class"]
) -> Float[np.ndarray, "*set class"]:
    """The same count from the ranks of the positives, of several classes."""
    positives = truth.sum(axis=0)
    ranks, order = _midranks(np.swapaxes(score, -1, -2))
    hits = np.take_along_axis(np.broadcast_to(truth.T, order.shape), order, axis=-1)
    return (ranks * hits).sum(axis=-1) - positives * (positives + 1) / 2


def _midranks(
    values: Float[np.ndarray, "*set record"],
) -> tuple[Float[np.ndarray, "*set record"], Int[np.ndarray, "*set record"]]:
    """Ranks from 1 in sorted order along the last axis, ties sharing their mean; and that order."""
    order = np.argsort(values, axis=-1)
    ordered = np.take_along_axis(values, order, axis=-1)
    places = np.arange(values.shape[-1])
    changes = ordered[..., 1:] != ordered[..., :-1]
    edge = np.ones((*values.shape[:-1], min(1, len(places))), dtype=bool)
    first = np.where(np.concatenate([edge, changes], axis=-1), places, 0)
    first = np.maximum.accumulate(first, axis=-1)
    last = np.where(np.concatenate([changes, edge], axis=-1), places, len(places))
    last = np.minimum.accumulate(last[..., ::-1], axis=-1)[..., ::-1]
    return (first + last) / 2 + 1, order


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
