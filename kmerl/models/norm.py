"""Batch normalisation over the batch of all processes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kmerl.distributed import average, world_size


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm1d whose statistics are those of all processes, with gradient, on any device.

    Statistics of one process alone would make a training depend on the number of processes, and
    tell a contrastive loss which records share one. Every process must hold as many records.
    `over_processes` False is plain batch norm, for reproducing code that has it.
    """

    over_processes = True
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(
        self, features: Float[Tensor, "batch channel *sample"]
    ) -> Float[Tensor, "batch channel *sample"]:
        if not (self.training and self.over_processes) or world_size() == 1:
            return super().forward(features)
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        normed, mean, variance = standardise(wide, self.eps)
        self._follow(mean, variance, world_size() * features.numel() // features.shape[1])
        if self.affine:
            shape = _channels(features)
            normed = normed * self.weight.view(shape) + self.bias.view(shape)
        return normed.to(features.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics, the variance without its bias, as BatchNorm1d does."""
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        self.num_batches_tracked.add_(1)


def standardise(
    features: Float[Tensor, "batch channel *sample"], epsilon: float = 1e-5
) -> tuple[Float[Tensor, "batch channel *sample"], Tensor, Tensor]:
    """Each channel with mean 0 and deviation 1 over the records (and samples) of all processes,
    with gradient; then its mean and its variance."""
    axes, shape = [0, *range(2, features.ndim)], _channels(features)
    mean = average(features.mean(axes))
    centred = features - mean.view(shape)
    variance = average(centred.square().mean(axes))
    return centred * (variance + epsilon).rsqrt().view(shape), mean, variance


def _channels(features: Tensor) -> list[int]:
    """The shape of a number a channel that broadcasts over features."""
    return [1, -1, *[1] * (features.ndim - 2)]
