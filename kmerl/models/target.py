"""A network that follows another slowly: the target of BYOL, the key encoder of MoCo."""

import copy
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kmerl.models.vit import pool


class Target(nn.Module):
    """Copies of an encoder and a projector that no gradient reaches.

    Only parameters follow. Running statistics of batch norm are the copy's own, from the batches
    it sees, as in the public code of BYOL and MoCo-v3.
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder)
        self.projector = copy.deepcopy(projector)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(
        self, signal: Float[Tensor, "batch lead sample"], leads: Int[Tensor, "batch lead"]
    ) -> Float[Tensor, "batch out"]:
        """Projections of the records' features."""
        return self.projector(pool(self.encoder(signal, leads)))

    @torch.no_grad()
    def follow(self, online: nn.Module, momentum: float) -> None:
        """Each parameter becomes `momentum` of itself and the rest of its namesake in `online`,
        which has attributes `encoder` and `projector`."""
        theirs = dict(online.named_parameters())
        for name, parameter in self.named_parameters():
            parameter.lerp_(theirs[name], 1 - momentum)


def momentum_at(base: float, progress: float) -> float:
    """From `base` to 1 along half a cosine, as `progress` goes from 0 to 1."""
    return 1 - (1 - base) * (math.cos(math.pi * progress) + 1) / 2
