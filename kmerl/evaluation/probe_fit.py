"""The linear classifiers of a task and ratio, fitted together as one tensor.

Lead sets see the same records, and seeds draw batches of the same size; classifiers that differ in
their weight decay alone see the same batches, and stand side by side as columns. AdamW and the loss
act on each classifier by itself, so that each is what it would be alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kmerl.evaluation.metrics import auroc, macro
from kmerl.params import Count, CountOrZero, Positive, PositiveOrZero, checked
from kmerl.training.schedule import learning_rate

Aurocs = Float[np.ndarray, "view seed decay"]


@checked
class LinearProbe:
    """The `linear_probe` section of params.yaml."""

    learning_rate: Positive
    weight_decay: PositiveOrZero
    weight_decays: tuple[PositiveOrZero, ...]
    batch: Count
    epochs: Count
    warmup_epochs: CountOrZero
    validate_every: Count
    standardise: bool
    seeds: Count
    neighbours: Count
    merl_max_test: bool

    def __post_init__(self) -> None:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs must be below epochs={self.epochs}")
        for decay in self.decays:
            if not 0 <= decay * self.learning_rate < 1:
                raise ValueError(
                    f"weight_decays: {decay} is not from 0 to below {1 / self.learning_rate:g}, "
                    "one over learning_rate"
                )

    @property
    def decays(self) -> tuple[float, ...]:
        """The fixed weight decay, then those tried beside it."""
        return tuple(dict.fromkeys((self.weight_decay, *self.weight_decays)))


@dataclass(frozen=True)
class Part:
    """Records with their labels, seen in several ways: a view is a lead set and an encoder."""

    features: Float[Tensor, "view record width"]
    truth: Bool[np.ndarray, "record class"]


@dataclass(frozen=True)
class Fit:
    """Each classifier at its own best validation epoch.

    `weight` acts on features as they are, and holds the bias as its last row. `epoch` counts from
    1; `auroc` is the macro AUROC on validation at that epoch, NaN where validation has no class
    with positives and negatives. `test_auroc` is the highest of any epoch on the test records,
    where those were given.
    """

    weight: Float[Tensor, "view seed decay width_and_bias class"]
    epoch: Int[np.ndarray, "view seed decay"]
    auroc: Aurocs
    test_auroc: Aurocs


class AdamW:
    """PyTorch's AdamW in one pass over the weight, but for the weight decay, a number a column."""

    def __init__(
        self, weight: Float[Tensor, "set width column"], weight_decay: Float[Tensor, " column"]
    ) -> None:
        self.weight, self.weight_decay = weight, weight_decay
        self.adam = torch.optim.AdamW([weight], weight_decay=0.0, fused=True)

    def step(self, gradient: Float[Tensor, "set width column"], learning_rate: float) -> None:
        """Change the weight in place."""
        self.weight.mul_((1 - learning_rate * self.weight_decay).float())
        self.weight.grad = gradient
        self.adam.param_groups[0]["lr"] = learning_rate
        self.adam.step()


def fit(
    train: Part,
    validation: Part,
    subsets: Int[np.ndarray, "seed taken"],
    settings: LinearProbe,
    weight_decays: Sequence[float],
    randoms: Sequence[np.random.Generator],
    test: Part | None = None,
) -> Fit:
    """Binary cross-entropy a class, AdamW, cosine schedule with warm-up (Table 4).

    Args:
        subsets: the rows of `train` that each seed trains on.
        randoms: of each seed, for its initial weights and its batches, which all views share.
        test: only to report the best test epoch beside; nothing is chosen by it.

    The first of several equally good epochs is kept, and the last where validation cannot tell.
    """
    scale = moments(train.features, subsets) if settings.standardise else None
    inputs = with_bias(train.features)
    targets = torch.from_numpy(train.truth).float().to(inputs.device)
    given = (validation,) if test is None else (validation, test)
    watched = [Part(with_bias(one.features), one.truth) for one in given]
    shape = (len(inputs), len(subsets), inputs.shape[2], len(weight_decays), targets.shape[1])
    start = torch.stack([_initial(inputs.shape[2], targets.shape[1], one) for one in randoms])
    weight = start[None, :, :, None].expand(shape).reshape(-1, shape[2], shape[3] * shape[4])
    weight = weight.to(inputs.device).contiguous()  # with a place of its own for each classifier
    decays = torch.tensor(weight_decays, dtype=torch.float64).repeat_interleave(shape[4])
    optimizer = AdamW(weight, decays.to(inputs.device))
    taken, steps = subsets.shape[1], math.ceil(subsets.shape[1] / settings.batch)
    best: Fit | None = None
    for epoch in range(settings.epochs):
        order = np.stack([s[r.permutation(taken)] for s, r in zip(subsets, randoms, strict=True)])
        drawn = torch.from_numpy(order).to(inputs.device)
        for step in range(steps):
            rows = drawn[:, step * settings.batch : (step + 1) * settings.batch]
            batch = _gather(inputs, rows, scale)
            slope = gradient(batch, targets[rows], weight)
            now, whole = epoch * steps + step, settings.epochs * steps
            warmup = settings.warmup_epochs * steps
            optimizer.step(slope, learning_rate(now, whole, warmup, settings.learning_rate))
        last = epoch + 1 == settings.epochs
        if last or (epoch + 1) % settings.validate_every == 0:
            now = _measured(weight.view(shape), scale, watched, epoch + 1)
            best = _better(best or now, now, last)
    assert best is not None
    return best


