"""Gradient reversal (Ganin and Lempitsky, ICML 2015): what one network learns, another unlearns."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, share: float) -> Tensor:
        ctx.share = share
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.share * gradients[0], None


def reverse_gradient(
    features: Float[Tensor, "*batch width"], share: float
) -> Float[Tensor, "*batch width"]:
    """`features` as they are; of the gradient to them, minus `share`."""
    return _Reverse.apply(features, share)
