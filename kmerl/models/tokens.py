"""Segments to tokens: of each lead (Sec. 3.2, Eq. 1), or of all leads together (Table 2b)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kmerl.leads import LEADS
from kmerl.models.inputs import twelve_leads

EMBEDDING_STD = 0.02


class LeadTokenizer(nn.Module):
    """Cuts each lead into segments and projects them, one token a lead and segment.

    The projection W and the temporal embeddings are shared by all leads; the lead embedding is
    chosen by the lead's name, so any leads may come in any order.
    """

    def __init__(
        self,
        width: int,
        token_samples: int,
        record_samples: int,
        lead_embedding: bool = True,
        temporal_embedding: bool = True,
    ) -> None:
        super().__init__()
        self.token_samples = token_samples
        self.segments = _segments(token_samples, record_samples)
        self.project = nn.Linear(token_samples, width)
        self.lead = _embedding(len(LEADS), width) if lead_embedding else None
        self.temporal = _embedding(self.segments, width) if temporal_embedding else None

    def rows(self, leads: int) -> int:
        """Rows of `segments` tokens that so many leads are cut into."""
        return leads

    def forward(
        self,
        signal: Float[Tensor, "batch lead sample"],
        leads: Int[Tensor, "batch lead"],
        kept: Int[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Tokens of the leads that are there.

        Args:
            signal: normalised signal, any number of leads.
            leads: each lead's index into `kmerl.leads.LEADS`.
            kept: tokens to keep, indices into leads x segments; None keeps all. Tokens that are
                not kept are gathered away before the projection.
        """
        batch, count, samples = signal.shape
        _check_length(samples, self.segments * self.token_samples)
        pieces = signal.reshape(batch, count * self.segments, self.token_samples)
        if kept is None:
            kept = torch.arange(count * self.segments, device=signal.device).expand(batch, -1)
        else:
            pieces = pieces.gather(1, kept.unsqueeze(-1).expand(-1, -1, self.token_samples))
        tokens = self.project(pieces)
        # Not by indexing, whose gradient adds in an order that changes from run to run.
        if self.lead is not None:
            tokens = tokens + F.embedding(leads.gather(1, kept // self.segments), self.lead)
        if self.temporal is not None:
            tokens = tokens + F.embedding(kept % self.segments, self.temporal)
        return tokens


class JointTokenizer(nn.Module):
    """MERL's tokens: a segment of all twelve leads together is one token.

    Leads that are not given are zero, the mean of a z-scored record. `temporal_deviation` is that
    of the initial temporal embeddings; None leaves them out.
    """

    def __init__(
        self,
        width: int,
        token_samples: int,
        record_samples: int,
        temporal_deviation: float | None = EMBEDDING_STD,
    ) -> None:
        super().__init__()
        self.token_samples = token_samples
        self.segments = _segments(token_samples, record_samples)
        self.project = nn.Conv1d(len(LEADS), width, token_samples, token_samples, bias=False)
        self.temporal = None
        if temporal_deviation is not None:
            self.temporal = nn.Parameter(temporal_deviation * torch.randn(self.segments, width))

    def rows(self, _leads: int) -> int:
        """One row of `segments` tokens, however many leads there are."""
        return 1

    def forward(
        self,
        signal: Float[Tensor, "batch lead sample"],
        leads: Int[Tensor, "batch lead"],
        kept: Int[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Tokens in the order of time, or of `kept`: indices of segments.

        See `LeadTokenizer.forward` for the other arguments.
        """
        _check_length(signal.shape[2], self.segments * self.token_samples)
        tokens = self.project(twelve_leads(signal, leads)).transpose(1, 2)
        if self.temporal is not None:
            tokens = tokens + self.temporal
        if kept is not None:
            tokens = tokens.gather(1, kept.unsqueeze(-1).expand(-1, -1, tokens.shape[2]))
        return tokens


def _segments(token_samples: int, record_samples: int) -> int:
    if record_samples % token_samples:
        raise ValueError(
            f"encoder.token_samples={token_samples} does not divide the {record_samples} "
            "samples of a record"
        )
    return record_samples // token_samples


def _check_length(samples: int, made_for: int) -> None:
    if samples != made_for:
        raise ValueError(f"a record has {samples} samples; this tokenizer was made for {made_for}")


def _embedding(rows: int, width: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(rows, width), std=EMBEDDING_STD))
