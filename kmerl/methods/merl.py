"""MERL (Liu et al., ICML 2024): twelve leads and their report agree, and the ECG with itself.

Two contrasts: between ECGs and reports (CMA), and between two dropouts of one ECG's feature (UMA).
`options.fidelity: faithful` computes both as the released code does. Part of it lies elsewhere:
text vectors are `text_encoder.pooling: pooler`, scaling is `signal.normalise: minmax`. Not
reproduced: a schedule with warm restarts each 5,000 steps, one order of records in all epochs,
dropout inside the frozen text encoder, and the choice of the epoch by labels of the test corpora.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kmerl import methods
from kmerl.distributed import gather, own, rank
from kmerl.losses import contrastive_loss
from kmerl.models.backbone import Backbone, token_count, twelve_lead_encoder
from kmerl.models.heads import mlp
from kmerl.models.inputs import Batch
from kmerl.models.masking import EVERY_LEAD, MaskParams
from kmerl.models.norm import BatchNorm
from kmerl.models.vit import EncoderParams, pool
from kmerl.params import Count, Positive, PositiveOrZero, ShareBelowOne, checked


@checked
class Options:
    """Values of MERL's code, where no other source is given."""

    backbone: Backbone = "resnet18"  # the better of the two in Table 1
    fidelity: Literal["fixed", "faithful"] = "fixed"  # what `_faithful` and `_contrast` say
    lead_masking: bool = False  # true: trained on the leads that section `mask` shows (ours)
    uma: PositiveOrZero = 1.0  # weight beside CMA; 0 removes the term
    temperature: Positive = 0.07
    dropout: ShareBelowOne = 0.1
    hidden: Count = 256  # of the projectors
    out: Count = 256  # of the projectors, and of the narrowed tokens of ResNet18
    heads: Count = 4  # of ResNet18's attention pooling

    def __post_init__(self) -> None:
        if self.out % self.heads:
            raise ValueError(f"out={self.out} is not a multiple of heads={self.heads}")


