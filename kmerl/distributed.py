"""One definition of the world, and a gather that keeps the gradient."""

import os
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this process writes files and shows progress."""
    return rank() == 0


def join(device: str) -> None:
    """Join the process group that torchrun's environment describes; alone, do nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device == "cuda" else "gloo")


def leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def barrier() -> None:
    if dist.is_initialized():
        dist.barrier()


class _Gather(torch.autograd.Function):
    """All-gather whose backward sums what every rank owes this rank's slice."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(world_size())[rank()]


def gather(tensor: Shaped[Tensor, "local ..."]) -> Shaped[Tensor, "whole ..."]:
    """The rows of every rank, in rank order, with gradient to each of them.

    Every rank must hold the same number of rows. With DDP's averaging of gradients, a loss that
    is the mean over *local* rows then has the gradient of the mean over the global batch.
    """
    return _Gather.apply(tensor) if world_size() > 1 else tensor


class _Sum(torch.autograd.Function):
    """All-reduce whose backward adds up what every rank's loss owes the sum."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone()
        dist.all_reduce(gradient)
        return gradient


def average(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The mean over ranks, with gradient to each of them; see `gather` for what that means."""
    return _Sum.apply(tensor) / world_size() if world_size() > 1 else tensor


def of_first(values: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
    """Rank 0's values on every rank, without gradient: for a draw that all must share."""
    if world_size() == 1:
        return values
    shared = values.clone()
    dist.broadcast(shared, 0)
    return shared


def mean(values: Tensor) -> Tensor:
    """The mean over ranks, without gradient: for logging."""
    return average(values.detach())
