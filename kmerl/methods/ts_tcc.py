"""TS-TCC (Eldele et al., IJCAI 2021): a weak and a strong view foretell each other's next steps."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kmerl import methods
from kmerl.distributed import gather, own, rank
from kmerl.losses import nt_xent
from kmerl.models.backbone import Backbone, twelve_lead_encoder
from kmerl.models.foresight import Foresight, ForesightOptions
from kmerl.models.heads import mlp
from kmerl.models.inputs import Batch
from kmerl.models.views import Signal, deviation, noise, scale
from kmerl.models.vit import EncoderParams
from kmerl.params import Count, Factor, Positive, PositiveOrZero, checked


@checked
class Options(ForesightOptions):
    """Steps and transformer of `ForesightOptions`, and:"""

    backbone: Backbone = "resnet18"  # our choice; the code: three convolutions of its own
    hidden: Count = 64  # of the head of the contextual contrast; the code's
    out: Count = 32  # the code's
    temperature: Positive = 0.2  # of the contextual contrast; the code's
    temporal: PositiveOrZero = 1.0  # weight of the temporal contrast, lambda 1; the code's
    context: PositiveOrZero = 0.7  # weight of the contextual contrast, lambda 2; the code's
    gain: Factor = 1.25  # weak view: a lead times 1/gain to gain; the code, not for ECGs: N(2, .001
    # to 1.5), which doubles a signal and may turn it over
    segments: Count = 8  # strong view: most segments that are shuffled; the code: 4 to 11
    noise: PositiveOrZero = 0.1  # both (the code: strong alone): largest deviation, of the record's
    # own; the code: .001 to 2 of its data's units


class Method(methods.Method):
    def __init__(self, encoder: EncoderParams, options: Options, record_samples: int) -> None:
        super().__init__()
        self.options = options
        self.encoder = twelve_lead_encoder(options.backbone, encoder, record_samples)
        self.foresight = Foresight(self.encoder, record_samples, options)
        widths = options.context_width, options.hidden
        self.project_context = mlp(*widths, out=options.out, last="linear with bias")

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Temporal contrast, summed over both directions, and contextual contrast."""
        views = two_views(batch.signal, self.options, generator)
        weak, strong = (self.foresight.steps_of(self.encoder(v, batch.leads)) for v in views)
        weak_context, strong_came = self._contrast(weak, strong, generator)
        strong_context, weak_came = self._contrast(strong, weak, generator)
        one, two = (self.project_context(seen) for seen in (weak_context, strong_context))
        agree = nt_xent(one, two, self.options.temperature)
        return {
            "temporal": self.options.temporal * (strong_came + weak_came),
            "context": self.options.context * agree,
        }

    def _contrast(
        self, read: Tensor, other: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Context of one view up to a drawn moment, and how well it foretells the other's steps."""
        moment = self.foresight.draw_moment(generator)
        context, foretold = self.foresight(read, moment)
        return context, step_contrast(foretold, self.foresight.future(other, moment))


def two_views(
    signal: Signal, options: Options, generator: torch.Generator
) -> tuple[Signal, Signal]:
    """Weak: leads scaled, and noise. Strong: time in segments, shuffled alike in all leads, and
    noise (the public code copies the first lead into all others)."""
    level = signal.mean(dim=2, keepdim=True)
    weak = scale(signal - level, options.gain, generator)
    strong = permute(signal - level, options.segments, generator)
    unit = deviation(signal)
    weak, strong = (v + unit * noise(v, options.noise, generator) for v in (weak, strong))
    return weak + level, strong + level


def permute(signal: Signal, most: int, generator: torch.Generator) -> Signal:
    """Each record cut at random into one to `most` segments, put together in a random order, which
    is the same for all its leads."""
    batch, _, samples = signal.shape
    device = signal.device
    count = own(lambda rows: torch.randint(1, most + 1, (rows, 1), generator=generator), batch)
    last = max(samples, 2)
    cuts = own(lambda rows: torch.randint(1, last, (rows, most - 1), generator=generator), batch)
    cuts = cuts.masked_fill(torch.arange(1, most) >= count, samples).to(device)
    drawn = own(lambda rows: torch.rand(rows, most, generator=generator), batch)
    order = drawn.argsort(dim=1).to(device)
    place = torch.arange(samples, device=device)
    segment = (place[None, :, None] >= cuts[:, None, :]).sum(dim=2)
    moved = order.gather(1, segment).argsort(dim=1, stable=True)
    return signal.gather(2, moved.unsqueeze(1).expand_as(signal))


def step_contrast(
    foretold: Float[Tensor, "local step width"], future: Float[Tensor, "local step width"]
) -> Float[Tensor, ""]:
    """TS-TCC's temporal contrast: which record's step came, of all records' steps at that time?

    The score is the plain product, without temperature; chance is log(N) for N records. The sum
    runs over the futures, as in the paper; the public code's runs over the predictions.

    Args:
        foretold: predictions of later steps; the same steps for all records of all processes.
        future: what came.
    """
    scores = torch.einsum("isw,jsw->sij", foretold, gather(future))
    place = torch.arange(len(foretold), device=foretold.device) + rank() * len(foretold)
    return F.cross_entropy(scores.flatten(0, 1), place.repeat(len(scores)))
