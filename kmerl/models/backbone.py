"""The encoders that read twelve leads together, by name: MERL's ResNet18 and its ViT."""

import math
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor, nn

from kmerl.leads import LEADS
from kmerl.models.inputs import twelve_leads
from kmerl.models.norm import BatchNorm
from kmerl.models.tokens import JointTokenizer
from kmerl.models.vit import SIZES, Encoder, EncoderParams, LeadEncoder

FIRST_WIDTH = {"nano": 16, "micro": 24}  # ours, for two CPU cores; all larger sizes are MERL's
FIRST_WIDTH_MERL = 64
FIRST_STRIDE = 2
BLOCKS, STRIDES = (2, 2, 2, 2), (1, 2, 2, 2)  # of the four stages, each twice as wide as the last
PATCH = 50  # samples a token of the ViT; MERL's, and not the `encoder.token_samples` of K-MERL

Backbone = Literal["resnet18", "vit"]


def twelve_lead_encoder(kind: Backbone, encoder: EncoderParams, record_samples: int) -> Encoder:
    """A new encoder of `encoder.size`: ResNet18 or the ViT of MERL."""
    return ResNet(encoder) if kind == "resnet18" else TwelveLeadViT(encoder, record_samples)


class ResNet(Encoder):
    """Twelve leads to one token each sixteen samples; the mean over them is the feature.

    Leads that are not given are zero, the mean of a z-scored record. A record of 5,000 samples
    has 313 tokens, of width 512 in MERL's size.
    """

    def __init__(self, encoder: EncoderParams) -> None:
        super().__init__()
        width = FIRST_WIDTH.get(encoder.size, FIRST_WIDTH_MERL)
        self.layers = resnet18(width)
        self.width = width << len(BLOCKS) - 1

    def forward(
        self, signal: Float[Tensor, "batch lead sample"], leads: Int[Tensor, "batch lead"]
    ) -> Float[Tensor, "batch token width"]:
        """Tokens in the order of time."""
        features: Tensor = self.layers(twelve_leads(signal, leads))
        return features.transpose(1, 2)


def resnet18(width: int) -> nn.Sequential:
    """The layers over twelve channels: first `width` wide, eight times that at the end."""
    layers = [_convolution(len(LEADS), width, 7, FIRST_STRIDE), BatchNorm(width), nn.ReLU()]
    width_in = width
    for stage, (blocks, stride) in enumerate(zip(BLOCKS, STRIDES, strict=True)):
        for block in range(blocks):
            layers.append(ResidualBlock(width_in, width << stage, 1 if block else stride))
            width_in = width << stage
    return nn.Sequential(*layers)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, which is projected where the shape changes."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.convolve = nn.Sequential(
            _convolution(width_in, width, 3, stride),
            BatchNorm(width),
            nn.ReLU(),
            _convolution(width, width, 3),
        )
        self.norm = BatchNorm(width)
        self.shortcut = nn.Sequential()
        if stride > 1 or width_in != width:
            self.shortcut = nn.Sequential(
                _convolution(width_in, width, 1, stride), BatchNorm(width)
            )

    def forward(
        self, features: Float[Tensor, "batch width_in sample"]
    ) -> Float[Tensor, "batch width shorter"]:
        mapped = self.norm(self.convolve(features))
        return nn.functional.relu(mapped + self.shortcut(features))


def _convolution(width_in: int, width: int, kernel: int, stride: int = 1) -> nn.Conv1d:
    return nn.Conv1d(width_in, width, kernel, stride, padding=kernel // 2, bias=False)


def token_count(record_samples: int) -> int:
    """Tokens of a record: its samples, halved and rounded up by each convolution with a stride."""
    return -(-record_samples // (FIRST_STRIDE * math.prod(STRIDES)))


class TwelveLeadViT(LeadEncoder):
    """MERL's: twelve leads to one normalised token each fifty samples.

    MERL normalises after the mean over tokens, this encoder before it, as K-MERL's does, so that
    one rule makes the feature of every method.
    """

    def __init__(self, encoder: EncoderParams, record_samples: int) -> None:
        if record_samples % PATCH:
            raise ValueError(
                f"a record of {record_samples} samples is not a multiple of the {PATCH} samples "
                "of a token; change ingest.seconds or ingest.rate"
            )
        width = SIZES[encoder.size].width
        tokenizer = JointTokenizer(width, PATCH, record_samples, temporal_deviation=1.0)
        super().__init__(encoder, record_samples, tokenizer)