class Method(methods.Method):
    def __init__(
        self,
        encoder: EncoderParams,
        mask: MaskParams,  # for `lead_mask` alone
        options: Options,
        entities: Float[Tensor, "query text"],
        record_samples: int,
    ) -> None:
        super().__init__()
        self.options = options
        hidden, out = options.hidden, options.out
        self.encoder = twelve_lead_encoder(options.backbone, encoder, record_samples)
        width, text_width = self.encoder.width, entities.shape[1]
        self.narrow: nn.Module = nn.Identity()
        self.attend: AttentionPool | None = None
        self.project_ecg: nn.Module = nn.Identity()
        if options.backbone == "resnet18":
            self.narrow = nn.Linear(width, out)
            self.attend = AttentionPool(out, token_count(record_samples), options.heads)
            width = out
        else:
            self.project_ecg = mlp(width, hidden, out=out, last="norm")
        self.project_text = nn.Sequential(
            nn.Linear(text_width, hidden), nn.GELU(), nn.Linear(hidden, out)
        )
        self.views: nn.ModuleList | None = None
        if options.fidelity == "faithful":
            self._faithful(width)

    @staticmethod
    def lead_mask(sections: Mapping[str, Any]) -> MaskParams:
        """All leads, or with `lead_masking` those of section `mask`; the others are zero. Segments
        are never masked: this encoder has no token of one lead."""
        return sections["mask"] if sections["options"].lead_masking else EVERY_LEAD

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """CMA and UMA, weighted; `generator` draws the dropout, in validation too."""
        return self.compare(self.represent(batch, generator), batch, generator)

    def represent(self, batch: Batch, _generator: torch.Generator) -> Mapping[str, Tensor]:
        """Each record's feature, and the summary of its tokens that is compared with a report."""
        return self._found(self.encoder(batch.signal, batch.leads))

    def compare(
        self, found: Mapping[str, Tensor], batch: Batch, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """The loss terms of what `represent` found; the projectors' batch norm sees it all."""
        contrast = self._contrast(self._embed(found), self.project_text(batch.text))
        if not self.options.uma:
            return {"cross_modal": contrast}
        one = two = found["feature"]
        if self.views is not None:
            one, two = (view(one) for view in self.views)
        one, two = two_views(one, two, self.options.dropout, generator)
        return {"cross_modal": contrast, "uni_modal": self.options.uma * self._contrast(one, two)}

    def similarity(
        self, tokens: Float[Tensor, "batch token width"], names: Float[Tensor, "query text"]
    ) -> Float[Tensor, "batch query"]:
        """Zero-shot cosine between projected ECGs and names."""
        ecg = F.normalize(self._embed(self._found(tokens)), dim=1)
        return ecg @ F.normalize(self.project_text(names), dim=1).T

    def _found(self, encoded: Tensor) -> Mapping[str, Tensor]:
        tokens = self.narrow(encoded)
        summary = self.attend(tokens) if self.attend else pool(tokens)
        return {"feature": pool(tokens), "summary": summary}

    def _embed(self, found: Mapping[str, Tensor]) -> Tensor:
        embedding: Tensor = self.project_ecg(found["summary"])
        return embedding

    def _contrast(self, one: Tensor, two: Tensor) -> Tensor:
        """Fixed: mean of both directions, whole gradient. Faithful: their sum, and the gradient
        of one process divided by the number of processes."""
        faithful = self.options.fidelity == "faithful"
        loss = contrastive_loss_as_released if faithful else contrastive_loss
        return loss(one, two, self.options.temperature)

    def _faithful(self, width: int) -> None:
        """Further oddities of the code: a linear map before each dropout of UMA, and batch norm
        over the records of one process."""
        out = self.options.out
        self.views = nn.ModuleList(nn.Linear(width, out, bias=False) for _ in range(2))
        for module in self.modules():
            if isinstance(module, BatchNorm):
                module.over_processes = False


def two_views(
    one: Tensor, two: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Both after their own dropout, drawn from `generator` on any device."""
    return _dropout(one, share, generator), _dropout(two, share, generator)


def _dropout(feature: Tensor, share: float, generator: torch.Generator) -> Tensor:
    width = feature.shape[1:]
    drawn = own(lambda rows: torch.rand(rows, *width, generator=generator), len(feature))
    kept = drawn >= share
    return feature * kept.to(feature.device) / (1 - share)


class AttentionPool(nn.Module):
    """One vector a record by attention: the tokens' mean asks them and itself (CLIP, Radford et
    al. 2021, Sec. 2.4), each with an embedding of its place."""

    def __init__(self, width: int, tokens: int, heads: int) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(tokens + 1, width) / width**0.5)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, tokens: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch width"]:
        placed = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + self.position
        return self.attention(placed[:, :1], placed, placed, need_weights=False)[0].squeeze(1)


def contrastive_loss_as_released(
    ecg: Float[Tensor, "local width"], text: Float[Tensor, "local width"], temperature: float
) -> Float[Tensor, ""]:
    """`contrastive_loss` as MERL's code has it: both directions added, rows of other processes
    gathered without gradient.

    Returns:
        The sum over both directions of the mean over the *global* batch, the same number in every
        process. Only this process's rows have a gradient, so that averaging over processes leaves
        the true one divided by their number.
    """
    ecg, text = (_own_rows_learn(F.normalize(rows, dim=1)) for rows in (ecg, text))
    target = torch.arange(len(ecg), device=ecg.device)
    similarity = ecg @ text.T / temperature
    return F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)


def _own_rows_learn(rows: Float[Tensor, "local width"]) -> Float[Tensor, "whole width"]:
    before, local = rank() * len(rows), len(rows)
    everyone = gather(rows.detach())
    return torch.cat([everyone[:before], rows, everyone[before + local :]])
