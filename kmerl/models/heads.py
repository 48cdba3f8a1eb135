"""Projectors and predictors: multilayer perceptrons with batch normalisation."""

from itertools import pairwise
from typing import Literal

from torch import nn

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
