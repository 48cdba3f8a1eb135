"""Barlow Twins (Zbontar et al., ICML 2021): each dimension of two views correlates with itself."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from kmerl import methods
from kmerl.distributed import average
from kmerl.models.backbone import Backbone, twelve_lead_encoder
from kmerl.models.heads import mlp
from kmerl.models.inputs import Batch
from kmerl.models.norm import standardise
from kmerl.models.views import ViewOptions, two_views
from kmerl.models.vit import EncoderParams, pool
from kmerl.params import Count, PositiveOrZero, checked


@checked
class Options(ViewOptions):
    """The views of `ViewOptions`, and:"""

    backbone: Backbone = "resnet18"  # our choice; what Table 1 used is not known
    hidden: Count = 2048  # of the three-layer projector; the code: 8192 for features of 2048
    out: Count = 2048
    redundancy: PositiveOrZero = 0.0051  # weight of each off-diagonal square; for `out` 8192


class Method(methods.Method):
    def __init__(self, encoder: EncoderParams, options: Options, record_samples: int) -> None:
        super().__init__()
        self.options = options
        self.encoder = twelve_lead_encoder(options.backbone, encoder, record_samples)
        self.projector = mlp(self.encoder.width, *[options.hidden] * 2, out=options.out)

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """How far the correlation of two views is from the identity."""
        one, two = (
            self.projector(pool(self.encoder(view, batch.leads)))
            for view in two_views(batch.signal, self.options, generator)
        )
        return {"correlation": identity_loss(one, two, self.options.redundancy)}


def identity_loss(
    one: Float[Tensor, "local width"], two: Float[Tensor, "local width"], redundancy: float
) -> Float[Tensor, ""]:
    """Squared distance between the identity and the correlation matrix of two views, over the
    records of all processes; off-diagonal squares are weighted by `redundancy`.

    In full precision: a sum of millions of squares is beyond 16 bits.
    """
    with torch.autocast(one.device.type, enabled=False):
        wide = torch.promote_types(one.dtype, torch.float32)
        one, two = (standardise(view.to(wide))[0] for view in (one, two))
        correlation = average(one.T @ two / len(one))
        diagonal = correlation.diagonal()
        off_diagonal = correlation.square().sum() - diagonal.square().sum()
        return (diagonal - 1).square().sum() + redundancy * off_diagonal
