"""What is trained where patches are dropped and reconstructed."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def normalised_patches(patches: Float[Tensor, "*patch sample"]) -> Float[Tensor, "*patch sample"]:
    """Each patch with mean 0 and deviation 1: the targets of MAE and ST-MEM, which a patch's
    offset cannot dominate. A flat patch becomes zeros."""
    centred = patches - patches.mean(dim=-1, keepdim=True)
    return centred * (patches.var(dim=-1, keepdim=True) + 1e-6).rsqrt()


def dropped_error(
    predicted: Float[Tensor, "batch lead patch sample"],
    target: Float[Tensor, "batch lead patch sample"],
    kept: Int[Tensor, "batch lead kept"],
) -> Float[Tensor, ""]:
    """Mean squared error over the patches that are not in `kept`, the same number in each lead."""
    error = (predicted - target).square().mean(dim=-1)
    dropped = torch.ones_like(error).scatter(2, kept, 0.0)
    return (error * dropped).sum() / dropped.sum()


def instance_discrimination(
    given: Float[Tensor, "batch token width"], encoded: Float[Tensor, "batch token width"]
) -> Float[Tensor, ""]:
    """CRT's constraint: what goes into the transformer at one place of a record is unlike what
    comes out at the others.

    Args:
        given, encoded: projections of a record's tokens before and after the transformer, in the
            same order, not normalised.

    Returns:
        The mean over records of the log of the sum of exp(cosine) over all pairs of different
        places; for n tokens between log(n(n - 1)) - 1 and log(n(n - 1)) + 1.
    """
    cosine = F.normalize(given, dim=2) @ F.normalize(encoded, dim=2).transpose(1, 2)
    itself = torch.eye(cosine.shape[1], dtype=torch.bool, device=cosine.device)
    return cosine.masked_fill(itself, -torch.inf).flatten(1).logsumexp(dim=1).mean()
