"""MERL's vision transformer: each token is a segment of all twelve leads together."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from kmerl.models.tokens import JointTokenizer
from kmerl.models.vit import SIZES, Block, EncoderParams

PATCH = 50  # samples a token; MERL's, and not the `encoder.token_samples` of K-MERL


class TwelveLeadViT(nn.Module):
    """Twelve leads to one normalised token each fifty samples; their mean is the feature.

    MERL normalises after the mean over tokens, this encoder before it, as K-MERL's does, so that
    one rule makes the feature of every method.
    """

    def __init__(self, encoder: EncoderParams, record_samples: int) -> None:
        super().__init__()
        if record_samples % PATCH:
            raise ValueError(
                f"a record of {record_samples} samples is not a multiple of the {PATCH} samples "
                "of a token; change ingest.seconds or ingest.rate"
            )
        size = SIZES[encoder.size]
        self.width = size.width
        self.tokenizer = JointTokenizer(size.width, PATCH, record_samples, temporal_deviation=1.0)
        self.blocks = nn.ModuleList(Block(size.width, size.heads) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.width)

    def forward(
        self, signal: Float[Tensor, "batch lead sample"], leads: Int[Tensor, "batch lead"]
    ) -> Float[Tensor, "batch token width"]:
        """Tokens in the order of time.

        Args:
            signal: normalised signal, any number of leads.
            leads: each lead's index into `kmerl.leads.LEADS`.
        """
        tokens = self.tokenizer(signal, leads)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)
