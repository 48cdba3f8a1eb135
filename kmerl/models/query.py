"""The cardiac query network F_CQ (Sec. 3.5, Table 6b-c): entity names ask, ECG tokens answer."""

import math
from typing import Literal, cast

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kmerl.params import Count, ShareBelowOne, checked

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
    head: Literal["logit", "two_way"]
    shared_norm: bool

    def __post_init__(self) -> None:
        if self.heads > self.width:
            raise ValueError(f"heads={self.heads} are more than width={self.width}")


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
        self, queries: Float[Tensor, "batch query width"], memory: Memory
    ) -> Float[Tensor, "answer query width"]:
        key, value = memory
        query = _split(self.query(queries), self.heads)
        query = query.expand(max(len(queries), len(key)), -1, -1, -1)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).flatten(2))


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
        self.drop = nn.Dropout(network.dropout)

    def forward(
        self,
        queries: Float[Tensor, "batch query width"],
        memory: Memory,
    ) -> Float[Tensor, "record query width"]:
        if self.norm_self is not None and self.attend_self is not None:
            normed = self.norm_self(queries)
            mixed = self.attend_self(normed, self.attend_self.read(normed))
            queries = queries + self.drop(mixed)
        queries = queries + self.drop(self.attend_tokens(self.norm_cross(queries), memory))
        return queries + self.drop(self.mlp(self.norm_mlp(queries)))


class QueryNetwork(nn.Module):
    """F_CQ: one logit for each name asked of each record.

    The queries enter as a batch of one; until the first cross-attention they are the same for
    every record, so the first self-attention is computed once a batch and not once a record.
    With `self_attention` a name's score depends on which other names are asked beside it.

    Two details of KAD, from which this network descends, can be chosen: a two-way head, whose
    logits for absent and present become one by their difference, and one LayerNorm that tokens and
    queries pass on their way in and answers on their way out.
    """

    def __init__(self, network: QueryParams, text_width: int, token_width: int) -> None:
        super().__init__()
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
    ) -> Float[Tensor, "record query"]:
        """Logits.

        Args:
            names: text vectors of the names, Q in Sec. 3.5.
            tokens: encoded tokens z_e of each record: keys and values.
        """
        return self.answer(names, self.read(tokens))

    def read(self, tokens: Float[Tensor, "record token width"]) -> list[Memory]:
        """Each layer's keys and values, computed once however many sets of names are asked."""
        memory = self._enter(self.embed_token(tokens))
        return [cast(QueryLayer, layer).attend_tokens.read(memory) for layer in self.layers]

    def answer(
        self, names: Float[Tensor, "query text"], memory: list[Memory]
    ) -> Float[Tensor, "record query"]:
        """Logits of names about records that `read` has seen."""
        queries = self._enter(self.embed_query(names)).unsqueeze(0)
        for layer, seen in zip(self.layers, memory, strict=True):
            queries = layer(queries, seen)
        answer = self.classify(self.norm(queries))
        return answer.diff(dim=-1).squeeze(-1) if answer.shape[-1] == 2 else answer.squeeze(-1)

    def _enter(self, embedded: Tensor) -> Tensor:
        return self.norm(embedded) if self.norm_inputs else embedded


def _split(tensor: Tensor, heads: int) -> Tensor:
    batch, count, width = tensor.shape
    return tensor.view(batch, count, heads, width // heads).transpose(1, 2)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
