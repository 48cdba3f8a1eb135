"""What is trained: the two alignments of Sec. 3.5, and the losses that several methods share."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kmerl.distributed import gather, rank
from kmerl.params import Positive, PositiveOrZero, checked


@checked
class LossParams:
    """The `loss` section of params.yaml; a weight of 0 removes the term (Table 2a)."""

    contrast: PositiveOrZero
    query: PositiveOrZero
    temperature: Positive


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
    return (info_nce(ecg, text, temperature) + info_nce(text, ecg, temperature)) / 2


def info_nce(
    queries: Float[Tensor, "local width"], keys: Float[Tensor, "local width"], temperature: float
) -> Float[Tensor, ""]:
    """Which key of all processes is a query's own? Unit vectors; the mean over local queries."""
    own = torch.arange(len(queries), device=queries.device) + rank() * len(queries)
    return F.cross_entropy(queries @ gather(keys).T / temperature, own)


def contrastive_loss_as_released(
    ecg: Float[Tensor, "local width"], text: Float[Tensor, "local width"], temperature: float
) -> Float[Tensor, ""]:
    """`contrastive_loss` as MERL's code has it: both directions added, rows of other processes
    gathered without gradient.

    Returns:
        The sum over both directions of the mean over the *global* batch, the same number in every
        process. Only this process's rows have a gradient, so that averaging over processes leaves
        the true one divided by their number.
    """
    ecg, text = (_own_rows_learn(F.normalize(rows, dim=1)) for rows in (ecg, text))
    target = torch.arange(len(ecg), device=ecg.device)
    similarity = ecg @ text.T / temperature
    return F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)


def _own_rows_learn(
    rows: Float[Tensor, "local width"],
) -> Float[Tensor, "whole width"]:
    before, local = rank() * len(rows), len(rows)
    everyone = gather(rows.detach())
    return torch.cat([everyone[:before], rows, everyone[before + local :]])


def query_loss(
    logits: Float[Tensor, "batch query"], labels: Float[Tensor, "batch query"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy of F_CQ against the label vectors y (Eq. 3), mean over both axes.

    Of a two-way head `logits` are differences, present less absent; their binary cross-entropy is
    the softmax cross-entropy over the two, as KAD trains, in value and gradient.
    """
    return F.binary_cross_entropy_with_logits(logits, labels)


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
        The mean over this process's 2 x local views; averaged over processes, the global mean.
        Chance is log(2N - 1) for N records.
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
