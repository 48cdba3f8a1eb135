"""The encoders that read twelve leads together, by name."""

from typing import Literal

from kmerl.models.resnet import ResNet
from kmerl.models.vit import EncoderParams
from kmerl.models.vit12 import TwelveLeadViT

Backbone = Literal["resnet18", "vit"]


def twelve_lead_encoder(
    kind: Backbone, encoder: EncoderParams, record_samples: int
) -> ResNet | TwelveLeadViT:
    """A new encoder of `encoder.size`: ResNet18 or the ViT of MERL."""
    return ResNet(encoder) if kind == "resnet18" else TwelveLeadViT(encoder, record_samples)
