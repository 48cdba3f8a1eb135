"""The initial weights, untrained: what an architecture gives by itself (Table 1, Random Init).

Frozen, it is the reference that a linear probe of pretrained features has to beat; trained from
labels, it is the stage fine_tune's start from scratch.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
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


@checked
class MethodParams:
    """Sections of params.yaml that make the model."""

    encoder: EncoderParams
    options: Options


class Method(methods.Method):
    """An encoder with nothing to learn: the weights that other methods start from, of one seed."""

    untrained = True

    def __init__(
        self, params: MethodParams, _entities: Float[Tensor, "query text"], record_samples: int
    ) -> None:
        super().__init__()
        backbone = params.options.backbone
        if backbone == "lead_tokens":
            self.encoder = LeadEncoder(params.encoder, record_samples)
        else:
            self.encoder = twelve_lead_encoder(backbone, params.encoder, record_samples)

    def forward(self, _batch: Batch, _generator: torch.Generator) -> Mapping[str, Tensor]:
        """No loss term."""
        return {}
