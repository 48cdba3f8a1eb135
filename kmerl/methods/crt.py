"""CRT (Zhang et al., TNNLS 2023): patches of time and of spectrum are dropped and reconstructed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kmerl import methods
from kmerl.leads import LEADS
from kmerl.models.backbone import resnet18
from kmerl.models.inputs import Batch, twelve_leads
from kmerl.models.masking import draw_segments
from kmerl.models.tokens import EMBEDDING_STD
from kmerl.models.vit import SIZES, Encoder, EncoderParams, stack
from kmerl.params import Count, PositiveOrZero, ShareBelowOne, checked

DOMAINS = ("time", "magnitude", "phase")
EPSILON = 1e-6  # keeps a flat record finite
Patches = list[Float[Tensor, "batch _ 12 inside"]]  # of each of `DOMAINS`
Kept = list[Int[Tensor, "batch _"]]  # of each of `DOMAINS`, the patches that are there


@checked
class Options:
    """Patches, how many are dropped in the course of training, and the decoder."""

    patch: Count = 20  # samples, or frequencies; the code's. 250 + 125 + 125 patches of 10 s
    drop_first: ShareBelowOne = 0.3  # of patches that are dropped until so much of training is done
    drop_last: ShareBelowOne = 0.8  # the share grows with it up to this; both the code's
    constraint: PositiveOrZero = 1e-4  # weight of instance discrimination; the code's
    decoder_depth: Count = 2  # the code's

    def __post_init__(self) -> None:
        if self.drop_first > self.drop_last:
            raise ValueError(f"drop_first={self.drop_first} is above drop_last={self.drop_last}")


class Method(methods.Method):
    encoder: "CrossDomainEncoder"

    def __init__(self, encoder: EncoderParams, options: Options, record_samples: int) -> None:
        super().__init__()
        self.options = options
        patch, depth = options.patch, options.decoder_depth
        self.encoder = CrossDomainEncoder(encoder, record_samples, patch)
        self.decoder = CrossDomainDecoder(encoder, self.encoder.counts, patch, depth)
        width = self.encoder.width
        self.project_given = nn.Linear(width, width)
        self.project_encoded = nn.Linear(width, width)
        self.advance(0.0)

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Squared error of all patches, kept and dropped, and the weighted constraint."""
        patches = self.encoder.cut(batch.signal, batch.leads)
        kept = self._kept(batch, generator)
        encoded = self.encoder.encode(patches, kept)
        predicted = self.decoder(encoded, kept)
        terms = {"reconstruction": F.mse_loss(torch.cat(predicted, 1), torch.cat(patches, 1))}
        if self.options.constraint:
            alike = instance_discrimination(
                self.project_given(encoded.given), self.project_encoded(encoded.tokens)
            )
            terms["constraint"] = self.options.constraint * alike
        return terms

    def advance(self, progress: float) -> None:
        """Drop the share of patches that equals the share of training, within its bounds."""
        self.drop = min(max(progress, self.options.drop_first), self.options.drop_last)

    def _kept(self, batch: Batch, generator: torch.Generator) -> list[Tensor]:
        """Ascending patches (batch, kept) of each domain; magnitude and phase share theirs.

        Validation drops the last share at all times, so that its epochs can be compared.
        """
        drop = self.drop if self.training else self.options.drop_last
        in_time, in_spectrum, _ = self.encoder.counts
        time, spectrum = (
            draw_segments(len(batch.signal), 1, count, drop, generator).to(batch.signal.device)
            for count in (in_time, in_spectrum)
        )
        return [time, spectrum, spectrum]


@dataclass(frozen=True)
class Encoded:
    """A record before and after the transformer; patches in the order of `DOMAINS` and `Kept`."""

    given: Float[Tensor, "batch kept width"]  # of the patches alone, without place or domain
    tokens: Float[Tensor, "batch kept width"]
    summaries: Float[Tensor, "batch 3 width"]  # the domains' CLS tokens


