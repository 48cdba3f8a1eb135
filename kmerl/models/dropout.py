"""Dropout that does not depend on the number of processes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kmerl.distributed import own
from kmerl.distributed import shared as one_for_all


class Dropout(nn.Module):
    """`nn.Dropout` whose mask is drawn for the records of all processes (`kmerl.distributed.own`),
    from torch's own generator."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(
        self, features: Float[Tensor, "batch ..."], shared: bool = False
    ) -> Float[Tensor, "batch ..."]:
        """`shared`: the first axis has one row, which is every record's, and so is its mask."""
        if not (self.training and self.share):
            return features

        def draw(rows: int) -> Tensor:
            return torch.rand(rows, *features.shape[1:], device=features.device) >= self.share

        kept = one_for_all(lambda: draw(1)) if shared else own(draw, len(features))
        return features * kept / (1 - self.share)
