"""Whether features collapse: what a loss without negatives cannot tell by itself."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def feature_std(features: Float[Tensor, "record width"]) -> float:
    """Deviation of the L2-normalised features over records, mean over dimensions, times
    sqrt(width): near 1 where directions are spread evenly, 0 where all are one (SimSiam, Fig. 2).
    """
    directions = F.normalize(features.double(), dim=1)
    return float(directions.std(dim=0, correction=0).mean() * features.shape[1] ** 0.5)


def feature_rank(features: Float[Tensor, "record width"]) -> float:
    """How many dimensions the L2-normalised features use: the effective rank (Roy and Vetterli,
    2007) of their covariance, from 1 to the smaller of width and records less one."""
    directions = F.normalize(features.double(), dim=1)
    variances = torch.linalg.eigvalsh(torch.cov(directions.T, correction=0)).clamp(min=0)
    shares = variances / (variances.sum() + torch.finfo(torch.float32).eps)
    return float(torch.special.entr(shares).sum().exp())
