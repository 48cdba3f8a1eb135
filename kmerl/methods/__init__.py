"""One file a method, its network included; `method:` of params.yaml names the file.

To add a method, add `kmerl/methods/<name>.py`; nothing else is edited. It exports

- `MethodParams`: a `checked` class whose fields are the sections of params.yaml that make the
  model. Hyper-parameters of the method's own are its field `options: Options`: a `checked` class
  with defaults and their sources, which `options:` of params.yaml overrides. A field `rate` of it
  is the records' own, ingest.rate, and can be nothing else.
- `Method`, made as `Method(params, entities, record_samples)`: the contract below, which mypy
  checks. Text vectors `entities` (entities, text width) are those of the labels' columns.

What several methods share is in `kmerl/models` and `kmerl/losses.py`. No file here imports another:
a stage depends on the chosen one alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kmerl.models.inputs import Batch
from kmerl.models.masking import EVERY_LEAD, MaskParams
from kmerl.models.vit import Encoder


class Method(nn.Module, ABC):
    """What every method must have, and what it may change: batch in, named loss terms out.

    A child module called `projector`, if any, is watched for collapse (kmerl.training.monitors).
    A method that answers class names has the functions of `Query` or `Cosine` besides.
    """

    untrained: ClassVar[bool] = False
    """Whether the initial weights are the model, and no loss term is ever given."""

    encoder: Encoder
    """What evaluation freezes."""

    @staticmethod
    def lead_mask(params: Any) -> MaskParams:
        """Which leads the training reader leaves out; `params` are the file's `MethodParams`."""
        return EVERY_LEAD

    @abstractmethod
    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Weighted loss terms, whose sum is trained.

        Args:
            batch: records with the leads that `lead_mask` left.
            generator: on the CPU; all chance comes from it, but for dropout.
        """

    def advance(self, progress: float) -> None:
        """Called before each training step, without gradient, with the share that is done."""


@runtime_checkable
class Query(Protocol):
    """A method that answers class names with logits (`zero_shot.score: query`)."""

    def score(
        self, tokens: Float[Tensor, "batch token width"], *asked: Float[Tensor, "_ text"]
    ) -> list[Float[Tensor, "batch _"]]:
        """Logits of sets of names, given as text vectors, each set asked on its own."""


@runtime_checkable
class Cosine(Protocol):
    """A method that sees ECGs and texts in one space (`zero_shot.score: cosine`)."""

    def similarity(
        self, tokens: Float[Tensor, "batch token width"], names: Float[Tensor, "query text"]
    ) -> Float[Tensor, "batch query"]:
        """Cosine between projected ECGs and names, which are given as text vectors."""
