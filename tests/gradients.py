"""Losses against references, in value and gradient, and short trainings."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def descend(model: nn.Module, steps: int, loss: Callable[[int], Tensor]) -> list[float]:
    """The losses of some steps of training, each given its number."""
    optimiser, values = torch.optim.Adam(model.parameters(), 2e-3), []
    for step in range(steps):
        found = loss(step)
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
        values.append(found.item())
    return values


def pairs_of_views(size: int, width: int = 6) -> list[Tensor]:
    """Projections of two views, in float64 and with gradient."""
    drawn = torch.randn(2, size, width, generator=generator(), dtype=torch.float64)
    return [half.clone().requires_grad_() for half in drawn]


def same_in_value_and_gradient(
    loss: Tensor, reference: Tensor, inputs: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """Answers with the gradients, None of what has none."""
    torch.testing.assert_close(loss, reference)
    found = torch.autograd.grad(loss, inputs, allow_unused=True)
    expected = torch.autograd.grad(reference, inputs, allow_unused=True)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs)
    return found
