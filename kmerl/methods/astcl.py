"""ASTCL (Wang N. et al., IEEE TNNLS 2024), from its abstract: adversarial, spatiotemporal.

Only the abstract was at hand. From it: a view with more noise and one with less; a discriminator
that tells them apart by their features against an encoder that lets it fail; prediction in space
and time together with patient discrimination; positives of one patient and no negatives; a
predictor and a stop-gradient, on either view in turn, against collapse. The rest is our reading:
filters, networks, losses and every number below. A result of it is not ASTCL's.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kmerl import methods
from kmerl.distributed import gather, own
from kmerl.losses import negative_cosine, patient_shares
from kmerl.models.backbone import Backbone, twelve_lead_encoder
from kmerl.models.foresight import Foresight, ForesightOptions
from kmerl.models.heads import mlp
from kmerl.models.inputs import Batch
from kmerl.models.norm import BatchNorm
from kmerl.models.views import Signal, deviation, uniform, white_noise
from kmerl.models.vit import EncoderParams, pool
from kmerl.params import Count, Decibel, Positive, PositiveOrZero, checked

WANDER = 0.5  # Hz, highest frequency of baseline wander
MUSCLE = (20.0, 150.0)  # Hz, band of an electromyogram that a recorder lets through
MAINS = (50.0, 60.0)  # Hz
ORDER = 4  # of the band-pass: how steep its flanks are


@checked
class Options(ForesightOptions):
    """Steps and transformer of `ForesightOptions`, and, all ours:"""

    backbone: Backbone = "resnet18"  # our choice; what Table 1 used is not known
    hidden: Count = 2048  # of projector and predictor, as the other methods here
    out: Count = 256
    prediction: PositiveOrZero = 1.0  # weight of the foretold steps
    patients: PositiveOrZero = 1.0  # weight of patient discrimination
    adversary: PositiveOrZero = 0.1  # largest share of the discriminator's gradient, reversed, that
    # the encoder gets; it rises to it as in Ganin and Lempitsky (ICML 2015); 0 leaves the game out
    rate: Count = 500  # Hz of the records; always ingest.rate, whatever stands here
    snr_min: Decibel = 5.0  # dB, of the noisy view
    snr_max: Decibel = 20.0
    low: Positive = 0.5  # Hz, pass band of the denoised view
    high: Positive = 40.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.snr_min > self.snr_max:
            raise ValueError(f"snr_min={self.snr_min} is above snr_max={self.snr_max}")
        if self.low >= self.high:
            raise ValueError(f"low={self.low} must be below high={self.high}")


class Method(methods.Method):
    def __init__(self, encoder: EncoderParams, options: Options, record_samples: int) -> None:
        super().__init__()
        self.options = options
        hidden, out = options.hidden, options.out
        self.encoder = twelve_lead_encoder(options.backbone, encoder, record_samples)
        width = self.encoder.width
        self.foresight = Foresight(self.encoder, record_samples, options)
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
        moment = self.foresight.draw_moment(generator)
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
    signal: Signal, options: Options, generator: torch.Generator
) -> tuple[Signal, Signal]:
    """With noise of recordings, and without: filtered. Both have the record's own level and
    deviation, so that the discriminator does not tell them by their size."""
    level, unit = signal.mean(dim=2, keepdim=True), deviation(signal)
    still = signal - level
    added = ecg_noise(still, options.rate, options.snr_min, options.snr_max, generator)
    passed = band_pass(still, options.rate, options.low, options.high)
    noisy, clean = (view * (unit / deviation(view)) for view in (still + added, passed))
    return noisy + level, clean + level


def ecg_noise(
    like: Signal, rate: int, low: float, high: float, generator: torch.Generator
) -> Signal:
    """Noise of recordings: wander of the baseline, muscle, mains and white noise, in proportions of
    each record's own, independent between leads.

    Args:
        like: gives shape, type and device, and with its deviation the unit of the noise.
        rate: Hz; a kind of noise that a record of this rate and length cannot hold is left out.
        low, high: dB, range of the signal-to-noise ratio, drawn for each record.
    """
    batch, _, samples = like.shape
    frequency = torch.fft.rfftfreq(samples, 1 / rate, device=like.device, dtype=like.dtype)
    hertz = rate / samples
    drawn = own(lambda rows: torch.randint(len(MAINS), (rows, 1, 1), generator=generator), batch)
    mains = torch.tensor(MAINS)[drawn]
    away = (frequency - mains.to(like.device, like.dtype)).abs()
    kinds = torch.stack(
        [
            ((frequency > 0) & (frequency <= WANDER)).expand_as(away),
            ((frequency >= MUSCLE[0]) & (frequency <= MUSCLE[1])).expand_as(away),
            (away <= hertz / 2) & (away == away.amin(dim=2, keepdim=True)),
            (frequency > 0).expand_as(away),
        ]
    ).to(like.dtype)
    kinds = kinds / kinds.sum(dim=3, keepdim=True).clamp(min=1)
    power = (uniform(like, (batch, 4, 1, 1), 0.05, 1.0, generator).transpose(0, 1) * kinds).sum(
        dim=0
    )
    spectrum = torch.fft.rfft(white_noise(like, generator), dim=2) * power.sqrt()
    noise = torch.fft.irfft(spectrum, n=samples, dim=2)
    ratio = 10 ** (-uniform(like, (batch, 1, 1), low, high, generator) / 20)
    return noise * (ratio * deviation(like) / deviation(noise))


def band_pass(signal: Signal, rate: int, low: float, high: float) -> Signal:
    """Frequencies from `low` to `high` Hz, by a Butterworth's gains and without its delays.

    A record goes on beyond its end as its mirror image, so that its end does not meet its start.
    """
    samples = signal.shape[2]
    mirrored = torch.cat([signal, signal.flip(2)], dim=2)
    frequency = torch.fft.rfftfreq(2 * samples, 1 / rate, device=signal.device, dtype=signal.dtype)
    gain = (1 + (frequency / high) ** (2 * ORDER)).rsqrt()
    rising = (frequency / low) ** ORDER
    gain = gain * rising / (1 + rising.square()).sqrt()
    return torch.fft.irfft(torch.fft.rfft(mirrored, dim=2) * gain, dim=2)[..., :samples]


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, share: float) -> Tensor:
        ctx.share = share
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.share * gradients[0], None


def reverse_gradient(
    features: Float[Tensor, "*batch width"], share: float
) -> Float[Tensor, "*batch width"]:
    """`features` as they are; of the gradient to them, minus `share` (Ganin and Lempitsky, ICML
    2015): what one network learns, another unlearns."""
    return _Reverse.apply(features, share)


def patient_cosine(
    predicted: Float[Tensor, "local width"],
    target: Float[Tensor, "local width"],
    patient: Int[Tensor, " local"],
) -> Float[Tensor, ""]:
    """`kmerl.losses.negative_cosine` to the targets of all records of the same patient: -1 to 1.

    Targets do not learn; a patient's count alike.
    """
    targets = F.normalize(gather(target.detach()), dim=1)
    wanted = patient_shares(patient, targets.dtype) @ targets
    return -(F.normalize(predicted, dim=1) * wanted).sum(dim=1).mean()
