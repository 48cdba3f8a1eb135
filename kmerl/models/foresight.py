"""What comes next: a context transformer reads a record up to a moment and foretells the rest."""

from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from kmerl.models.tokens import EMBEDDING_STD
from kmerl.models.vit import stack
from kmerl.params import MOST, Count, ProperShare, checked


@checked
class ForesightOptions:
    """Steps and context transformer; a method's `Options` may inherit these.

    Sources are paper and public code of TS-TCC (Eldele et al., IJCAI 2021), which was not made for
    ECGs of ten seconds. Its transformer has a dropout of .1; like all blocks here, this has none.
    """

    steps: Annotated[int, Field(ge=2, le=MOST)] = 62  # of a record, or a few more: at ten seconds
    # 0.16 s each; the code: 18 to 127
    ahead: ProperShare = 0.33  # share of the steps that is foretold; the code: 0.33 to 0.42
    context_width: Count = 100  # the code: 100, or 64 for sleep
    context_depth: Count = 4  # the code's
    context_heads: Count = 4  # the code's
    context_mlp: Count = 64  # the code's

    def __post_init__(self) -> None:
        if self.context_width % self.context_heads:
            raise ValueError(f"context_width is no multiple of context_heads={self.context_heads}")


class Foresight(nn.Module):
    """A summary of the steps up to a moment, and from it, linearly, each of the next `ahead` steps.

    The transformer has no positions, as in the public code: what it knows of order is what the
    encoder's tokens hold of their neighbourhood.
    """

    def __init__(self, encoder: nn.Module, record_samples: int, options: ForesightOptions) -> None:
        super().__init__()
        tokens, width_in = _tokens(encoder, record_samples)
        self.tokens_a_step = max(1, tokens // options.steps)
        self.steps = tokens // self.tokens_a_step
        self.ahead = round(options.ahead * self.steps)
        if not 0 < self.ahead < self.steps:
            raise ValueError(
                f"options.ahead={options.ahead} of the {self.steps} steps of a record foretells "
                f"{self.ahead}; it must leave at least one to read and one to foretell"
            )
        width = options.context_width
        self.embed = nn.Linear(width_in, width)
        self.summary = nn.Parameter(torch.randn(1, 1, width) * EMBEDDING_STD)
        heads, depth = options.context_heads, options.context_depth
        self.blocks = stack(width, heads, depth, options.context_mlp)
        self.foretell = nn.Linear(width, self.ahead * width_in)

    def steps_of(
        self, tokens: Float[Tensor, "batch token width"]
    ) -> Float[Tensor, "batch step width"]:
        """Means of neighbouring tokens, in the order of time and of unit length. Tokens at the end
        that fill no step are in none."""
        whole = tokens[:, : self.steps * self.tokens_a_step]
        return F.normalize(whole.unflatten(1, (self.steps, -1)).mean(dim=2), dim=2)

    def draw_moment(self, generator: torch.Generator) -> int:
        """The last step that is read, the same of all records: at least the first, and at most
        the one that leaves `ahead` to foretell."""
        return int(torch.randint(self.steps - self.ahead, (1,), generator=generator))

    def future(
        self, steps: Float[Tensor, "batch step width"], moment: int
    ) -> Float[Tensor, "batch ahead width"]:
        """The steps after a moment that `forward` foretells."""
        return steps[:, moment + 1 : moment + 1 + self.ahead]

    def forward(
        self, steps: Float[Tensor, "batch step width"], moment: int
    ) -> tuple[Float[Tensor, "batch context"], Float[Tensor, "batch ahead width"]]:
        """Summary of the steps up to and with `moment`, and the foretold ones after it."""
        read = self.embed(steps[:, : moment + 1])
        read = torch.cat([self.summary.expand(len(read), -1, -1), read], dim=1)
        summary = self.blocks(read)[:, 0]
        return summary, self.foretell(summary).unflatten(1, (self.ahead, -1))


@torch.no_grad()
def _tokens(encoder: nn.Module, record_samples: int) -> tuple[int, int]:
    """How many tokens the encoder makes of a record, and their width."""
    training = encoder.training
    nothing = torch.zeros(1, 1, record_samples)
    count, width = encoder.eval()(nothing, torch.zeros(1, 1, dtype=torch.long)).shape[1:]
    encoder.train(training)
    return count, width
