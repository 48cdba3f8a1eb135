"""K-MERL (Sec. 3): lead tokens, masks, report contrast and the cardiac query network."""

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kmerl import methods
from kmerl.losses import contrastive_loss
from kmerl.models.dropout import Dropout
from kmerl.models.inputs import Batch
from kmerl.models.masking import MaskParams, draw_segments
from kmerl.models.vit import EncoderParams, LeadEncoder, pool
from kmerl.params import Count, CountOrZero, Positive, PositiveOrZero, ShareBelowOne, checked

PROJECTION_WIDTH = 256

Memory = tuple[Tensor, Tensor]
"""Keys and values, each (record, head, token, width of a head)."""


@checked
class QueryParams:
    """The `query_network` section of params.yaml."""

    width: Count
    layers: Count
    heads: Count
    mlp: Count
    dropout: ShareBelowOne
    self_attention: bool
    asked: CountOrZero
    companies: bool
    context: Literal["asked", "entities"]
    head: Literal["logit", "two_way"]
    shared_norm: bool

    def __post_init__(self) -> None:
        if self.heads > self.width:
            raise ValueError(f"heads={self.heads} are more than width={self.width}")
        for key, chosen in (
            ("context=entities", self.context == "entities"),
            ("companies=true", self.companies),
        ):
            if chosen and not self.self_attention:
                raise ValueError(
                    f"{key} needs self_attention=true: without it no name sees another"
                )


@checked
class LossParams:
    """The `loss` section of params.yaml; a weight of 0 removes the term (Table 2a)."""

    contrast: PositiveOrZero
    query: PositiveOrZero
    temperature: Positive


