"""ST-MEM (Na et al., ICLR 2024): most patches of each lead are reconstructed from the rest."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kmerl import methods
from kmerl.leads import LEADS
from kmerl.models.inputs import Batch
from kmerl.models.masking import draw_segments
from kmerl.models.tokens import EMBEDDING_STD
from kmerl.models.vit import SIZES, Encoder, EncoderParams, stack
from kmerl.params import Count, ProperShare, checked

HEAD_WIDTH = 64  # of a decoder that is narrower than its encoder; the code's


@checked
class Options:
    """Patches, how many are dropped, and the decoder that is thrown away after pretraining."""

    patch: Count = 150  # samples: 0.3 s at 500 Hz; the code's 75 at 250 Hz. 33 fit into 10 s
    drop: ProperShare = 0.75  # share of each lead's patches, drawn lead by lead; the code's
    decoder_width: Count = 256  # the code's; a narrower encoder has a decoder of its own width
    decoder_depth: Count = 4  # the code's


class Method(methods.Method):
    encoder: "LeadPatchEncoder"

    def __init__(self, encoder: EncoderParams, options: Options, record_samples: int) -> None:
        super().__init__()
        self.options = options
        self.encoder = LeadPatchEncoder(encoder, record_samples, options.patch)
        self.decoder = LeadDecoder(encoder, options, self.encoder.segments)

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Error of the dropped patches, drawn from `generator`: about 1 before training."""
        kept = self._kept(batch, generator)
        predicted = self.decoder(self.encoder.encode(batch.signal, batch.leads, kept), kept)
        target = normalised_patches(self.encoder.cut(batch.signal))
        return {"reconstruction": dropped_error(predicted, target, kept)}

    def _kept(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Ascending patches (batch, lead, kept)."""
        records, leads = batch.leads.shape
        segments = self.encoder.segments
        kept = draw_segments(records, leads, segments, self.options.drop, generator)
        return (kept.view(records, leads, -1) % segments).to(batch.signal.device)


class LeadPatchEncoder(Encoder):
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
        self.blocks = stack(size.width, size.heads, size.depth)
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
        tokens = self.blocks(tokens)
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

    def __init__(self, encoder: EncoderParams, options: Options, segments: int) -> None:
        super().__init__()
        size = SIZES[encoder.size]
        width, heads = size.width, size.heads
        if width > options.decoder_width:
            width = options.decoder_width
            heads = max(1, width // HEAD_WIDTH)
        self.enter = nn.Linear(size.width, width)
        self.mask = nn.Parameter(EMBEDDING_STD * torch.randn(width))
        self.time: Tensor
        self.register_buffer("time", sine_positions(segments, width), persistent=False)
        self.blocks = stack(width, heads, options.decoder_depth)
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, options.patch)
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
        whole = self.blocks(whole)
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


def normalised_patches(patches: Float[Tensor, "*patch sample"]) -> Float[Tensor, "*patch sample"]:
    """Each patch with mean 0 and deviation 1: the targets of MAE and ST-MEM, which a patch's
    offset cannot dominate. A flat patch becomes zeros."""
    centred = patches - patches.mean(dim=-1, keepdim=True)
    return centred * (patches.var(dim=-1, keepdim=True) + 1e-6).rsqrt()


def dropped_error(
    predicted: Float[Tensor, "batch lead patch sample"],
    target: Float[Tensor, "batch lead patch sample"],
    kept: Int[Tensor, "batch lead kept"],
) -> Float[Tensor, ""]:
    """Mean squared error over the patches that are not in `kept`, the same number in each lead."""
    error = (predicted - target).square().mean(dim=-1)
    dropped = torch.ones_like(error).scatter(2, kept, 0.0)
    return (error * dropped).sum() / dropped.sum()
