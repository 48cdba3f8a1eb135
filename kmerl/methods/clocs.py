"""CLOCS (Kiyasseh et al., ICML 2021): halves and leads of one patient agree, against others'."""

from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from kmerl.distributed import of_first
from kmerl.losses_parts import patient_contrast
from kmerl.models.backbone import Backbone
from kmerl.models.halves import HalfEncoder
from kmerl.models.heads import mlp
from kmerl.models.inputs import Batch
from kmerl.models.vit import EncoderParams, pool
from kmerl.params import Count, Positive, checked


@checked
class Options:
    """What agrees with what, and how it is compared."""

    backbone: Backbone = "resnet18"  # our choice; the code: three convolutions of its own
    views: Literal["cmsc", "cmlc", "cmsmlc"] = "cmsc"  # the two halves of a record, all leads
    # together, as in fairseq-signals and ECG-FM (the paper: of one lead) | the leads of one half |
    # the leads of both halves
    leads: Annotated[int, Field(ge=2)] = 4  # cmlc, cmsmlc: leads of a step, drawn anew; the code:
    # all 12, or II V2 aVL aVR
    out: Count = 128  # of the linear embedding that is compared; the code: 32 to 320
    temperature: Positive = 0.1  # the code's


@checked
class MethodParams:
    """Sections of params.yaml that make the model."""

    encoder: EncoderParams
    options: Options


class Method(nn.Module):
    """Batch in, loss out; `.encoder` is what evaluation freezes."""

    def __init__(
        self, params: MethodParams, _entities: Float[Tensor, "query text"], record_samples: int
    ) -> None:
        super().__init__()
        self.options = params.options
        alone = self.options.views != "cmsc"
        self.encoder = HalfEncoder(self.options.backbone, params.encoder, record_samples, alone)
        self.embed = mlp(self.encoder.width, out=self.options.out, last="linear with bias")

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """The contrast between two views, mean over all pairs of views (the public code keeps that
        of the last pair alone)."""
        views = self._views(batch, generator)
        signal = torch.cat([signal for signal, _ in views])
        tokens = self.encoder.network(signal, torch.cat([leads for _, leads in views]))
        embedded = self.embed(pool(tokens)).chunk(len(views))
        losses = [
            patient_contrast(one, two, batch.patient, self.options.temperature)
            for one, two in combinations(embedded, 2)
        ]
        return {"contrast": torch.stack(losses).mean()}

    def _views(self, batch: Batch, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Signals and leads of the views, the same ones of all records in all processes."""
        halves = batch.signal.chunk(2, dim=2)
        if self.options.views == "cmsc":
            return [(half, batch.leads) for half in halves]
        chosen = torch.randperm(batch.leads.shape[1], generator=generator)[: self.options.leads]
        half = torch.randint(2, (1,), generator=generator)
        chosen, half = (of_first(drawn.to(batch.signal.device)) for drawn in (chosen, half))
        if self.options.views == "cmlc":
            halves = (halves[int(half)],)
        rows = chosen.unsqueeze(1)
        return [(half[:, row], batch.leads[:, row]) for half in halves for row in rows]
