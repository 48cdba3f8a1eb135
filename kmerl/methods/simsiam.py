"""SimSiam (Chen and He, CVPR 2021): predict the other view's projection, which does not learn."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kmerl import methods
from kmerl.losses import negative_cosine
from kmerl.models.backbone import Backbone, ResidualBlock, twelve_lead_encoder
from kmerl.models.heads import mlp
from kmerl.models.inputs import Batch
from kmerl.models.views import ViewOptions, two_views
from kmerl.models.vit import EncoderParams, pool
from kmerl.params import Count, checked


@checked
class Options(ViewOptions):
    """The views of `ViewOptions`, and:"""

    backbone: Backbone = "resnet18"  # our choice; what Table 1 used is not known
    hidden: Count = 2048  # of the three-layer projector; the code: the encoder's width, also 2048
    out: Count = 2048  # the code's
    bottleneck: Count = 512  # of the predictor; the code's

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bottleneck > self.out:
            raise ValueError(f"bottleneck={self.bottleneck} is wider than out={self.out}")


class Method(methods.Method):
    def __init__(self, encoder: EncoderParams, options: Options, record_samples: int) -> None:
        super().__init__()
        self.options = options
        hidden, out = options.hidden, options.out
        self.encoder = twelve_lead_encoder(options.backbone, encoder, record_samples)
        self.projector = mlp(self.encoder.width, hidden, hidden, out=out, last="norm without scale")
        self.predictor = mlp(out, options.bottleneck, out=out, last="linear with bias")
        for block in self.encoder.modules():
            if isinstance(block, ResidualBlock):  # starts as its shortcut, as in the code
                nn.init.zeros_(block.norm.weight)

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Negative cosine between prediction and projection, mean of both directions: -1 to 1."""
        one, two = (
            self.projector(pool(self.encoder(view, batch.leads)))
            for view in two_views(batch.signal, self.options, generator)
        )
        forth = negative_cosine(self.predictor(one), two)
        back = negative_cosine(self.predictor(two), one)
        return {"prediction": (forth + back) / 2}
