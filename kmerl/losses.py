"""The two alignments of Sec. 3.5: ECG with report (Eq. 2), ECG with entities (Eq. 3)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kmerl.distributed import gather, rank


@dataclass(frozen=True)
class LossParams:
    """The `loss` section of params.yaml; a weight of 0 removes the term (Table 2a)."""

    contrast: float
    query: float
    temperature: float


def contrastive_loss(
    ecg: Float[Tensor, "local width"], text: Float[Tensor, "local width"], temperature: float
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE between projected ECGs and reports, over the batch of all processes.

    Eq. 2 read as MERL's code has it: the positive stays in the denominator and both directions
    count, here as their mean (docs/decisions.md). Inputs need not be normalised.

    Returns:
        The mean over this process's rows; averaged over processes, it is the global mean.
    """
    ecg, text = F.normalize(ecg, dim=1), F.normalize(text, dim=1)
    target = torch.arange(len(ecg), device=ecg.device) + rank() * len(ecg)
    to_text = ecg @ gather(text).T / temperature
    to_ecg = text @ gather(ecg).T / temperature
    return (F.cross_entropy(to_text, target) + F.cross_entropy(to_ecg, target)) / 2


def query_loss(
    logits: Float[Tensor, "batch query"], labels: Float[Tensor, "batch query"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy of F_CQ against the label vectors y (Eq. 3), mean over both axes."""
    return F.binary_cross_entropy_with_logits(logits, labels)
