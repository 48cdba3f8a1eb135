"""Training by torch's own modules, one optimiser a module: the reference of what is batched."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def plain_training(
    rates: dict[nn.Module, float],
    logits: Callable[[np.ndarray], Tensor],
    truth: np.ndarray,
    settings: Any,
    random: np.random.Generator,
    clip: float = math.inf,
) -> None:
    """BCEWithLogitsLoss of the `logits` of rows, AdamW, warm-up and half a cosine to zero.

    `rates` has the peak learning rate of each module; `settings` is a section of params.yaml.
    """
    optimizers = [
        torch.optim.AdamW(part.parameters(), lr=rate, weight_decay=settings.weight_decay)
        for part, rate in rates.items()
    ]
    labels = torch.from_numpy(truth).float()
    steps = math.ceil(len(labels) / settings.batch)
    warm, whole = int(settings.warmup_epochs * steps), settings.epochs * steps
    for epoch in range(settings.epochs):
        order = random.permutation(len(labels))
        for step in range(steps):
            rows, now = order[step * settings.batch :][: settings.batch], epoch * steps + step
            cosine = 0.5 * (1 + math.cos(math.pi * (now - warm) / (whole - warm)))
            factor = (now + 1) / warm if now < warm else cosine
            for optimizer, rate in zip(optimizers, rates.values(), strict=True):
                optimizer.zero_grad()
                optimizer.param_groups[0]["lr"] = rate * factor
            nn.BCEWithLogitsLoss()(logits(rows), labels[torch.from_numpy(rows)]).backward()
            nn.utils.clip_grad_norm_([p for part in rates for p in part.parameters()], clip)
            for optimizer in optimizers:
                optimizer.step()
