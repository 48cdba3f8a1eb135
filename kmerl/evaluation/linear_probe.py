"""Linear probing (Sec. 4.2, Table 1, Table 4): a linear classifier on a frozen encoder.

The encoder is frozen, so each record's features are computed once, by stage `encode`. All lead
sets of a task and ratio see the same records in the same batches: their classifiers are one
tensor, fitted together, each as if it were alone (AdamW and the loss act on each by itself).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.cohort import Cohort
from kmerl.evaluation.encodings import Encodings
from kmerl.evaluation.metrics import auroc, macro
from kmerl.evaluation.scores import Scores, scored
from kmerl.evaluation.summary import Evaluations, Row, metric_table
from kmerl.params import ParamsError
from kmerl.seeds import generator

RATIOS = (1, 10, 100)
"""Per cent of the training records that a probe sees (Sec. 4.2)."""

SUBSET_COLUMNS = ("task", "record", "ratio")


@dataclass(frozen=True)
class LinearProbe:
    """The `linear_probe` section of params.yaml."""

    learning_rate: float
    weight_decay: float
    batch: int
    epochs: int
    warmup_epochs: int
    validate_every: int
    standardise: bool

    def __post_init__(self) -> None:
        for name in ("batch", "epochs", "validate_every"):
            if getattr(self, name) < 1:
                raise ParamsError(f"linear_probe.{name} must be at least 1")
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ParamsError("linear_probe.warmup_epochs must be below linear_probe.epochs")


@dataclass(frozen=True)
class Fit:
    """The classifiers of all lead sets, each at its own best validation epoch.

    `weight` holds the bias as its last row; `epoch` counts from 1; `auroc` is the macro AUROC on
    validation at that epoch, NaN where validation has no class with positives and negatives.
    """

    weight: Float[Tensor, "set width_and_bias class"]
    epoch: Int[np.ndarray, " set"]
    auroc: Float[np.ndarray, " set"]

    def logits(self, features: Float[Tensor, "set record width"]) -> Float[Tensor, "..."]:
        """Scores of shape (set, record, class)."""
        return torch.bmm(with_bias(features), self.weight)


@dataclass(frozen=True)
class ProbedTask:
    """One task at one ratio: test scores, what was trained on, and the chosen epochs."""

    scores: Scores
    train_records: int
    train_classes: int
    epoch: dict[str, int | None]


def training_order(
    records: int, task: str, seed: int, number: int = 0
) -> Int[np.ndarray, " record"]:
    """A permutation of a task's training records; a ratio is a head of it, so ratios nest.

    Args:
        seed: of params.yaml.
        number: which of several draws, from 0.
    """
    more = [number] if number else []
    return generator(seed, "linear_probe", "subset", task, *more).permutation(records)


def subset_size(records: int, ratio: int) -> int:
    """Records at a ratio: rounded down as in MERL's subsets, and one at least if there is any."""
    return min(records, max(1, records * ratio // 100))


def subset_rows(cohort: Cohort, seed: int) -> list[list[object]]:
    """Rows of `SUBSET_COLUMNS`: each training record and the smallest ratio that has it."""
    train = cohort.split("train")
    order = training_order(len(train.records), cohort.task, seed)
    smallest = np.full(len(order), max(RATIOS))
    for ratio in sorted(RATIOS, reverse=True):
        smallest[order[: subset_size(len(order), ratio)]] = ratio
    pairs = zip(train.records.tolist(), smallest.tolist(), strict=True)
    return [[cohort.task, record, ratio] for record, ratio in pairs]


def probe_table(
    probed: list[ProbedTask], evaluations: Evaluations, statistics: Statistics
) -> dict[str, dict[str, Row]]:
    """{task: {leads: row}} of one ratio: the metrics, and how much training is behind them.

    Further keys: `train_records`, `train_classes` (classes with a positive training record) and,
    except for task "average", the chosen `epoch`.
    """
    table = metric_table(evaluations, statistics)
    for one in probed:
        facts = {"train_records": one.train_records, "train_classes": one.train_classes}
        for leads, row in table[one.scores.task].items():
            row.update(facts, epoch=one.epoch[leads])
    for row in table["average"].values():
        row["train_records"] = sum(one.train_records for one in probed)
        row["train_classes"] = sum(one.train_classes for one in probed)
    return table


def probe_task(
    cohort: Cohort, encodings: Encodings, ratio: int, settings: LinearProbe, seed: int
) -> ProbedTask:
    """Fit on a share of the training records, choose the epoch on validation, score the test.

    A task without training records is scored on none.
    """
    train, validation, test = (cohort.split(name) for name in ("train", "val", "test"))
    order = training_order(len(train.records), cohort.task, seed)
    train = train.take(order[: subset_size(len(order), ratio)])
    keys = list(encodings.lead_sets)
    if not len(train.records):
        return _unprobed(cohort.take(order), encodings)
    parts = (train, validation, test)
    features = _features(encodings, [encodings.rows(part.records) for part in parts])
    if settings.standardise:
        features = standardise(features)
    random = generator(seed, "linear_probe", "fit", cohort.task, str(ratio))
    fitted = fit(features[0], train.truth, features[1], validation.truth, settings, random=random)
    val_scores, test_scores = (fitted.logits(part).numpy() for part in features[1:])
    return ProbedTask(
        scores=scored(
            validation,
            test,
            dict(zip(keys, val_scores, strict=True)),
            dict(zip(keys, test_scores, strict=True)),
            encodings.lead_sets,
        ),
        train_records=len(train.records),
        train_classes=int(train.truth.any(axis=0).sum()),
        epoch=dict(zip(keys, map(int, fitted.epoch), strict=True)),
    )


def standardise(
    features: list[Float[Tensor, "set _ width"]],
) -> list[Float[Tensor, "set _ width"]]:
    """Each feature with mean 0 and deviation 1 over the first part, the training records.

    A feature that is constant there is only centred.
    """
    mean = features[0].mean(dim=1, keepdim=True)
    deviation = features[0].std(dim=1, keepdim=True, correction=0)
    deviation = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    return [(part - mean) / deviation for part in features]


def fit(
    train: Float[Tensor, "set record width"],
    truth: Bool[np.ndarray, "record class"],
    validation: Float[Tensor, "set other width"],
    validation_truth: Bool[np.ndarray, "other class"],
    settings: LinearProbe,
    *,
    random: np.random.Generator,
) -> Fit:
    """Binary cross-entropy a class, AdamW, cosine schedule with warm-up (Table 4).

    Every set starts from the same weights and draws the same batches. The first of several
    equally good epochs is kept, and the last epoch where validation cannot tell.
    """
    inputs, targets = with_bias(train), torch.from_numpy(truth).float()
    validation = with_bias(validation)
    weight = _initial(inputs.shape[2], targets.shape[1], random).repeat(len(inputs), 1, 1)
    optimizer = AdamW(weight, settings.weight_decay)
    steps = math.ceil(len(targets) / settings.batch)
    best = Fit(weight, np.zeros(len(inputs), dtype=np.int64), np.full(len(inputs), np.nan))
    for epoch in range(settings.epochs):
        order = torch.from_numpy(random.permutation(len(targets)))
        for step in range(steps):
            rows = order[step * settings.batch : (step + 1) * settings.batch]
            factor = learning_rate_factor(epoch * steps + step, steps, settings)
            batch = inputs.index_select(1, rows), targets.index_select(0, rows)
            optimizer.step(gradient(*batch, weight), settings.learning_rate * factor)
        last = epoch + 1 == settings.epochs
        if last or (epoch + 1) % settings.validate_every == 0:
            values = macro(auroc(validation_truth, torch.bmm(validation, weight).numpy()))
            best = _better(best, Fit(weight, np.full(len(inputs), epoch + 1), values), last)
    return best


class AdamW:
    """AdamW with PyTorch's constants, written out: on tensors this small `torch.optim` costs more
    in its bookkeeping than in its arithmetic. Acts on each element of the weight by itself.
    """

    def __init__(self, weight: Float[Tensor, "set width class"], weight_decay: float) -> None:
        self.weight, self.weight_decay, self.steps = weight, weight_decay, 0
        self.mean, self.square = torch.zeros_like(weight), torch.zeros_like(weight)
        self.scale = torch.empty_like(weight)

    def step(
        self,
        gradient: Float[Tensor, "set width class"],
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        """Change the weight in place."""
        self.steps += 1
        self.mean.lerp_(gradient, 1 - betas[0])
        self.square.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        torch.sqrt(self.square, out=self.scale)
        self.scale.div_(math.sqrt(1 - betas[1] ** self.steps)).add_(epsilon)
        self.weight.mul_(1 - learning_rate * self.weight_decay)
        corrected = learning_rate / (1 - betas[0] ** self.steps)
        self.weight.addcdiv_(self.mean, self.scale, value=-corrected)


def gradient(
    inputs: Float[Tensor, "set batch width"],
    targets: Float[Tensor, "batch class"],
    weight: Float[Tensor, "set width class"],
) -> Float[Tensor, "set width class"]:
    """Of each set's binary cross-entropy, mean over records and classes, in its weight."""
    error = torch.bmm(inputs, weight).sigmoid_().sub_(targets).div_(targets.numel())
    return torch.bmm(inputs.transpose(1, 2), error)


def learning_rate_factor(step: int, steps_per_epoch: int, settings: LinearProbe) -> float:
    """Linear warm-up from 0, then half a cosine to 0 at the last step."""
    warmup = settings.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / warmup
    left = settings.epochs * steps_per_epoch - warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / left))


def with_bias(features: Float[Tensor, "set record width"]) -> Float[Tensor, "set record _"]:
    """Features with a constant 1 after them, which the last row of the weights multiplies."""
    return torch.cat([features, torch.ones_like(features[:, :, :1])], dim=2)


def _initial(
    width_and_bias: int, classes: int, random: np.random.Generator
) -> Float[Tensor, "1 width_and_bias class"]:
    """Uniform within 1 / sqrt(width), weights and biases, as `torch.nn.Linear` starts."""
    bound = 1 / math.sqrt(width_and_bias - 1)
    values = random.uniform(-bound, bound, (1, width_and_bias, classes))
    return torch.from_numpy(values.astype(np.float32))


def _better(best: Fit, now: Fit, last: bool) -> Fit:
    """Set by set, the fit with the higher validation AUROC; `last` settles what has none."""
    improved = (now.auroc > best.auroc) | (np.isnan(best.auroc) & ~np.isnan(now.auroc))
    improved |= last & np.isnan(best.auroc)
    chosen = torch.from_numpy(improved)[:, None, None]
    return Fit(
        weight=torch.where(chosen, now.weight, best.weight),
        epoch=np.where(improved, now.epoch, best.epoch),
        auroc=np.where(improved, now.auroc, best.auroc),
    )


def _features(
    encodings: Encodings, rows: list[Int[np.ndarray, " _"]]
) -> list[Float[Tensor, "set _ width"]]:
    """For each list of rows, the features of all lead sets."""
    every = [encodings.features(leads) for leads in encodings.lead_sets]
    return [torch.from_numpy(np.stack([one[part] for one in every])).float() for part in rows]


def _unprobed(nobody: Cohort, encodings: Encodings) -> ProbedTask:
    none = {key: np.empty((0, len(nobody.classes)), np.float32) for key in encodings.lead_sets}
    scores = scored(nobody, nobody, none, none, encodings.lead_sets)
    return ProbedTask(scores, 0, 0, dict.fromkeys(none))
