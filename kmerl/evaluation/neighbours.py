"""k nearest neighbours on frozen features: nothing is fitted, so it checks the probes that are."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

RECORDS_AT_ONCE = 512
"""Records asked about at a time: their similarities to 17,000 training records take 35 MB."""


def neighbour_scores(
    known: Float[Tensor, "view record width"],
    truth: Bool[np.ndarray, "record class"],
    asked: Float[Tensor, "view asked width"],
    neighbours: int,
) -> Float[np.ndarray, "view asked class"]:
    """The weighted share of the nearest known records that has each class, by cosine similarity.

    A neighbour weighs (1 + cosine) / 2, which orders records where all that is known is near.
    Where fewer than `neighbours` records are known, all are taken.
    """
    count, labels = min(neighbours, len(truth)), torch.from_numpy(truth).float().to(known.device)
    out = torch.empty(*asked.shape[:2], truth.shape[1], device=known.device)
    for view, (near, far) in enumerate(zip(known, asked, strict=True)):
        directions = normalize(near, dim=1).T
        for start in range(0, len(far), RECORDS_AT_ONCE):
            part = slice(start, start + RECORDS_AT_ONCE)
            similarity, rows = (normalize(far[part], dim=1) @ directions).topk(count, dim=1)
            weight = (1 + similarity) / 2
            total = weight.sum(dim=1, keepdim=True).clamp_min(1e-12)
            out[view, part] = torch.bmm((weight / total)[:, None], labels[rows])[:, 0]
    return out.cpu().numpy()
