"""Dynamic lead masking and lead-independent segment masking (Sec. 3.3).

A masked token is gathered away, never zeroed: both functions answer with what is *kept*.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from kmerl.distributed import own
from kmerl.leads import LEADS
from kmerl.params import ShareBelowOne, checked


@checked
class MaskParams:
    """The `mask` section of params.yaml."""

    leads: Literal["dynamic", "fixed", "none"]
    min_leads: int
    max_leads: int
    scope: Literal["group", "record", "batch"]
    segments: ShareBelowOne
    per_lead: bool

    def __post_init__(self) -> None:
        if not 0 <= self.min_leads <= self.max_leads < len(LEADS):
            raise ValueError(
                f"min_leads={self.min_leads} and max_leads={self.max_leads}: they count masked "
                f"leads, 0 <= min_leads <= max_leads <= {len(LEADS) - 1}"
            )

    @property
    def masked_range(self) -> tuple[int, int]:
        """Smallest and largest number of masked leads (Table 2d: fixed and none are ablations)."""
        if self.leads == "none":
            return 0, 0
        return self.min_leads, self.min_leads if self.leads == "fixed" else self.max_leads


EVERY_LEAD = MaskParams("none", 0, 0, "group", 0.0, per_lead=True)
"""The mask that hides nothing: what a method trains with that does not say otherwise."""


def draw_leads(
    groups: int, min_masked: int, max_masked: int, generator: np.random.Generator
) -> np.ndarray:
    """Leads that dynamic lead masking keeps, for one batch.

    The number of masked leads is drawn once, so that the batch stays rectangular; the subset is
    drawn for each of `groups` independently.

    Returns:
        int64 (groups, kept): ascending indices into `kmerl.leads.LEADS`.
    """
    kept = len(LEADS) - int(generator.integers(min_masked, max_masked + 1))
    ranks = generator.random((groups, len(LEADS))).argsort(axis=1)
    return np.sort(ranks[:, :kept], axis=1)


def segments_kept(segments: int, ratio: float) -> int:
    """Tokens of a lead that remain: 50 tokens at 0.25 leave floor(37.5) = 37."""
    return max(1, int(segments * (1 - ratio) + 1e-6))  # 125 at 0.8 leave 25, not 24.999


def draw_segments(
    batch: int,
    leads: int,
    segments: int,
    ratio: float,
    generator: torch.Generator,
    per_lead: bool = True,
) -> Int[Tensor, "batch kept"]:
    """Tokens that segment masking keeps, as ascending indices into a record's leads x segments.

    Drawn for the batch of all processes, of which `batch` records are here (`distributed.own`).
    `per_lead` masks the same number of tokens of each lead, drawn apart (LSM); otherwise the
    share is taken of all tokens together, and leads may be left with unequal numbers.
    """
    if per_lead:
        kept = segments_kept(segments, ratio)
        noise = own(lambda rows: torch.rand(rows, leads, segments, generator=generator), batch)
        chosen = noise.argsort(dim=2)[:, :, :kept].sort(dim=2).values
        offset = torch.arange(leads).view(1, leads, 1) * segments
        return (chosen + offset).reshape(batch, leads * kept)
    kept = segments_kept(leads * segments, ratio)
    noise = own(lambda rows: torch.rand(rows, leads * segments, generator=generator), batch)
    return noise.argsort(dim=1)[:, :kept].sort(dim=1).values
