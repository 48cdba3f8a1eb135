"""One fine-tuning: an encoder and a fresh linear head, all weights trained on a task's labels."""

import copy
import math
from collections.abc import Callable, Iterator
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
from kmerl.runtime import in_order
from kmerl.tasks.cohort import Cohort
from kmerl.tasks.subsets import Ratio
from kmerl.training.optimiser import Optimiser, autocast
from kmerl.training.schedule import learning_rate

Start = Literal["pretrained", "scratch"]
ON_GPU = 256
"""Held-out records scored together on a GPU; on a CPU more than a step has gain nothing."""
LOOKED_AT = 50
"""Losses looked at together, for a look makes a GPU wait."""


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

    def batches(
        self, order: Int64[np.ndarray, " record"], size: int, device: str
    ) -> Iterator[tuple[Int64[np.ndarray, " batch"], tuple[Tensor, Tensor]]]:
        """Places, and of the records there the signal (batch, lead, sample) and lead indices
        (batch, lead); the next ones are prepared while one is worked on."""

        def prepared(places: np.ndarray) -> tuple[np.ndarray, tuple[Tensor, Tensor]]:
            signal, leads = self.recordings.batch(self.rows[places], self.leads, self.signal)
            return places, (signal.to(device), leads.to(device))

        parts = [order[start : start + size] for start in range(0, len(order), size)]
        return in_order(prepared, parts, threads=1, ahead=2)


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
        losses = []
        for step, (places, given) in enumerate(train.batches(order, settings.batch, device)):
            with autocast(settings.precision, device):
                logits = network(*given).float()
            wanted = targets[torch.from_numpy(places).to(device)]
            loss = F.binary_cross_entropy_with_logits(logits, wanted)
            now = epoch * steps + step
            optimiser.step(loss, learning_rate(now, settings.epochs * steps, warmup, rate))
            advance(len(places))
            losses.append(loss.detach())
            if step + 1 == steps or len(losses) == LOOKED_AT:
                _check(torch.stack(losses), f"epoch {epoch + 1}", step + 1)
                losses = []
        found = float(macro(auroc(validation.truth, scores(network, validation, settings, device))))
        undecided = epoch + 1 == settings.epochs and not chosen
        if found > value or (math.isnan(value) and not math.isnan(found)) or undecided:
            value, chosen = found, epoch + 1
            best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(best)
    return Fitted(network, chosen, value)


def _check(losses: Float[Tensor, " step"], epoch: str, steps: int) -> None:
    """
    Raises:
        FloatingPointError: a loss is no number; `steps` is the number of the last.
    """
    for place in (~torch.isfinite(losses)).nonzero().flatten().tolist()[:1]:
        raise FloatingPointError(
            f"the loss is {losses[place].item()} in {epoch}, step {steps - len(losses) + place + 1}"
            ": lower fine_tune's learning rates, or set fine_tune.clip or "
            "fine_tune.precision: fp32"
        )


@torch.no_grad()
def scores(
    network: Classifier, examples: Examples, settings: FineTune, device: str
) -> Float[np.ndarray, "record class"]:
    """Logits of all examples, float32."""
    network.eval()
    found = [np.empty((0, examples.truth.shape[1]), np.float32)]
    every, size = np.arange(len(examples.rows)), settings.batch if device == "cpu" else ON_GPU
    for _, given in examples.batches(every, size, device):
        with autocast(settings.precision, device):
            logits = network(*given)
        found.append(logits.float().cpu().numpy())
    return np.concatenate(found)
