"""Labels of one's own on frozen features: logistic regression, cross-validated by patient.

Each class is by itself, on the records whose label of it is known. The patients are dealt into
folds with about as many positives each; a fold's records are scored by a classifier that saw no
record of their patients, neither in its weights, nor in its scale, nor in the choice of C, which is
made by a second cross-validation inside the training records.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from kmerl.evaluation.neighbours import neighbour_scores
from kmerl.seeds import stream

CHOICES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Of C, the inverse weight of the penalty; the one with the lowest log loss is taken."""
INNER = 3
"""Folds of the second cross-validation."""
MOST_STEPS = 500


@dataclass(frozen=True)
class Examples:
    """The records of one class whose label is known."""

    features: Float[np.ndarray, "record width"]
    truth: Bool[np.ndarray, " record"]
    patients: np.ndarray


@dataclass(frozen=True)
class Linear:
    """A classifier of features as they are: its scale is part of the weights."""

    weight: Float[np.ndarray, " width"]
    bias: float
    penalty: float

    def logits(self, features: Float[np.ndarray, "record width"]) -> Float[np.ndarray, " record"]:
        return features @ self.weight + self.bias


@dataclass(frozen=True)
class OutOfFold:
    """Scores of each record by classifiers that did not see its patient: log odds of the
    regression, and the share of the nearest neighbours. `penalties` are the C of each fold."""

    logits: Float[np.ndarray, " record"]
    neighbours: Float[np.ndarray, " record"]
    fold: Int[np.ndarray, " record"]
    penalties: tuple[float, ...]


def too_few(examples: Examples, folds: int) -> str:
    """Why a class cannot be cross-validated; empty where it can."""
    counts = [len(np.unique(examples.patients[examples.truth == kind])) for kind in (True, False)]
    if min(counts) >= folds + INNER:
        return ""
    return (
        f"{counts[0]} patients have it and {counts[1]} do not; {folds + INNER} of each are needed"
    )


@threadpool_limits.wrap(limits=1)  # small matrices; and sums keep their order
def cross_validate(examples: Examples, folds: int, neighbours: int, seed: int) -> OutOfFold:
    """Every record scored once; see `too_few` for what that needs."""
    records = len(examples.truth)
    logits, shares = np.full(records, np.nan), np.full(records, np.nan)
    fold, penalties = np.zeros(records, np.int64), []
    for number, (train, test) in enumerate(_folds(examples, folds, seed)):
        seen = _take(examples, train)
        classifier = fit(seen, seed)
        logits[test] = classifier.logits(examples.features[test])
        mean, deviation = _scale(seen.features)
        known, asked = (
            torch.from_numpy((examples.features[part] - mean) / deviation)[None].float()
            for part in (train, test)
        )
        shares[test] = neighbour_scores(known, seen.truth[:, None], asked, neighbours)[0, :, 0]
        fold[test] = number
        penalties.append(classifier.penalty)
    return OutOfFold(logits, shares, fold, tuple(penalties))


@threadpool_limits.wrap(limits=1)
def fit(examples: Examples, seed: int) -> Linear:
    """A classifier of all these records, with the C that cross-validation among them chose."""
    loss = np.zeros(len(CHOICES))
    for train, test in _folds(examples, INNER, seed):
        seen, held = _take(examples, train), _take(examples, test)
        if seen.truth.all() or not seen.truth.any():
            continue
        for place, penalty in enumerate(CHOICES):
            logits = _regress(seen, penalty).logits(held.features)
            loss[place] += np.logaddexp(0.0, np.where(held.truth, -logits, logits)).sum()
    return _regress(examples, CHOICES[int(np.argmin(loss))])


def _regress(examples: Examples, penalty: float) -> Linear:
    mean, deviation = _scale(examples.features)
    model = LogisticRegression(C=penalty, solver="newton-cholesky", max_iter=MOST_STEPS, tol=1e-6)
    model.fit((examples.features - mean) / deviation, examples.truth)
    weight = model.coef_[0] / deviation
    return Linear(weight, float(model.intercept_[0] - mean @ weight), penalty)


def _scale(
    features: Float[np.ndarray, "record width"],
) -> tuple[Float[np.ndarray, " width"], Float[np.ndarray, " width"]]:
    deviation = features.std(axis=0)
    return features.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


def _folds(
    examples: Examples, folds: int, seed: int
) -> list[tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]]:
    state = stream(seed, "cross validation", folds) % 2**32
    dealt = StratifiedGroupKFold(folds, shuffle=True, random_state=state)
    return list(dealt.split(examples.features, examples.truth, examples.patients))


def _take(examples: Examples, rows: Int[np.ndarray, " taken"]) -> Examples:
    return Examples(examples.features[rows], examples.truth[rows], examples.patients[rows])
