"""The initial weights, untrained: what an architecture gives by itself (Table 1, Random Init).

Frozen, it is the reference that a linear probe of pretrained features has to beat; trained from
labels, it is the stage fine_tune's start from scratch.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from kmerl import methods
from kmerl.models.backbone import twelve_lead_encoder
from kmerl.models.inputs import Batch
from kmerl.models.vit import EncoderParams, LeadEncoder
from kmerl.params import checked


@checked
class Options:
    """Which network."""

    backbone: Literal["resnet18", "vit", "lead_tokens"] = "resnet18"  # lead_tokens: K-MERL's


class Method(methods.Method):
    """An encoder with nothing to learn: the weights that other methods start from, of one seed."""

    untrained = True

    def __init__(self, encoder: EncoderParams, options: Options, record_samples: int) -> None:
        super().__init__()
        if options.backbone == "lead_tokens":
            self.encoder = LeadEncoder(encoder, record_samples)
        else:
            self.encoder = twelve_lead_encoder(options.backbone, encoder, record_samples)

    def forward(self, _batch: Batch, _generator: torch.Generator) -> Mapping[str, Tensor]:
        """No loss term."""
        return {}
