"""One file a method, its network included; `method:` of params.yaml names the file.

To add a method, add `kmerl/methods/<name>.py`; nothing else is edited. It exports

- `Method`: the contract below, which mypy checks. It is made of the sections of params.yaml that
  its `__init__` has as parameters, each of a `checked` class; of `record_samples`, the length of a
  record; and, where it asks for them, of `entities`: text vectors (entities, text width) of the
  labels' columns.
- `Options`, if the method has hyper-parameters of its own: the class of its parameter `options`,
  with defaults and their sources, which `options:` of params.yaml overrides. A field `rate` of it
  is the records' own, ingest.rate, and can be nothing else; none is a mapping.

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
    def lead_mask(sections: Mapping[str, Any]) -> MaskParams:
        """Which leads the training reader leaves out; `sections` are checked, and by name."""
        return EVERY_LEAD

    @abstractmethod
    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Weighted loss terms, whose sum is trained.

        Args:
            batch: records with the leads that `lead_mask` left.
            generator: on the CPU, in the same state in every process; all chance comes from it,
                and what is drawn for records through `kmerl.distributed.own`.
        """

    def advance(self, progress: float) -> None:
        """Called before each training step, without gradient, with the share that is done."""


@runtime_checkable
class RecordByRecord(Protocol):
    """A method that reads each record by itself before any loss sees two of them, so that a step
    can read its batch in parts (`runtime.chunk`); `forward` is `compare` of `represent`."""

    def represent(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """What the losses need of each record, a row a record; all that costs memory is here.

        Args:
            batch, generator: as in `Method.forward`, or some of its records (`Parts.part`).
        """

    def compare(
        self, found: Mapping[str, Tensor], batch: Batch, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """What `Method.forward` answers, of what `represent` found in all records of the batch."""


@runtime_checkable
class Query(Protocol):
    """A method that answers class names with logits (`zero_shot.score: query`)."""

    @property
    def company_matters(self) -> bool:
        """Whether a name's logit depends on which other names are asked with it."""

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
