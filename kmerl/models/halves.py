"""An encoder that reads a record in two halves, and, where asked, one lead at a time."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kmerl.models.backbone import Backbone, twelve_lead_encoder
from kmerl.models.vit import EncoderParams


class HalfEncoder(nn.Module):
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
        """Tokens in the order of time.

        Args:
            signal: normalised signal, any number of leads.
            leads: each lead's index into `kmerl.leads.LEADS`.
        """
        if not self.lead_by_lead:
            return self._read(signal, leads)
        tokens = self._read(signal.flatten(0, 1).unsqueeze(1), leads.flatten().unsqueeze(1))
        return tokens.unflatten(0, leads.shape).mean(dim=1)

    def _read(self, signal: Tensor, leads: Tensor) -> Tensor:
        return torch.cat([self.network(half, leads) for half in signal.chunk(2, dim=2)], dim=1)
