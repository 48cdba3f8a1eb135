"""ASTCL (Wang N. et al., IEEE TNNLS 2024), from its abstract: adversarial, spatiotemporal.

Only the abstract was at hand. From it: a view with more noise and one with less; a discriminator
that tells them apart by their features against an encoder that lets it fail; prediction in space
and time together with patient discrimination; positives of one patient and no negatives; a
predictor and a stop-gradient, on either view in turn, against collapse. The rest is our reading:
filters, networks, losses and every number below. A result of it is not ASTCL's.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kmerl.losses import negative_cosine
from kmerl.losses_parts import patient_cosine
from kmerl.models.backbone import Backbone, twelve_lead_encoder
from kmerl.models.foresight import Foresight, ForesightOptions
from kmerl.models.heads import mlp
from kmerl.models.inputs import Batch
from kmerl.models.norm import BatchNorm
from kmerl.models.perturbations import band_pass, deviation, ecg_noise
from kmerl.models.reversal import reverse_gradient
from kmerl.models.vit import EncoderParams, pool
from kmerl.params import Count, Positive, checked


@checked
class Options(ForesightOptions):
    """Steps and transformer of `ForesightOptions`, and, all ours:"""

    backbone: Backbone = "resnet18"  # our choice; what Table 1 used is not known
    hidden: Count = 2048  # of projector and predictor, as the other methods here
    out: Count = 256
    prediction: float = 1.0  # weight of the foretold steps
    patients: float = 1.0  # weight of patient discrimination
    adversary: float = 0.1  # largest share of the discriminator's gradient, reversed, that the
    # encoder gets; it rises to it as in Ganin and Lempitsky (ICML 2015); 0 leaves the game out
    rate: Count = 500  # Hz of the records; always ingest.rate, whatever stands here
    snr_min: float = 5.0  # dB, of the noisy view
    snr_max: float = 20.0
    low: Positive = 0.5  # Hz, pass band of the denoised view
    high: float = 40.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.snr_min > self.snr_max:
            raise ValueError(f"snr_min={self.snr_min} is above snr_max={self.snr_max}")
        if self.low >= self.high:
            raise ValueError(f"low={self.low} must be below high={self.high}")


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
        hidden, out = self.options.hidden, self.options.out
        self.encoder = twelve_lead_encoder(self.options.backbone, params.encoder, record_samples)
        width = self.encoder.width
        self.foresight = Foresight(self.encoder, record_samples, self.options)
        self.centre = BatchNorm(width, affine=False)
        self.projector = mlp(width, hidden, out=out, last="norm without scale")
        self.predictor = mlp(out, hidden, out=out, last="linear with bias")
        self.discriminator = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.reversed = 0.0

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Cosines of prediction and of patients, -1 to 1 each, and what the discriminator loses,
        log 2 where it cannot tell."""
        views = two_views(batch.signal, self.options, generator)
        tokens = [self.encoder(view, batch.leads) for view in views]
        noisy, clean = (self.foresight.steps_of(view) for view in tokens)
        foretold = self._foretell(noisy, clean, generator) + self._foretell(clean, noisy, generator)
        features = [pool(view) for view in tokens]
        one, two = (self.projector(feature) for feature in features)
        same = patient_cosine(self.predictor(one), two, batch.patient)
        same = same + patient_cosine(self.predictor(two), one, batch.patient)
        terms = {
            "prediction": self.options.prediction * foretold / 2,
            "patients": self.options.patients * same / 2,
        }
        if self.options.adversary:
            terms["adversary"] = self._told_apart(*features)
        return terms

    def advance(self, progress: float) -> None:
        """Let the encoder feel more of the discriminator, from nothing to `options.adversary`."""
        self.reversed = self.options.adversary * math.tanh(5 * progress)

    def _foretell(self, read: Tensor, other: Tensor, generator: torch.Generator) -> Tensor:
        """How far one view's past is from foretelling the other's steps, about their mean."""
        moment = self.foresight.draw_moment(generator, read.device)
        _, foretold = self.foresight(read, moment)
        came = self.centre(other.transpose(1, 2)).transpose(1, 2)
        future = self.foresight.future(came, moment)
        return negative_cosine(foretold.flatten(0, 1), future.flatten(0, 1))

    def _told_apart(self, noisy: Tensor, clean: Tensor) -> Tensor:
        """The discriminator's cross-entropy; the encoder learns its opposite."""
        both = reverse_gradient(torch.cat([noisy, clean]), self.reversed)
        truth = torch.ones(len(both), 1, device=both.device)
        truth[len(noisy) :] = 0
        return F.binary_cross_entropy_with_logits(self.discriminator(both), truth.to(both.dtype))


def two_views(
    signal: Float[Tensor, "batch lead sample"], options: Options, generator: torch.Generator
) -> tuple[Float[Tensor, "batch lead sample"], Float[Tensor, "batch lead sample"]]:
    """With noise of recordings, and without: filtered. Both have the record's own level and
    deviation, so that the discriminator does not tell them by their size."""
    level, unit = signal.mean(dim=2, keepdim=True), deviation(signal)
    still = signal - level
    added = ecg_noise(still, options.rate, options.snr_min, options.snr_max, generator)
    passed = band_pass(still, options.rate, options.low, options.high)
    noisy, clean = (view * (unit / deviation(view)) for view in (still + added, passed))
    return noisy + level, clean + level
