"""CLOCS (Kiyasseh et al., ICML 2021): halves and leads of one patient agree, against others'."""

from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from kmerl import methods
from kmerl.distributed import gather
from kmerl.losses import patient_shares
from kmerl.models.backbone import Backbone, twelve_lead_encoder
from kmerl.models.heads import mlp
from kmerl.models.inputs import Batch
from kmerl.models.vit import Encoder, EncoderParams, pool
from kmerl.params import MOST, Count, Positive, checked


@checked
class Options:
    """What agrees with what, and how it is compared."""

    backbone: Backbone = "resnet18"  # our choice; the code: three convolutions of its own
    views: Literal["cmsc", "cmlc", "cmsmlc"] = "cmsc"  # the two halves of a record, all leads
    # together, as in fairseq-signals and ECG-FM (the paper: of one lead) | the leads of one half |
    # the leads of both halves
    leads: Annotated[int, Field(ge=2, le=MOST)] = (
        4  # cmlc, cmsmlc: leads of a step, drawn anew; the code:
    )
    # all 12, or II V2 aVL aVR
    out: Count = 128  # of the linear embedding that is compared; the code: 32 to 320
    temperature: Positive = 0.1  # the code's


class Method(methods.Method):
    encoder: "HalfEncoder"

    def __init__(self, encoder: EncoderParams, options: Options, record_samples: int) -> None:
        super().__init__()
        self.options = options
        alone = options.views != "cmsc"
        self.encoder = HalfEncoder(options.backbone, encoder, record_samples, alone)
        self.embed = mlp(self.encoder.width, out=options.out, last="linear with bias")

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
        chosen = chosen.to(batch.signal.device)
        if self.options.views == "cmlc":
            halves = (halves[int(half)],)
        rows = chosen.unsqueeze(1)
        return [(half[:, row], batch.leads[:, row]) for half in halves for row in rows]


class HalfEncoder(Encoder):
    """Any leads to tokens of the first half and then of the second, as CLOCS trains on halves.

    With `lead_by_lead` each lead is read alone, by the same network with eleven leads missing, and
    a token is the mean over leads; it knows which lead it reads.
    """

    def __init__(
        self,
        backbone: Backbone,
        encoder: EncoderParams,
        record_samples: int,
        lead_by_lead: bool = False,
    ) -> None:
        super().__init__()
        if record_samples % 2:
            raise ValueError(
                f"a record of {record_samples} samples has no halves; change ingest.seconds or "
                "ingest.rate"
            )
        self.network = twelve_lead_encoder(backbone, encoder, record_samples // 2)
        self.width = self.network.width
        self.lead_by_lead = lead_by_lead

    def forward(
        self, signal: Float[Tensor, "batch lead sample"], leads: Int[Tensor, "batch lead"]
    ) -> Float[Tensor, "batch token width"]:
        """Tokens in the order of time."""
        if not self.lead_by_lead:
            return self._read(signal, leads)
        tokens = self._read(signal.flatten(0, 1).unsqueeze(1), leads.flatten().unsqueeze(1))
        return tokens.unflatten(0, leads.shape).mean(dim=1)

    def _read(self, signal: Tensor, leads: Tensor) -> Tensor:
        return torch.cat([self.network(half, leads) for half in signal.chunk(2, dim=2)], dim=1)


def patient_contrast(
    one: Float[Tensor, "local width"],
    two: Float[Tensor, "local width"],
    patient: Int[Tensor, " local"],
    temperature: float,
) -> Float[Tensor, ""]:
    """CLOCS' contrast between two kinds of parts: whose is it, of all patients'?

    All parts of a record's patient are positives: minus the log of their shares, mean over them,
    over records and over both directions. A positive is also in the denominator of the others, as
    in the public code; where every patient has one record, this is that code's loss.
    """
    one, two = F.normalize(one, dim=1), F.normalize(two, dim=1)
    positive = patient_shares(patient, one.dtype)
    from_one = one @ gather(two).T / temperature
    from_two = two @ gather(one).T / temperature
    return (F.cross_entropy(from_one, positive) + F.cross_entropy(from_two, positive)) / 2
