"""The ECG encoder F_E: what it promises, and K-MERL's, a pre-norm vision transformer."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kmerl.models.tokens import EMBEDDING_STD, JointTokenizer, LeadTokenizer
from kmerl.params import Count, checked


@dataclass(frozen=True)
class Size:
    """Width, depth and heads of a transformer."""

    width: int
    depth: int
    heads: int


SIZES = {
    "nano": Size(96, 3, 3),  # nano and micro are ours, for two CPU cores
    "micro": Size(128, 4, 4),
    "tiny": Size(192, 12, 3),
    "small": Size(384, 12, 6),
    "middle": Size(512, 12, 8),
    "base": Size(768, 12, 12),
}
MLP_RATIO = 4


@checked
class EncoderParams:
    """The `encoder` section of params.yaml."""

    size: Literal["nano", "micro", "tiny", "small", "middle", "base"]
    tokens: Literal["lead", "joint"]
    token_samples: Count
    lead_embedding: bool
    temporal_embedding: bool


class Block(nn.Module):
    """Pre-norm self-attention and MLP; `mlp` is its hidden width, four times `width` if None."""

    def __init__(self, width: int, heads: int, mlp: int | None = None) -> None:
        super().__init__()
        hidden = MLP_RATIO * width if mlp is None else mlp
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(
        self, tokens: Float[Tensor, "batch token width"]
    ) -> Float[Tensor, "batch token width"]:
        batch, count, width = tokens.shape
        qkv = self.qkv(self.norm_attention(tokens))
        qkv = qkv.view(batch, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(batch, count, width))
        return tokens + self.mlp(self.norm_mlp(tokens))


def stack(width: int, heads: int, depth: int, mlp: int | None = None) -> nn.Sequential:
    """`depth` blocks, one after the other."""
    return nn.Sequential(*(Block(width, heads, mlp) for _ in range(depth)))


def compile_blocks(model: nn.Module) -> None:
    """Let torch compile each `Block` of a model, in place: names of weights stay. One compilation
    serves them all, and all numbers of tokens."""
    for module in model.modules():
        if isinstance(module, Block):
            module.compile(dynamic=True)


class Encoder(nn.Module, ABC):
    """F_E of any method: leads in, tokens out, whose mean is the record's feature (see `pool`)."""

    width: int
    """Of a token."""

    @abstractmethod
    def forward(
        self, signal: Float[Tensor, "batch lead sample"], leads: Int[Tensor, "batch lead"]
    ) -> Float[Tensor, "batch token width"]:
        """Tokens of the leads that are there, whatever their number and order.

        Args:
            signal: normalised signal.
            leads: each lead's index into `kmerl.leads.LEADS`: a lead goes by its name.
        """


Tokenizer = LeadTokenizer | JointTokenizer


class LeadEncoder(Encoder):
    """K-MERL's (Sec. 3.2, Fig. 8): any subset of leads to normalised tokens z_e, cut as section
    `encoder` says or by a given tokenizer."""

    def __init__(
        self, encoder: EncoderParams, record_samples: int, tokenizer: Tokenizer | None = None
    ) -> None:
        super().__init__()
        size = SIZES[encoder.size]
        self.width = size.width
        self.tokenizer = tokenizer or _tokenizer(encoder, record_samples)
        self.blocks = stack(size.width, size.heads, size.depth)
        self.norm = nn.LayerNorm(size.width)

    @property
    def segments(self) -> int:
        """Tokens a lead, or where `encoder.tokens` is joint, of all leads together."""
        return self.tokenizer.segments

    def rows(self, leads: int) -> int:
        """Rows of `segments` tokens that so many leads are cut into."""
        return self.tokenizer.rows(leads)

    def forward(
        self,
        signal: Float[Tensor, "batch lead sample"],
        leads: Int[Tensor, "batch lead"],
        kept: Int[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Encoded tokens; see `LeadTokenizer.forward` for the arguments."""
        return self.norm(self.blocks(self.tokenizer(signal, leads, kept)))


def _tokenizer(encoder: EncoderParams, record_samples: int) -> Tokenizer:
    width, temporal = SIZES[encoder.size].width, encoder.temporal_embedding
    if encoder.tokens == "joint":
        deviation = EMBEDDING_STD if temporal else None
        return JointTokenizer(width, encoder.token_samples, record_samples, deviation)
    return LeadTokenizer(
        width, encoder.token_samples, record_samples, encoder.lead_embedding, temporal
    )


def pool(tokens: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch width"]:
    """AvgPool of Sec. 3.5: the record's feature, also the linear probe's input."""
    return tokens.mean(dim=1)
