"""The losses that several methods share; a loss of one method is in its file.

Losses are means over this process's rows that see the rows of every process; averaged over
processes, they are those of the whole batch.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kmerl.distributed import gather, rank


def contrastive_loss(
    ecg: Float[Tensor, "local width"], text: Float[Tensor, "local width"], temperature: float
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE between projected ECGs and reports, over the batch of all processes.

    Eq. 2 read as MERL's code has it: the positive stays in the denominator and both directions
    count, here as their mean (docs/decisions.md). Inputs need not be normalised.
    """
    ecg, text = F.normalize(ecg, dim=1), F.normalize(text, dim=1)
    return (info_nce(ecg, text, temperature) + info_nce(text, ecg, temperature)) / 2


def info_nce(
    queries: Float[Tensor, "local width"], keys: Float[Tensor, "local width"], temperature: float
) -> Float[Tensor, ""]:
    """Which key of all processes is a query's own? Unit vectors; the mean over local queries."""
    own = torch.arange(len(queries), device=queries.device) + rank() * len(queries)
    return F.cross_entropy(queries @ gather(keys).T / temperature, own)


def nt_xent(
    one: Float[Tensor, "local width"],
    two: Float[Tensor, "local width"],
    temperature: float,
    patient: Int[Tensor, " local"] | None = None,
) -> Float[Tensor, ""]:
    """SimCLR's contrast: of all other views in all processes, which is of the same record?

    Args:
        one, two: projections of two views of each record, not normalised.
        patient: where given, other records of the same patient are no negatives.

    Returns:
        The mean over this process's 2 x local views. Chance is log(2N - 1) for N records.
    """
    local = len(one)
    views = F.normalize(torch.cat([one, two]), dim=1)
    others = torch.cat([gather(views[:local]), gather(views[local:])])
    place = torch.arange(local, device=one.device) + rank() * local
    partner = torch.cat([place + len(others) // 2, place])
    known = place if patient is None else patient
    same = (known[:, None] == gather(known)).repeat(2, 2)  # the view itself is among them
    same = same.scatter(1, partner[:, None], False)
    logits = (views @ others.T / temperature).masked_fill(same, -torch.inf)
    return F.cross_entropy(logits, partner)


def negative_cosine(
    predicted: Float[Tensor, "local width"], target: Float[Tensor, "local width"]
) -> Float[Tensor, ""]:
    """How far predictions are from targets that do not learn: -1 where directions are equal.

    BYOL's squared distance between unit vectors is twice this and two.
    """
    return -F.cosine_similarity(predicted, target.detach(), dim=1).mean()


def patient_shares(
    patient: Int[Tensor, " local"], dtype: torch.dtype
) -> Float[Tensor, "local whole"]:
    """Equal shares, of sum 1, of the records of each row's patient."""
    same = (patient[:, None] == gather(patient)).to(dtype)
    return same / same.sum(dim=1, keepdim=True)
