"""Projectors and predictors: multilayer perceptrons with batch normalisation, and a pooling."""

from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kmerl.models.norm import BatchNorm

Last = Literal["linear", "linear with bias", "norm", "norm without scale"]


def mlp(*widths: int, out: int, last: Last = "linear") -> nn.Sequential:
    """Linear layers from each width to the next; batch norm and ReLU after all but the last.

    Args:
        widths: of the input and of the hidden layers.
        last: what follows the last layer, which is where the published heads differ: nothing, a
            bias, a batch norm, or one without scale and offset. Other layers have no bias, which
            their batch norm would take away.
    """
    layers: list[nn.Module] = []
    for width_in, width in pairwise(widths):
        layers += [nn.Linear(width_in, width, bias=False), BatchNorm(width), nn.ReLU()]
    layers.append(nn.Linear(widths[-1], out, bias=last == "linear with bias"))
    if last.startswith("norm"):
        layers.append(BatchNorm(out, affine=last == "norm"))
    return nn.Sequential(*layers)


class AttentionPool(nn.Module):
    """One vector a record by attention: the tokens' mean asks them and itself (CLIP, Radford et
    al. 2021, Sec. 2.4), each with an embedding of its place."""

    def __init__(self, width: int, tokens: int, heads: int) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(tokens + 1, width) / width**0.5)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, tokens: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch width"]:
        placed = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + self.position
        return self.attention(placed[:, :1], placed, placed, need_weights=False)[0].squeeze(1)