class Method(methods.Method):
    encoder: LeadEncoder
    entities: Tensor

    def __init__(
        self,
        encoder: EncoderParams,
        mask: MaskParams,
        query_network: QueryParams,
        loss: LossParams,
        entities: Float[Tensor, "query text"],
        record_samples: int,
    ) -> None:
        super().__init__()
        self.mask = mask
        self.loss = loss
        self.asked = query_network.asked or len(entities)
        self.companies = query_network.companies
        self.context = query_network.context
        self.register_buffer("entities", entities)
        text_width = entities.shape[1]
        self.encoder = LeadEncoder(encoder, record_samples)
        width = self.encoder.width
        self.query_network = QueryNetwork(query_network, text_width, width)
        self.project_ecg = _projector(width)
        self.project_text = _projector(text_width)

    @staticmethod
    def lead_mask(sections: Mapping[str, Any]) -> MaskParams:
        """Which leads the training reader leaves out (Sec. 3.3)."""
        mask: MaskParams = sections["mask"]
        return mask

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Contrast (Eq. 2) and query (Eq. 3); `generator` draws the segments that LSM masks, the
        entities that are asked, and their companies."""
        return self.compare(self.represent(batch, generator), batch, generator)

    def represent(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Each record's feature, and what F_CQ answers to the names asked, beside the truth."""
        tokens = self.encoder(batch.signal, batch.leads, self._kept(batch, generator))
        found = {"feature": pool(tokens)}
        if self.loss.query:
            asked = self._asked(generator)
            visible = self._companies(asked, generator) if self.companies else None
            found["logits"] = self.query_network(self.entities[asked], tokens, visible)
            found["labels"] = batch.labels[:, asked]
        return found

    def compare(
        self, found: Mapping[str, Tensor], batch: Batch, _generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """The loss terms of what `represent` found."""
        terms = {}
        if self.loss.contrast:
            ecg, text = self.project_ecg(found["feature"]), self.project_text(batch.text)
            contrast = contrastive_loss(ecg, text, self.loss.temperature)
            terms["contrast"] = self.loss.contrast * contrast
        if self.loss.query:
            terms["query"] = self.loss.query * query_loss(found["logits"], found["labels"])
        return terms

    @property
    def company_matters(self) -> bool:
        return self.query_network.self_attention and self.context == "asked"

    def score(
        self, tokens: Float[Tensor, "batch token width"], *asked: Float[Tensor, "_ text"]
    ) -> list[Float[Tensor, "batch _"]]:
        """Zero-shot logits of F_CQ for any sets of names, each asked on its own (Sec. 4.2.1)."""
        memory = self.query_network.read(tokens)
        context = self.entities if self.context == "entities" else None
        return [self.query_network.answer(names, memory, context) for names in asked]

    def similarity(
        self, tokens: Float[Tensor, "batch token width"], names: Float[Tensor, "query text"]
    ) -> Float[Tensor, "batch query"]:
        """Zero-shot cosine between projected ECGs and names, as MERL scores."""
        ecg = F.normalize(self.project_ecg(pool(tokens)), dim=1)
        return ecg @ F.normalize(self.project_text(names), dim=1).T

    def _asked(self, generator: torch.Generator) -> Int[Tensor, " query"]:
        """The entities of this step: all in their order, or so many at random."""
        every = len(self.entities)
        if self.asked >= every:
            return torch.arange(every, device=self.entities.device)
        drawn = torch.randperm(every, generator=generator)[: self.asked]
        return drawn.to(self.entities.device)

    def _companies(
        self, asked: Int[Tensor, " query"], generator: torch.Generator
    ) -> Bool[Tensor, "query query"]:
        """Who sees whom: names are dealt at random into companies of one size, which is drawn
        log-uniformly from one up, so that every name is often alone, and often among all."""
        count = len(asked)
        size = int((count + 1) ** float(torch.rand((), generator=generator, dtype=torch.float64)))
        company = torch.randperm(count, generator=generator) // size
        return (company[:, None] == company).to(asked.device)

    def _kept(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        if not self.mask.segments:
            return None
        records, leads = batch.leads.shape
        tokens = records, self.encoder.rows(leads), self.encoder.segments
        kept = draw_segments(*tokens, self.mask.segments, generator, self.mask.per_lead)
        return kept.to(batch.signal.device)


def _projector(width: int) -> nn.Sequential:
    """Non-linear projector P_e or P_t (Sec. 3.5); without batch norm, so that a record's
    projection does not depend on its batch or its process."""
    return nn.Sequential(
        nn.Linear(width, PROJECTION_WIDTH), nn.GELU(), nn.Linear(PROJECTION_WIDTH, PROJECTION_WIDTH)
    )


class QueryNetwork(nn.Module):
    """F_CQ (Sec. 3.5, Table 6b-c): one logit for each name asked of each record; entity names ask,
    ECG tokens answer.

    The queries enter as a batch of one; until the first cross-attention they are the same for
    every record, so the first self-attention is computed once a batch and not once a record.
    With `self_attention` a name's score depends on which other names are asked beside it, unless
    it is answered in a fixed context (see `answer`).

    Two details of KAD, from which this network descends, can be chosen: a two-way head, whose
    logits for absent and present become one by their difference, and one LayerNorm that tokens and
    queries pass on their way in and answers on their way out.
    """

    def __init__(self, network: QueryParams, text_width: int, token_width: int) -> None:
        super().__init__()
        self.self_attention = network.self_attention
        self.embed_query = nn.Linear(text_width, network.width)
        self.embed_token = nn.Linear(token_width, network.width)
        self.layers = nn.ModuleList(QueryLayer(network) for _ in range(network.layers))
        self.norm = nn.LayerNorm(network.width)
        self.norm_inputs = network.shared_norm
        self.classify = nn.Linear(network.width, 2 if network.head == "two_way" else 1)
        self.apply(_initialise)

    def forward(
        self,
        names: Float[Tensor, "query text"],
        tokens: Float[Tensor, "record token width"],
        visible: Bool[Tensor, "query query"] | None = None,
    ) -> Float[Tensor, "record query"]:
        """Logits.

        Args:
            names: text vectors of the names, Q in Sec. 3.5.
            tokens: encoded tokens z_e of each record: keys and values.
            visible: which names (columns) each name (row) sees; all of them if None.
        """
        return self._logits(names, self.read(tokens), visible)

    def read(self, tokens: Float[Tensor, "record token width"]) -> list[Memory]:
        """Each layer's keys and values, computed once however many sets of names are asked."""
        memory = self._enter(self.embed_token(tokens))
        return [cast(QueryLayer, layer).attend_tokens.read(memory) for layer in self.layers]

    def answer(
        self,
        names: Float[Tensor, "query text"],
        memory: list[Memory],
        context: Float[Tensor, "other text"] | None = None,
    ) -> Float[Tensor, "record query"]:
        """Logits of names about records that `read` has seen.

        Args:
            context: names that each name sees beside itself, in place of the others asked; they
                see one another. So a name's logit does not depend on what else is asked.
        """
        if context is None:
            return self._logits(names, memory)
        visible = torch.eye(len(context) + len(names), dtype=torch.bool, device=names.device)
        visible[:, : len(context)] = True
        return self._logits(torch.cat([context, names]), memory, visible)[:, len(context) :]

    def _logits(
        self, names: Tensor, memory: list[Memory], visible: Tensor | None = None
    ) -> Float[Tensor, "record query"]:
        queries = self._enter(self.embed_query(names)).unsqueeze(0)
        for place, (layer, seen) in enumerate(zip(self.layers, memory, strict=True)):
            queries = layer(queries, seen, visible, shared=place == 0)
        answer = self.classify(self.norm(queries))
        return answer.diff(dim=-1).squeeze(-1) if answer.shape[-1] == 2 else answer.squeeze(-1)

    def _enter(self, embedded: Tensor) -> Tensor:
        return self.norm(embedded) if self.norm_inputs else embedded


class QueryLayer(nn.Module):
    """Pre-norm: self-attention over the queries, cross-attention to the tokens, MLP."""

    def __init__(self, network: QueryParams) -> None:
        super().__init__()
        width, heads = network.width, network.heads
        self.norm_self = nn.LayerNorm(width) if network.self_attention else None
        self.attend_self = Attention(width, heads) if network.self_attention else None
        self.norm_cross = nn.LayerNorm(width)
        self.attend_tokens = Attention(width, heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, network.mlp), nn.ReLU(), nn.Linear(network.mlp, width)
        )
        self.drop = Dropout(network.dropout)

    def forward(
        self,
        queries: Float[Tensor, "batch query width"],
        memory: Memory,
        visible: Bool[Tensor, "query query"] | None = None,
        shared: bool = False,
    ) -> Float[Tensor, "record query width"]:
        """
        Args:
            visible: which queries (columns) each query (row) sees; all of them if None.
            shared: the queries are a batch of one, that of every record.
        """
        if self.norm_self is not None and self.attend_self is not None:
            normed = self.norm_self(queries)
            mixed = self.attend_self(normed, self.attend_self.read(normed), visible)
            queries = queries + self.drop(mixed, shared)
        queries = queries + self.drop(self.attend_tokens(self.norm_cross(queries), memory))
        return queries + self.drop(self.mlp(self.norm_mlp(queries)))


class Attention(nn.Module):
    """Multi-head attention; a batch of one on the query side is shared by every record.

    Any number of heads: one that does not divide `width` (5 of 96) rounds a head's width up, so
    that Table 6c changes nothing but that number.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * math.ceil(width / heads)
        self.query = nn.Linear(width, inner)
        self.key_value = nn.Linear(width, 2 * inner)
        self.out = nn.Linear(inner, width)

    def read(self, memory: Float[Tensor, "record token width"]) -> Memory:
        """Keys and values of the tokens; they do not depend on what is asked."""
        key, value = self.key_value(memory).chunk(2, dim=-1)
        return _split(key, self.heads), _split(value, self.heads)

    def forward(
        self,
        queries: Float[Tensor, "batch query width"],
        memory: Memory,
        visible: Bool[Tensor, "query key"] | None = None,
    ) -> Float[Tensor, "answer query width"]:
        key, value = memory
        query = _split(self.query(queries), self.heads)
        query = query.expand(max(len(queries), len(key)), -1, -1, -1)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        return self.out(mixed.transpose(1, 2).flatten(2))


def _split(tensor: Tensor, heads: int) -> Tensor:
    batch, count, width = tensor.shape
    return tensor.view(batch, count, heads, width // heads).transpose(1, 2)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def query_loss(
    logits: Float[Tensor, "batch query"], labels: Float[Tensor, "batch query"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy of F_CQ against the label vectors y (Eq. 3), mean over both axes.

    Of a two-way head `logits` are differences, present less absent; their binary cross-entropy is
    the softmax cross-entropy over the two, as KAD trains, in value and gradient.
    """
    return F.binary_cross_entropy_with_logits(logits, labels)
