"""One fine-tuning: an encoder and a fresh linear head, all weights trained on a task's labels."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kmerl.evaluation.memory_store import MemoryStore
from kmerl.evaluation.metrics import auroc, macro
from kmerl.leads import LeadKey, parse_leads
from kmerl.models.inputs import SignalParams
from kmerl.models.vit import pool
from kmerl.params import Count, Positive, PositiveOrZero, checked
from kmerl.tasks.cohort import Cohort
from kmerl.tasks.subsets import Ratio
from kmerl.training.optimiser import Optimiser, autocast
from kmerl.training.schedule import learning_rate

Start = Literal["pretrained", "scratch"]


@checked
class FineTune:
    """The `fine_tune` section of params.yaml."""

    ratios: tuple[Ratio, ...]
    leads: tuple[LeadKey, ...]
    seeds: Count
    from_scratch: bool
    learning_rate: Positive
    scratch_learning_rate: Positive
    head_learning_rate: Positive
    weight_decay: PositiveOrZero
    batch: Count
    epochs: Count
    warmup_epochs: PositiveOrZero
    clip: PositiveOrZero
    precision: Literal["fp32", "bf16", "fp16"]

    def __post_init__(self) -> None:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs must be below epochs={self.epochs}")
        for name in ("ratios", "leads"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} is {list(values)}; name one or more, each once")

    @property
    def starts(self) -> tuple[Start, ...]:
        """The weights that an encoder starts from."""
        return ("pretrained", "scratch") if self.from_scratch else ("pretrained",)

    @property
    def lead_sets(self) -> dict[str, tuple[str, ...]]:
        """Key of the metrics to leads; a count is of leads in the paper's order."""
        return {key: parse_leads(key) for key in self.leads}


@dataclass(frozen=True)
class Examples:
    """Labelled records as the network sees them: one lead set, normalised."""

    recordings: MemoryStore
    rows: Int64[np.ndarray, " record"]
    truth: Bool[np.ndarray, "record class"]
    leads: tuple[str, ...]
    signal: SignalParams

    @classmethod
    def of(
        cls, cohort: Cohort, recordings: MemoryStore, leads: tuple[str, ...], signal: SignalParams
    ) -> "Examples":
        return cls(recordings, recordings.rows(cohort.records), cohort.truth, leads, signal)

    def inputs(self, places: Int64[np.ndarray, " batch"], device: str) -> tuple[Tensor, Tensor]:
        """Signal (batch, lead, sample) and lead indices (batch, lead) of some records."""
        signal, leads = self.recordings.batch(self.rows[places], self.leads, self.signal)
        return signal.to(device), leads.to(device)


class Classifier(nn.Module):
    """A copy of an encoder F_E, and a linear head on its pooled features."""

    def __init__(self, encoder: Any, classes: int, random: np.random.Generator) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).requires_grad_(True)
        bound = 1 / math.sqrt(encoder.width)  # as torch.nn.Linear starts
        start = random.uniform(-bound, bound, (classes, encoder.width + 1))
        values = torch.from_numpy(start.astype(np.float32))
        self.head = nn.utils.skip_init(nn.Linear, encoder.width, classes)
        self.head.load_state_dict({"weight": values[:, :-1], "bias": values[:, -1]})

    def forward(
        self, signal: Float[Tensor, "batch lead sample"], leads: Tensor
    ) -> Float[Tensor, "batch class"]:
        """Logits."""
        logits: Tensor = self.head(pool(self.encoder(signal, leads)))
        return logits


@dataclass(frozen=True)
class Fitted:
    """A trained network, at the epoch (from 1) with the best macro AUROC on validation.

    `auroc` is that AUROC, NaN where validation has no class with positives and negatives.
    """

    network: Classifier
    epoch: int
    auroc: float


def fit(
    network: Classifier,
    train: Examples,
    validation: Examples,
    settings: FineTune,
    *,
    rate: float,
    random: np.random.Generator,
    device: str,
    advance: Callable[[int], None],
) -> Fitted:
    """Train every weight: binary cross-entropy a class, AdamW, warm-up and cosine to zero.

    The first of several equally good epochs is kept, and the last where validation cannot tell.

    Args:
        rate: peak learning rate of the encoder.
        advance: told after each step how many records it had.

    Raises:
        FloatingPointError: the loss is no number.
    """
    network = network.to(device)
    optimiser = Optimiser(
        network,
        settings.weight_decay,
        settings.clip,
        settings.precision,
        device,
        dict.fromkeys(network.head.parameters(), settings.head_learning_rate / rate),
    )
    targets = torch.from_numpy(train.truth).float().to(device)
    steps = math.ceil(len(targets) / settings.batch)
    warmup = round(settings.warmup_epochs * steps)
    best, value, chosen = {}, math.nan, 0
    for epoch in range(settings.epochs):
        network.train()
        order = random.permutation(len(targets))
        for step in range(steps):
            places = order[step * settings.batch : (step + 1) * settings.batch]
            with autocast(settings.precision, device):
                logits = network(*train.inputs(places, device)).float()
            loss = F.binary_cross_entropy_with_logits(logits, targets[torch.from_numpy(places)])
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss.item()} in epoch {epoch + 1}, step {step + 1}: lower "
                    "fine_tune's learning rates, or set fine_tune.clip or fine_tune.precision: fp32"
                )
            now = epoch * steps + step
            optimiser.step(loss, learning_rate(now, settings.epochs * steps, warmup, rate))
            advance(len(places))
        found = float(macro(auroc(validation.truth, scores(network, validation, settings, device))))
        undecided = epoch + 1 == settings.epochs and not chosen
        if found > value or (math.isnan(value) and not math.isnan(found)) or undecided:
            value, chosen = found, epoch + 1
            best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(best)
    return Fitted(network, chosen, value)


@torch.no_grad()
def scores(
    network: Classifier, examples: Examples, settings: FineTune, device: str
) -> Float[np.ndarray, "record class"]:
    """Logits of all examples, float32."""
    network.eval()
    found = [np.empty((0, examples.truth.shape[1]), np.float32)]
    for start in range(0, len(examples.rows), settings.batch):
        places = np.arange(start, min(start + settings.batch, len(examples.rows)))
        with autocast(settings.precision, device):
            logits = network(*examples.inputs(places, device))
        found.append(logits.float().cpu().numpy())
    return np.concatenate(found)
