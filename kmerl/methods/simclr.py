"""SimCLR (Chen et al., ICML 2020): two views of a record agree, against all other records."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from kmerl import methods
from kmerl.losses import nt_xent
from kmerl.models.backbone import Backbone, twelve_lead_encoder
from kmerl.models.heads import mlp
from kmerl.models.inputs import Batch
from kmerl.models.views import ViewOptions, two_views
from kmerl.models.vit import EncoderParams, pool
from kmerl.params import Count, Positive, checked


@checked
class Options(ViewOptions):
    """The views of `ViewOptions`, and:"""

    backbone: Backbone = "resnet18"  # our choice; what Table 1 used is not known
    hidden: Count = 2048  # of the three-layer projector; the code: the encoder's width, also 2048
    out: Count = 128  # the code's
    temperature: Positive = 0.1  # the code's default for ImageNet; CIFAR and Mehari's ECGs: 0.5
    same_patient: Literal["negative", "ignored"] = "negative"  # a patient's other records


class Method(methods.Method):
    def __init__(self, encoder: EncoderParams, options: Options, record_samples: int) -> None:
        super().__init__()
        self.options = options
        self.encoder = twelve_lead_encoder(options.backbone, encoder, record_samples)
        hidden = options.hidden
        self.projector = mlp(self.encoder.width, hidden, hidden, out=options.out, last="norm")

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The contrast between two views, drawn from `generator`, over all processes."""
        views = torch.cat(two_views(batch.signal, self.options, generator))
        projected = self.projector(pool(self.encoder(views, batch.leads.repeat(2, 1))))
        patient = batch.patient if self.options.same_patient == "ignored" else None
        one, two = projected.chunk(2)
        return {"contrast": nt_xent(one, two, self.options.temperature, patient)}
