"""AdamW at a precision."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType

import torch
from torch import Tensor, nn

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: str, device: str) -> AbstractContextManager[None]:
    """The precision of a forward pass; fp32 leaves it as it is."""
    dtype = DTYPES[precision]
    return torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32)


class Optimiser:
    """One step of AdamW at a precision, with optional gradient clipping.

    `factors`: parameters whose learning rate is a multiple of the others'.
    """

    def __init__(
        self,
        model: nn.Module,
        weight_decay: float,
        clip: float,
        precision: str,
        device: str,
        factors: Mapping[nn.Parameter, float] = MappingProxyType({}),
    ) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        groups: dict[float, list[nn.Parameter]] = {}
        for parameter in self.parameters:
            groups.setdefault(factors.get(parameter, 1.0), []).append(parameter)
        self.adamw = torch.optim.AdamW(
            [{"params": group, "factor": factor} for factor, group in groups.items()],
            lr=0.0,
            weight_decay=weight_decay,
            fused=True,
        )
        self.scaler = torch.amp.GradScaler(torch.device(device).type, enabled=precision == "fp16")
        self.clip = clip
        self.precision = precision
        self.device = device

    def autocast(self) -> AbstractContextManager[None]:
        """The precision of the forward pass."""
        return autocast(self.precision, self.device)

    def step(self, loss: Tensor, rate: float) -> None:
        """Backward, clip, update at learning rate `rate`."""
        for group in self.adamw.param_groups:
            group["lr"] = rate * group["factor"]
        self.adamw.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if self.clip:
            self.scaler.unscale_(self.adamw)
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.scaler.step(self.adamw)
        self.scaler.update()

    def state(self) -> dict[str, object]:
        return {"adamw": self.adamw.state_dict(), "scaler": self.scaler.state_dict()}

    def restore(self, state: dict[str, dict[str, object]]) -> None:
        self.adamw.load_state_dict(state["adamw"])
        self.scaler.load_state_dict(state["scaler"])