def gradient(
    inputs: Float[Tensor, "set batch width"],
    targets: Float[Tensor, "seed batch class"],
    weight: Float[Tensor, "set width column"],
) -> Float[Tensor, "set width column"]:
    """Of each binary cross-entropy, mean over records and classes, in its weight.

    A set is a view and a seed, the seed running fastest; a column a decay and a class.
    """
    seeds, batch, classes = targets.shape
    error = torch.bmm(inputs, weight).sigmoid_()
    by_decay = error.view(-1, seeds, batch, weight.shape[2] // classes, classes)
    by_decay.sub_(targets[:, :, None]).div_(batch * classes)
    return torch.bmm(inputs.transpose(1, 2), error)


def logits(
    features: Float[Tensor, "view record width"],
    weight: Float[Tensor, "view seed width_and_bias class"],
) -> Float[Tensor, "view seed record class"]:
    """Scores of records by the classifiers of each view and seed."""
    return _logits(with_bias(features), weight[:, :, None])[:, :, 0]


def with_bias(features: Float[Tensor, "view record width"]) -> Float[Tensor, "view record _"]:
    """Features with a constant 1 after them, which the last row of the weights multiplies."""
    return torch.cat([features, torch.ones_like(features[:, :, :1])], dim=2)


Moments = tuple[
    Float[Tensor, "view seed width_and_bias"], Float[Tensor, "view seed width_and_bias"]
]


def moments(
    features: Float[Tensor, "view record width"], subsets: Int[np.ndarray, "seed taken"]
) -> Moments:
    """Mean and deviation of each feature over each seed's records; the bias stays as it is.

    A feature that is constant there is only centred.
    """
    parts = [features[:, torch.from_numpy(rows)] for rows in subsets]
    mean = torch.stack([part.mean(dim=1) for part in parts], dim=1)
    deviation = torch.stack([part.std(dim=1, correction=0) for part in parts], dim=1)
    deviation = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    bias = torch.ones_like(mean[:, :, :1])
    return torch.cat([mean, 0 * bias], dim=2), torch.cat([deviation, bias], dim=2)


def _gather(
    inputs: Float[Tensor, "view record width_and_bias"],
    rows: Int[Tensor, "seed batch"],
    scale: Moments | None,
) -> Float[Tensor, "set batch width_and_bias"]:
    batch = inputs.index_select(1, rows.reshape(-1))
    batch = batch.view(-1, rows.shape[1], inputs.shape[2])
    if scale is None:
        return batch
    mean, deviation = (part.flatten(0, 1)[:, None] for part in scale)
    return (batch - mean) / deviation


def _measured(
    weight: Float[Tensor, "view seed width_and_bias decay class"],
    scale: Moments | None,
    watched: Sequence[Part],
    epoch: int,
) -> Fit:
    """The classifiers as they are after an epoch."""
    weight = weight.permute(0, 1, 3, 2, 4)
    if scale is not None:  # x -> (x - mean) / deviation, drawn into the weights
        mean, deviation = (part[:, :, None, :, None] for part in scale)
        weight = weight / deviation
        weight[..., -1, :] -= (weight * mean).sum(dim=-2)
    values = [macro(auroc(p.truth, _logits(p.features, weight).cpu().numpy())) for p in watched]
    unknown = np.full(weight.shape[:3], np.nan)
    return Fit(weight, np.full(weight.shape[:3], epoch), *[*values, unknown][:2])


def _logits(
    features: Float[Tensor, "view record width_and_bias"],
    weight: Float[Tensor, "view seed decay width_and_bias class"],
) -> Float[Tensor, "view seed decay record class"]:
    """One product a view, whatever the number of seeds and decays."""
    views, seeds, decays, width, classes = weight.shape
    flat = weight.permute(0, 3, 1, 2, 4).reshape(views, width, seeds * decays * classes)
    found = torch.bmm(features, flat).view(views, -1, seeds, decays, classes)
    return found.permute(0, 2, 3, 1, 4)


def _better(best: Fit, now: Fit, last: bool) -> Fit:
    """Each classifier at the epoch of higher validation AUROC; `last` settles what has none.

    The weights are copies: those of `now` go on changing.
    """
    improved = (now.auroc > best.auroc) | (np.isnan(best.auroc) & ~np.isnan(now.auroc))
    improved |= last & np.isnan(best.auroc)
    chosen = torch.from_numpy(improved)[..., None, None].to(now.weight.device)
    return Fit(
        weight=torch.where(chosen, now.weight, best.weight),
        epoch=np.where(improved, now.epoch, best.epoch),
        auroc=np.where(improved, now.auroc, best.auroc),
        test_auroc=np.fmax(best.test_auroc, now.test_auroc),
    )


def _initial(
    width_and_bias: int, classes: int, random: np.random.Generator
) -> Float[Tensor, "width_and_bias class"]:
    """Uniform within 1 / sqrt(width), weights and biases, as `torch.nn.Linear` starts."""
    bound = 1 / math.sqrt(width_and_bias - 1)
    values = random.uniform(-bound, bound, (width_and_bias, classes))
    return torch.from_numpy(values.astype(np.float32))
