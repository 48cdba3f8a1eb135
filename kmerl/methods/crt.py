"""CRT (Zhang et al., TNNLS 2023): patches of time and of spectrum are dropped and reconstructed."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kmerl.losses_reconstruction import instance_discrimination
from kmerl.models.crt_network import CrossDomainDecoder, CrossDomainEncoder
from kmerl.models.inputs import Batch
from kmerl.models.masking import draw_segments
from kmerl.models.vit import EncoderParams
from kmerl.params import Count, ShareBelowOne, checked


@checked
class Options:
    """Patches, how many are dropped in the course of training, and the decoder."""

    patch: Count = 20  # samples, or frequencies; the code's. 250 + 125 + 125 patches of 10 s
    drop_first: ShareBelowOne = 0.3  # of patches that are dropped until so much of training is done
    drop_last: ShareBelowOne = 0.8  # the share grows with it up to this; both the code's
    constraint: float = 1e-4  # weight of instance discrimination; the code's
    decoder_depth: Count = 2  # the code's

    def __post_init__(self) -> None:
        if self.drop_first > self.drop_last:
            raise ValueError(f"drop_first={self.drop_first} is above drop_last={self.drop_last}")


@checked
class MethodParams:
    """Sections of params.yaml that make the model."""

    encoder: EncoderParams
    options: Options


class Method(nn.Module):
    """Batch in, loss terms out; `.encoder` is what evaluation freezes."""

    def __init__(
        self, params: MethodParams, _entities: Float[Tensor, "query text"], record_samples: int
    ) -> None:
        super().__init__()
        self.options = params.options
        patch, depth = self.options.patch, self.options.decoder_depth
        self.encoder = CrossDomainEncoder(params.encoder, record_samples, patch)
        self.decoder = CrossDomainDecoder(params.encoder, self.encoder.counts, patch, depth)
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
