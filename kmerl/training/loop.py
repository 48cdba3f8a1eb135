"""The pretraining loop: epochs over pairs, a checkpoint each, the same numbers after a kill."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kmerl import distributed, seeds
from kmerl.methods import Method
from kmerl.params import Count, CountOrZero, Positive, PositiveOrZero, checked
from kmerl.progress import Meter
from kmerl.training.checkpoint import Checkpoint
from kmerl.training.data import Loader
from kmerl.training.monitors import effective_rank, spread, watched
from kmerl.training.optimiser import Optimiser
from kmerl.training.schedule import learning_rate


@checked
class PretrainParams:
    """The `pretrain` section of params.yaml (App. A)."""

    corpus: str
    share: Annotated[float, Field(gt=0, le=100)]
    epochs: Count
    batch: Count
    learning_rate: Positive
    weight_decay: PositiveOrZero
    warmup_epochs: PositiveOrZero
    clip: PositiveOrZero
    precision: Literal["fp32", "bf16", "fp16"]
    keep: Literal["last", "best"]
    nudge: CountOrZero

    def local_batch(self, world_size: int) -> int:
        """This process's share of the global batch."""
        if self.batch % world_size:
            raise ValueError(
                f"pretrain.batch={self.batch} cannot be shared equally by {world_size} processes; "
                f"choose a multiple of {world_size}"
            )
        return self.batch // world_size


@dataclass
class History:
    """One row an epoch, and the weights of the best epoch so far."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    def add(self, row: dict[str, float], model: nn.Module) -> None:
        """Append an epoch; keep the weights when its validation loss is the lowest so far."""
        self.rows.append(row)
        if self.lowest() is row:
            self.best = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}

    def lowest(self) -> dict[str, float] | None:
        """The first epoch with the lowest validation loss; None where no epoch has a finite one."""
        finite = (row for row in self.rows if math.isfinite(row["val_loss"]))
        return min(finite, key=lambda row: row["val_loss"], default=None)


class Pretraining:
    """State of one training; `run` takes it from wherever it stands to the last epoch."""

    def __init__(
        self,
        model: Method,
        params: PretrainParams,
        train: Loader,
        validation: Loader | None,
        seed: int,
        checkpoint: Checkpoint,
        live: Any = None,
    ) -> None:
        self.model = model
        self.params = params
        self.train = train
        self.validation = validation
        self.seed = seed
        self.checkpoint = checkpoint
        self.live = live
        self.history = History()
        self.optimiser = Optimiser(
            model, params.weight_decay, params.clip, params.precision, train.device
        )

    def run(self) -> History:
        """Train to the last epoch; every rank returns the same history."""
        if self.model.untrained:
            return self._untrained()
        self._resume()
        network = self._wrapped()
        done, steps = len(self.history.rows), len(self.train) * self.params.epochs
        meter = Meter("pretraining", steps, "steps", done * len(self.train))
        for epoch in range(done, self.params.epochs):
            terms = self._epoch(network, epoch, steps, meter)
            row = {"epoch": epoch + 1.0, **terms, **self._validate()}
            self.history.add(row, self.model)
            if distributed.is_main():
                self._save()
                self._show(row)
            distributed.barrier()
        meter.close()
        if self.params.keep == "best":
            self._restore_best()
        return self.history

    def _restore_best(self) -> None:
        if self.history.best:
            self.model.load_state_dict(self.history.best)
        elif distributed.is_main():
            print(
                "pretrain.keep=best, but no epoch has a finite validation loss: the last is kept",
                file=sys.stderr,
            )

    def _untrained(self) -> History:
        """The history of a method that has nothing to learn: how its features spread."""
        if distributed.is_main():
            print("nothing to train: the initial weights are the model", file=sys.stderr)
        row = {"epoch": 0.0, "loss": float("nan"), **self._validate()}
        self.history.add(row, self.model)
        return self.history

    def _epoch(self, network: nn.Module, epoch: int, steps: int, meter: Meter) -> dict[str, float]:
        self.model.train()
        torch.manual_seed(seeds.stream(self.seed, "dropout", epoch, distributed.rank()))
        generator = _segment_generator(self.seed, epoch, distributed.rank())
        warmup = round(self.params.warmup_epochs * len(self.train))
        total: dict[str, Tensor] = {}
        rate = 0.0
        for index, batch in enumerate(self.train.epoch(epoch)):
            step = epoch * len(self.train) + index
            rate = learning_rate(step, steps, warmup, self.params.learning_rate)
            with torch.no_grad():
                self.model.advance(step / steps)
            with self.optimiser.autocast():
                terms = network(batch, generator)
            loss = _sum(terms)
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss.item()} in epoch {epoch + 1}, step {index + 1}: lower "
                    "pretrain.learning_rate, or set pretrain.clip or pretrain.precision: fp32"
                )
            self.optimiser.step(loss, rate)
            _accumulate(total, terms, loss)
            meter.advance()
        return {**_means(total, len(self.train)), "learning_rate": rate}

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Loss terms on the validation pairs, means over records, with the same masks and views
        after every epoch, and the monitors of collapse."""
        if self.validation is None:
            return {"val_loss": float("nan")}
        self.model.eval()
        generator = _segment_generator(self.seed, -1, distributed.rank())
        total: dict[str, Tensor] = {}
        seen: dict[str, list[Tensor]] = {}
        for batch in self.validation.epoch(0):
            with self.optimiser.autocast():
                terms = self.model(batch, generator)
                for name, vectors in watched(self.model, batch).items():
                    seen.setdefault(name, []).append(vectors)
            loss = _sum(terms) if terms else batch.signal.new_tensor(float("nan"))
            _accumulate(total, terms, loss, len(batch.signal))
        means = _means(total, self.validation.records)
        row = {f"val_{name}": value for name, value in means.items()}
        for name, parts in seen.items():
            whole = distributed.gather(torch.cat(parts))
            row |= {f"{name}_std": spread(whole), f"{name}_rank": effective_rank(whole)}
        return row

    def _wrapped(self) -> nn.Module:
        if distributed.world_size() == 1:
            return self.model
        return DistributedDataParallel(self.model, find_unused_parameters=True)

    def _save(self) -> None:
        self.checkpoint.save(
            {
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state(),
                "rows": self.history.rows,
                "best": self.history.best,
            },
            len(self.history.rows),
        )

    def _resume(self) -> None:
        state = self.checkpoint.load(self.train.device)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.optimiser.restore(state["optimiser"])
        self.history = History(rows=state["rows"], best=state["best"])

    def _show(self, row: Mapping[str, float]) -> None:
        if self.live is None:
            return
        for name, value in row.items():
            self.live.log_metric(f"pretrain/{name}", value)
        self.live.next_step()


def _segment_generator(seed: int, epoch: int, rank: int) -> torch.Generator:
    generator = torch.Generator()
    generator.manual_seed(seeds.stream(seed, "segments", epoch, rank))
    return generator


def _sum(terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def _accumulate(
    total: dict[str, Tensor], terms: Mapping[str, Tensor], loss: Tensor, weight: int = 1
) -> None:
    for name, value in {**terms, "loss": loss}.items():
        total[name] = total.get(name, torch.zeros_like(value.detach())) + weight * value.detach()


def _means(total: Mapping[str, Tensor], weight: int) -> dict[str, float]:
    return {name: float(distributed.mean(value)) / weight for name, value in total.items()}
