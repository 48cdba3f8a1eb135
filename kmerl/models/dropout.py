"""Dropout that does not depend on the number of processes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kmerl.distributed import own


class Dropout(nn.Module):
    """`nn.Dropout` whose mask is drawn for the records of all processes (`kmerl.distributed.own`),
    from torch's own generator; a first axis of one, shared by every record, has one for all."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, features: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        if not (self.training and self.share):
            return features

        def draw(rows: int) -> Tensor:
            return torch.rand(rows, *features.shape[1:], device=features.device)

        drawn = draw(1) if len(features) == 1 else own(draw, len(features))
        return features * (drawn >= self.share) / (1 - self.share)
