"""Whether probabilities mean what they say: slope and intercept, and a table of bins.

Slope and intercept are Cox's: of the label's log odds on the predicted ones. A slope below 1 means
that probabilities are too extreme; the intercept, with slope 1, above 0 that they are too low.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

BINS = 10
"""Of as many records each, as far as ties allow."""
STEPS = 50
"""Newton's; a handful do where there is a solution."""


@dataclass(frozen=True)
class Calibration:
    """`error` is the expected calibration error: |observed - predicted| over bins, by records.

    `bins` has predicted mean, observed share and records of each. Slope and intercept are NaN
    where positives and negatives are apart.
    """

    slope: float
    intercept: float
    error: float
    bins: list[tuple[float, float, int]]


def calibration(
    truth: Bool[np.ndarray, " record"], logits: Float[np.ndarray, " record"]
) -> Calibration:
    """Of one class."""
    predicted = 1 / (1 + np.exp(-logits))
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    bins = [(float(predicted[p].mean()), float(truth[p].mean()), len(p)) for p in parts]
    error = sum(abs(seen - said) * number for said, seen, number in bins) / max(len(truth), 1)
    ones = np.ones_like(logits)
    slope = _fit(np.stack([logits, ones], 1), truth, np.zeros_like(logits))[0]
    intercept = _fit(ones[:, None], truth, logits)[0]
    return Calibration(float(slope), float(intercept), error, bins)


def _fit(
    inputs: Float[np.ndarray, "record input"],
    truth: Bool[np.ndarray, " record"],
    offset: Float[np.ndarray, " record"],
) -> Float[np.ndarray, " input"]:
    """Logistic regression without a penalty, by Newton's method; NaN where there is no solution."""
    weight = np.zeros(inputs.shape[1])
    for _ in range(STEPS):
        share = 1 / (1 + np.exp(-np.clip(inputs @ weight + offset, -500, 500)))
        curve = (inputs * (share * (1 - share))[:, None]).T @ inputs
        if not np.linalg.cond(curve) < 1e12:
            break
        step = np.linalg.solve(curve, inputs.T @ (truth - share))
        weight = weight + step
        if np.abs(step).max() < 1e-9:
            return weight
    return np.full(inputs.shape[1], np.nan)
