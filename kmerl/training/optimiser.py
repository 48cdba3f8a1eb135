"""AdamW, a cosine schedule that is a function of the step, and mixed precision."""

import math
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear warm-up over `warmup` steps, then cosine annealing to zero at `steps` (App. A)."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


class Optimiser:
    """One step of AdamW at a precision, with optional gradient clipping."""

    def __init__(
        self, model: nn.Module, weight_decay: float, clip: float, precision: str, device: str
    ) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.adamw = torch.optim.AdamW(
            self.parameters, lr=0.0, weight_decay=weight_decay, fused=True
        )
        self.scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")
        self.clip = clip
        self.dtype = DTYPES[precision]
        self.device = device

    def autocast(self) -> AbstractContextManager[None]:
        """The precision of the forward pass."""
        return torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32)

    def step(self, loss: Tensor, rate: float) -> None:
        """Backward, clip, update at learning rate `rate`."""
        for group in self.adamw.param_groups:
            group["lr"] = rate
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
