"""ST-MEM (Na et al., ICLR 2024): most patches of each lead are reconstructed from the rest."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kmerl.losses_reconstruction import dropped_error, normalised_patches
from kmerl.models.inputs import Batch
from kmerl.models.masking import draw_segments
from kmerl.models.st_mem_network import LeadDecoder, LeadPatchEncoder
from kmerl.models.vit import EncoderParams
from kmerl.params import Count, ProperShare, checked


@checked
class Options:
    """Patches, how many are dropped, and the decoder that is thrown away after pretraining."""

    patch: Count = 150  # samples: 0.3 s at 500 Hz; the code's 75 at 250 Hz. 33 fit into 10 s
    drop: ProperShare = 0.75  # share of each lead's patches, drawn lead by lead; the code's
    decoder_width: Count = 256  # the code's; a narrower encoder has a decoder of its own width
    decoder_depth: Count = 4  # the code's


@checked
class MethodParams:
    """Sections of params.yaml that make the model."""

    encoder: EncoderParams
    options: Options


class Method(nn.Module):
    """Batch in, loss out; `.encoder` is what evaluation freezes."""

    def __init__(
        self, params: MethodParams, _entities: Float[Tensor, "query text"], record_samples: int
    ) -> None:
        super().__init__()
        self.options = params.options
        patch = self.options.patch
        self.encoder = LeadPatchEncoder(params.encoder, record_samples, patch)
        self.decoder = LeadDecoder(
            params.encoder,
            self.options.decoder_width,
            self.options.decoder_depth,
            self.encoder.segments,
            patch,
        )

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
