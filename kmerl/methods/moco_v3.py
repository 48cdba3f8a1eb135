"""MoCo-v3 (Chen et al., ICCV 2021): contrast with the keys that a slow copy gives other views."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kmerl import methods
from kmerl.losses import info_nce
from kmerl.models.backbone import Backbone, TwelveLeadViT, twelve_lead_encoder
from kmerl.models.heads import mlp
from kmerl.models.inputs import Batch
from kmerl.models.target import Target, momentum_at
from kmerl.models.views import ViewOptions, two_views
from kmerl.models.vit import EncoderParams, pool
from kmerl.params import Count, Positive, Share, checked


@checked
class Options(ViewOptions):
    """The views of `ViewOptions`, and:"""

    backbone: Backbone = "resnet18"  # our choice; what Table 1 used is not known
    hidden: Count = 2048  # of projector and predictor; the code: 4096 for features of 2048
    out: Count = 256  # the code's
    temperature: Positive = 1.0  # the code's for ResNets; for ViTs 0.2
    momentum: Share = 0.99  # at the start, rising to 1; the code's (.996 for 1000 epochs)


class Method(methods.Method):
    def __init__(self, encoder: EncoderParams, options: Options, record_samples: int) -> None:
        super().__init__()
        self.options = options
        hidden, out = options.hidden, options.out
        self.encoder = twelve_lead_encoder(options.backbone, encoder, record_samples)
        width = self.encoder.width
        if isinstance(self.encoder, TwelveLeadViT):
            _freeze_patches(self.encoder)
            self.projector = mlp(width, hidden, hidden, out=out, last="norm without scale")
            self.predictor = mlp(out, hidden, out=out, last="norm without scale")
        else:
            self.projector = mlp(width, hidden, out=out, last="norm without scale")
            self.predictor = mlp(out, hidden, out=out)
        self.target = Target(self.encoder, self.projector)

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Each view's queries against the other view's keys of all processes, both directions
        summed, times 2T, which keeps the gradient's size at any temperature."""
        views = two_views(batch.signal, self.options, generator)
        one, two = (F.normalize(self._query(view, batch.leads)) for view in views)
        key_one, key_two = (F.normalize(self.target(view, batch.leads)) for view in views)
        temperature = self.options.temperature
        both = info_nce(one, key_two, temperature) + info_nce(two, key_one, temperature)
        return {"contrast": 2 * temperature * both}

    def advance(self, progress: float) -> None:
        """Let the target follow the weights that the last step left."""
        self.target.follow(self, momentum_at(self.options.momentum, progress))

    def _query(self, view: Tensor, leads: Tensor) -> Tensor:
        predicted: Tensor = self.predictor(self.projector(pool(self.encoder(view, leads))))
        return predicted


def _freeze_patches(encoder: TwelveLeadViT) -> None:
    """Random patches that never learn, without which a ViT's training is unstable (its Sec. 4)."""
    nn.init.xavier_uniform_(encoder.tokenizer.project.weight.data.flatten(1))
    encoder.tokenizer.project.requires_grad_(False)