class CrossDomainEncoder(Encoder):
    """Twelve leads to three tokens, the CLS tokens of the domains, whose mean is the feature.

    Leads that are not given are zero in every domain, which is the domain's mean. The highest
    frequencies are left out where they do not fill a patch.
    """

    def __init__(self, encoder: EncoderParams, record_samples: int, patch: int) -> None:
        super().__init__()
        if patch < 1 or record_samples % patch or record_samples < 2 * patch:
            raise ValueError(
                f"options.patch={patch}: a record of {record_samples} samples must be two patches "
                "or more, and a whole number of them"
            )
        size = SIZES[encoder.size]
        self.width, self.patch = size.width, patch
        spectrum = record_samples // 2 // patch
        self.counts = (record_samples // patch, spectrum, spectrum)
        self.domains = nn.ModuleList(_Domain(size.width, count) for count in self.counts)
        self.blocks = stack(size.width, size.heads, size.depth)
        self.norm = nn.LayerNorm(size.width)

    def forward(
        self, signal: Float[Tensor, "batch lead sample"], leads: Int[Tensor, "batch lead"]
    ) -> Float[Tensor, "batch token width"]:
        """The three CLS tokens."""
        return self.encode(self.cut(signal, leads)).summaries

    def cut(
        self, signal: Float[Tensor, "batch lead sample"], leads: Int[Tensor, "batch lead"]
    ) -> Patches:
        """All patches of each of `DOMAINS`."""
        parts = zip(spectral_domains(signal, leads), self.counts, strict=True)
        return [
            part[:, :, : count * self.patch].unflatten(2, (count, self.patch)).transpose(1, 2)
            for part, count in parts
        ]

    def encode(self, patches: Patches, kept: Kept | None = None) -> Encoded:
        """The patches that `kept` names, encoded together; None keeps all."""
        chosen: Sequence[Tensor | None] = kept or [None] * len(DOMAINS)
        read = [d(p, k) for d, p, k in zip(self.domains, patches, chosen, strict=True)]
        tokens = torch.cat([tokens for _, tokens in read], dim=1)
        tokens = self.blocks(tokens)
        parts = self.norm(tokens).split([part.shape[1] for _, part in read], dim=1)
        return Encoded(
            given=torch.cat([given for given, _ in read], dim=1),
            tokens=torch.cat([part[:, 1:] for part in parts], dim=1),
            summaries=torch.stack([part[:, 0] for part in parts], dim=1),
        )


class CrossDomainDecoder(nn.Module):
    """All patches of all domains, from the tokens of those that were kept."""

    def __init__(
        self, encoder: EncoderParams, counts: Sequence[int], patch: int, depth: int
    ) -> None:
        super().__init__()
        size = SIZES[encoder.size]
        self.domains = nn.ModuleList(_Hidden(size.width, count) for count in counts)
        self.blocks = stack(size.width, size.heads, depth)
        self.norm = nn.LayerNorm(size.width)
        self.leave = nn.ModuleList(nn.Linear(size.width, len(LEADS) * patch) for _ in counts)

    def forward(self, encoded: Encoded, kept: Kept) -> Patches:
        """Every patch in its own place, whether it was kept or not."""
        parts = encoded.tokens.split([place.shape[1] for place in kept], dim=1)
        whole = [d(p, k) for d, p, k in zip(self.domains, parts, kept, strict=True)]
        tokens = torch.cat([encoded.summaries, *whole], dim=1)
        tokens = self.blocks(tokens)
        tokens = self.norm(tokens[:, len(DOMAINS) :])
        shown = zip(self.leave, tokens.split([p.shape[1] for p in whole], dim=1), strict=True)
        return [leave(part).unflatten(2, (len(LEADS), -1)) for leave, part in shown]


class _Domain(nn.Module):
    """Tokens of one domain: its CLS token, and a convolutional network's summary of each patch."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.network = resnet18(width // 8)
        self.position = _embedding(count, width)
        self.kind = _embedding(width)
        self.summary = _embedding(width)

    def forward(
        self,
        patches: Float[Tensor, "batch patch lead inside"],
        kept: Int[Tensor, "batch kept"] | None,
    ) -> tuple[Tensor, Tensor]:
        """Summaries (batch, kept, width), and the tokens (batch, 1 + kept, width) made of them."""
        position: Tensor = self.position
        if kept is not None:
            patches = patches.gather(1, kept[..., None, None].expand(-1, -1, *patches.shape[2:]))
            position = F.embedding(kept, position)
        given = self.network(patches.flatten(0, 1)).mean(dim=2).unflatten(0, patches.shape[:2])
        summary = (self.summary + self.kind).expand(len(patches), 1, -1)
        return given, torch.cat([summary, given + position + self.kind], dim=1)


class _Hidden(nn.Module):
    """One domain as the decoder sees it: kept tokens in their places, mask tokens in the others."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.mask = _embedding(width)
        self.position = _embedding(count, width)

    def forward(
        self, tokens: Float[Tensor, "batch kept width"], kept: Int[Tensor, "batch kept"]
    ) -> Float[Tensor, "batch patch width"]:
        hidden = self.mask.to(tokens.dtype).expand(len(tokens), *self.position.shape)
        place = kept.unsqueeze(-1).expand(-1, -1, hidden.shape[2])
        return hidden.scatter(1, place, tokens) + self.position


def spectral_domains(
    signal: Float[Tensor, "batch lead sample"], leads: Int[Tensor, "batch lead"]
) -> list[Float[Tensor, "batch 12 _"]]:
    """Time, and magnitude and phase of the frequencies above zero, half as many.

    Each has mean 0 and deviation 1 over the record's leads that are given, the magnitude as
    log(1 + magnitude), so that no domain owns the squared error. Leads that are not given are 0.
    """
    time = _standardised(signal)
    spectrum = torch.fft.rfft(time, norm="ortho")[..., 1:]
    magnitude, phase = _standardised(spectrum.abs().log1p()), _standardised(spectrum.angle())
    return [twelve_leads(domain, leads) for domain in (time, magnitude, phase)]


def _standardised(values: Tensor) -> Tensor:
    centred = values - values.mean(dim=(1, 2), keepdim=True)
    return centred / (centred.square().mean(dim=(1, 2), keepdim=True).sqrt() + EPSILON)


def _embedding(*shape: int) -> nn.Parameter:
    """Small, not the unit normal of the public code, in which a record hardly moves its CLS tokens
    before training."""
    return nn.Parameter(EMBEDDING_STD * torch.randn(shape))


def instance_discrimination(
    given: Float[Tensor, "batch token width"], encoded: Float[Tensor, "batch token width"]
) -> Float[Tensor, ""]:
    """CRT's constraint: what goes into the transformer at one place of a record is unlike what
    comes out at the others.

    Args:
        given, encoded: projections of a record's tokens before and after the transformer, in the
            same order, not normalised.

    Returns:
        The mean over records of the log of the sum of exp(cosine) over all pairs of different
        places; for n tokens between log(n(n - 1)) - 1 and log(n(n - 1)) + 1.
    """
    cosine = F.normalize(given, dim=2) @ F.normalize(encoded, dim=2).transpose(1, 2)
    itself = torch.eye(cosine.shape[1], dtype=torch.bool, device=cosine.device)
    return cosine.masked_fill(itself, -torch.inf).flatten(1).logsumexp(dim=1).mean()
