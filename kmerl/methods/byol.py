"""BYOL (Grill et al., NeurIPS 2020): foretell what a slow copy says of the other view."""

from collections.abc import Mapping

import torch
from torch import Tensor

from kmerl import methods
from kmerl.losses import negative_cosine
from kmerl.models.backbone import Backbone, twelve_lead_encoder
from kmerl.models.heads import mlp
from kmerl.models.inputs import Batch
from kmerl.models.target import Target, momentum_at
from kmerl.models.views import ViewOptions, two_views
from kmerl.models.vit import EncoderParams, pool
from kmerl.params import Count, Share, checked


@checked
class Options(ViewOptions):
    """The views of `ViewOptions`, and:"""

    backbone: Backbone = "resnet18"  # our choice; what Table 1 used is not known
    hidden: Count = 2048  # of projector and predictor; the code: 4096 for features of 2048
    out: Count = 256  # the code's
    momentum: Share = 0.99  # at the start, rising to 1; the code's for 100 epochs (.97 for 40)


class Method(methods.Method):
    def __init__(self, encoder: EncoderParams, options: Options, record_samples: int) -> None:
        super().__init__()
        self.options = options
        hidden, out = options.hidden, options.out
        self.encoder = twelve_lead_encoder(options.backbone, encoder, record_samples)
        self.projector = mlp(self.encoder.width, hidden, out=out)
        self.predictor = mlp(out, hidden, out=out)
        self.target = Target(self.encoder, self.projector)

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Squared distances of unit vectors, summed over both directions: 0 to 8."""
        one, two = two_views(batch.signal, self.options, generator)
        distance = 4 + 2 * (
            negative_cosine(self._predict(one, batch.leads), self.target(two, batch.leads))
            + negative_cosine(self._predict(two, batch.leads), self.target(one, batch.leads))
        )
        return {"prediction": distance}

    def advance(self, progress: float) -> None:
        """Let the target follow the weights that the last step left."""
        self.target.follow(self, momentum_at(self.options.momentum, progress))

    def _predict(self, view: Tensor, leads: Tensor) -> Tensor:
        projected: Tensor = self.predictor(self.projector(pool(self.encoder(view, leads))))
        return projected
