"""ST-MEM's networks: an encoder over the patches of all leads, and a decoder lead by lead."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kmerl.leads import LEADS
from kmerl.models.vit import SIZES, Block, EncoderParams

EMBEDDING_STD = 0.02
HEAD_WIDTH = 64  # of a decoder that is narrower than its encoder; the code's


class LeadPatchEncoder(nn.Module):
    """Any subset of leads to normalised tokens, one a lead and patch, whose mean is the feature.

    Each lead has its own embedding, chosen by the lead's name, and a separator SEP before and
    after its patches. Separators tell the joint transformer where a lead ends; the decoder reads
    them, the feature does not. Where patches do not fill the record, its two ends are not read.
    """

    def __init__(self, encoder: EncoderParams, record_samples: int, patch: int) -> None:
        super().__init__()
        size = SIZES[encoder.size]
        self.width, self.patch, self.record_samples = size.width, patch, record_samples
        self.segments = record_samples // patch
        if patch < 2 or self.segments < 2:
            raise ValueError(
                f"options.patch={patch}: a record of {record_samples} samples needs two patches "
                "or more, of two samples or more"
            )
        self.embed = nn.Sequential(
            nn.LayerNorm(patch), nn.Linear(patch, size.width), nn.LayerNorm(size.width)
        )
        self.time: Tensor
        self.register_buffer("time", sine_positions(self.segments, size.width), persistent=False)
        self.lead = nn.Parameter(EMBEDDING_STD * torch.randn(len(LEADS), size.width))
        self.separator = nn.Parameter(EMBEDDING_STD * torch.randn(size.width))
        self.blocks = nn.ModuleList(Block(size.width, size.heads) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.width)
        self.apply(_xavier)

    def forward(
        self,
        signal: Float[Tensor, "batch lead sample"],
        leads: Int[Tensor, "batch lead"],
        kept: Int[Tensor, "batch lead kept"] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Tokens lead by lead, without separators.

        Args:
            signal: normalised signal, any number of leads.
            leads: each lead's index into `kmerl.leads.LEADS`.
            kept: patches of each lead that are read; None reads all.
        """
        return self.encode(signal, leads, kept)[:, :, 1:-1].flatten(1, 2)

    def encode(
        self,
        signal: Float[Tensor, "batch lead sample"],
        leads: Int[Tensor, "batch lead"],
        kept: Int[Tensor, "batch lead kept"] | None,
    ) -> Float[Tensor, "batch lead token width"]:
        """Each lead's tokens, between its two separators."""
        batch, count, _ = signal.shape
        patches, time = self.cut(signal), self.time
        if kept is not None:
            patches = patches.gather(2, kept.unsqueeze(-1).expand(-1, -1, -1, self.patch))
            time = self.time[kept]
        tokens = self.embed(patches) + time
        separator = self.separator.to(tokens.dtype).expand(batch, count, 1, -1)
        tokens = torch.cat([separator, tokens, separator], dim=2)
        tokens = (tokens + F.embedding(leads, self.lead).unsqueeze(2)).flatten(1, 2)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens).unflatten(1, (count, -1))

    def cut(
        self, signal: Float[Tensor, "batch lead sample"]
    ) -> Float[Tensor, "batch lead patch inside"]:
        """The patches in the middle of each record, as many as fit."""
        if signal.shape[2] != self.record_samples:
            raise ValueError(
                f"a record has {signal.shape[2]} samples; this encoder was made for "
                f"{self.record_samples}"
            )
        before = (self.record_samples - self.segments * self.patch) // 2
        middle = signal.narrow(2, before, self.segments * self.patch)
        return middle.unflatten(2, (self.segments, self.patch))


class LeadDecoder(nn.Module):
    """All patches of a lead from those that were kept, of this lead alone.

    Its weights are shared by all leads. A decoder that saw the other leads could copy from them,
    since twelve leads are projections of one dipole, and the encoder would have less to say.
    """

    def __init__(
        self, encoder: EncoderParams, widest: int, depth: int, segments: int, patch: int
    ) -> None:
        super().__init__()
        size = SIZES[encoder.size]
        width, heads = size.width, size.heads
        if width > widest:
            width, heads = widest, max(1, widest // HEAD_WIDTH)
        self.enter = nn.Linear(size.width, width)
        self.mask = nn.Parameter(EMBEDDING_STD * torch.randn(width))
        self.time: Tensor
        self.register_buffer("time", sine_positions(segments, width), persistent=False)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, patch)
        self.apply(_xavier)

    def forward(
        self,
        encoded: Float[Tensor, "batch lead token width"],
        kept: Int[Tensor, "batch lead kept"],
    ) -> Float[Tensor, "batch lead patch inside"]:
        """Every patch of each lead, in the order of time.

        Args:
            encoded: what `LeadPatchEncoder.encode` made of the patches `kept`.
        """
        tokens = self.enter(encoded)
        batch, count, _, width = tokens.shape
        hidden = self.mask.to(tokens.dtype).expand(batch, count, len(self.time), width)
        place = kept.unsqueeze(-1).expand(-1, -1, -1, width)
        whole = hidden.scatter(2, place, tokens[:, :, 1:-1]) + self.time
        whole = torch.cat([tokens[:, :, :1], whole, tokens[:, :, -1:]], dim=2).flatten(0, 1)
        for block in self.blocks:
            whole = block(whole)
        patches: Tensor = self.leave(self.norm(whole[:, 1:-1]))
        return patches.unflatten(0, (batch, count))


def sine_positions(count: int, width: int) -> Float[Tensor, "count width"]:
    """Fixed embeddings of places: sines and cosines of wavelengths from 2 pi to 2 pi x 10,000."""
    frequency = 10_000.0 ** (-torch.arange(width // 2) / (width // 2))
    angle = torch.arange(count).unsqueeze(1) * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _xavier(module: nn.Module) -> None:
    """The initial weights of the public code, which are the first vision transformer's."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
