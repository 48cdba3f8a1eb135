"""K-MERL (Sec. 3): lead tokens, masks, report contrast and the cardiac query network."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kmerl.losses import LossParams, contrastive_loss, query_loss
from kmerl.models.inputs import Batch
from kmerl.models.masking import MaskParams, draw_segments
from kmerl.models.query import QueryNetwork, QueryParams
from kmerl.models.vit import EncoderParams, LeadEncoder, pool
from kmerl.params import checked

PROJECTION_WIDTH = 256


@checked
class MethodParams:
    """Sections of params.yaml that make the model."""

    encoder: EncoderParams
    mask: MaskParams
    query_network: QueryParams
    loss: LossParams


def lead_mask(params: MethodParams) -> MaskParams:
    """Which leads the training reader leaves out (Sec. 3.3)."""
    return params.mask


class Method(nn.Module):
    """Batch in, named loss terms out; `.encoder` is what evaluation freezes."""

    def __init__(
        self, params: MethodParams, entities: Float[Tensor, "query text"], record_samples: int
    ) -> None:
        super().__init__()
        self.mask = params.mask
        self.loss = params.loss
        self.register_buffer("entities", entities)
        text_width = entities.shape[1]
        self.encoder = LeadEncoder(params.encoder, record_samples)
        width = self.encoder.width
        self.query_network = QueryNetwork(params.query_network, text_width, width)
        self.project_ecg = _projector(width)
        self.project_text = _projector(text_width)

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Loss terms, weighted: contrast (Eq. 2) and query (Eq. 3). Their sum is trained.

        Args:
            batch: the leads that dynamic lead masking kept, with text vectors and labels.
            generator: draws the segments that LSM masks (CPU generator).
        """
        tokens = self.encoder(batch.signal, batch.leads, self._kept(batch, generator))
        terms = {}
        if self.loss.contrast:
            contrast = contrastive_loss(
                self.project_ecg(pool(tokens)),
                self.project_text(batch.text),
                self.loss.temperature,
            )
            terms["contrast"] = self.loss.contrast * contrast
        if self.loss.query:
            logits = self.query_network(self.entities, tokens)
            terms["query"] = self.loss.query * query_loss(logits, batch.labels)
        return terms

    def score(
        self,
        tokens: Float[Tensor, "batch token width"],
        *asked: Float[Tensor, "_ text"],
    ) -> list[Float[Tensor, "batch _"]]:
        """Zero-shot logits of F_CQ for any sets of names, each asked on its own (Sec. 4.2.1)."""
        memory = self.query_network.read(tokens)
        return [self.query_network.answer(names, memory) for names in asked]

    def similarity(
        self,
        tokens: Float[Tensor, "batch token width"],
        names: Float[Tensor, "query text"],
    ) -> Float[Tensor, "batch query"]:
        """Zero-shot cosine between projected ECGs and names, as MERL scores."""
        ecg = nn.functional.normalize(self.project_ecg(pool(tokens)), dim=1)
        return ecg @ nn.functional.normalize(self.project_text(names), dim=1).T

    def _kept(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        if not self.mask.segments:
            return None
        records, leads = batch.leads.shape
        kept = draw_segments(
            records,
            self.encoder.rows(leads),
            self.encoder.segments,
            self.mask.segments,
            generator,
            self.mask.per_lead,
        )
        return kept.to(batch.signal.device)


def _projector(width: int) -> nn.Sequential:
    """Non-linear projector P_e or P_t (Sec. 3.5); without batch norm, so that a record's
    projection does not depend on its batch or its process."""
    return nn.Sequential(
        nn.Linear(width, PROJECTION_WIDTH), nn.GELU(), nn.Linear(PROJECTION_WIDTH, PROJECTION_WIDTH)
    )
