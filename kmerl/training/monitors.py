"""Whether a model collapses: what a loss without negatives cannot tell by itself."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kmerl.methods import Method
from kmerl.models.inputs import Batch
from kmerl.models.vit import pool


def watched(model: Method, batch: Batch) -> dict[str, Tensor]:
    """What is monitored: the records' features, and what the method's projector, if it has one,
    makes of them. A projector may collapse behind an encoder whose features stay apart."""
    features = pool(model.encoder(batch.signal, batch.leads))
    projector = dict(model.named_children()).get("projector")
    projections = {} if projector is None else {"projection": projector(features).float()}
    return {"feature": features.float(), **projections}


def spread(vectors: Float[Tensor, "record width"]) -> float:
    """Deviation of the L2-normalised vectors over records, mean over dimensions, times
    sqrt(width): near 1 where directions are spread evenly, 0 where all are one (SimSiam, Fig. 2).
    """
    directions = F.normalize(vectors.double(), dim=1)
    return float(directions.std(dim=0, correction=0).mean() * vectors.shape[1] ** 0.5)


def effective_rank(vectors: Float[Tensor, "record width"]) -> float:
    """How many dimensions the L2-normalised vectors use: the effective rank (Roy and Vetterli,
    2007) of their covariance, from 1 to the smaller of width and records less one."""
    directions = F.normalize(vectors.double(), dim=1)
    centred = directions - directions.mean(dim=0)
    smaller = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    variances = torch.linalg.eigvalsh(smaller / len(centred)).clamp(min=0)
    shares = variances / (variances.sum() + torch.finfo(torch.float32).eps)
    return float(torch.special.entr(shares).sum().exp())
