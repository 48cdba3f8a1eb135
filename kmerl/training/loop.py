"""The pretraining loop: epochs over pairs, a checkpoint each, the same numbers after a kill."""

import dataclasses
import math
import re
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
from kmerl.store.pairs import corpora_of
from kmerl.training.checkpoint import Checkpoint
from kmerl.training.chunks import in_chunks, part, pieces
from kmerl.training.data import Loader
from kmerl.training.monitors import effective_rank, spread, watched
from kmerl.training.optimiser import Optimiser
from kmerl.training.schedule import learning_rate
from kmerl.training.stopping import TERMINATED, Watch

LOOKS = {"cpu": 1, "cuda": 50}
"""Steps between two looks at whether the loss is finite, for which a GPU must be waited for."""


@checked
class PretrainParams:
    """The `pretrain` section of params.yaml (App. A)."""

    corpus: str | tuple[str, ...]
    share: Annotated[float, Field(gt=0, le=100)]
    fresh: bool
    start_from: str
    epochs: Count
    batch: Count
    neighbours: Count
    learning_rate: Positive
    weight_decay: PositiveOrZero
    warmup_epochs: PositiveOrZero
    clip: PositiveOrZero
    precision: Literal["fp32", "bf16", "fp16"]
    keep: Literal["last", "best"]
    nudge: CountOrZero

    def __post_init__(self) -> None:
        corpora_of(self.corpus)
        if self.start_from and not re.fullmatch(r".+@[0-9a-f]{8,64}", self.start_from):
            raise ValueError(
                f"start_from is {self.start_from!r}; write FOLDER@DIGEST, with the first digits of "
                "`sha256sum FOLDER/model.safetensors`: other weights are another training"
            )

    @property
    def named(self) -> str:
        """The corpora, in words."""
        return " and ".join(corpora_of(self.corpus))

    def check_shared(self, world_size: int) -> None:
        """Whether `world_size` processes can share the batch equally.

        Raises:
            ValueError: they can't.
        """
        if self.batch % world_size:
            raise ValueError(
                f"pretrain.batch={self.batch} cannot be shared equally by {world_size} processes; "
                f"choose a multiple of {world_size}"
            )


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


@dataclass
class Begun:
    """The epoch under way: steps that are done, and the sums of their loss terms, which are those
    of all processes."""

    steps: int = 0
    total: dict[str, Tensor] = field(default_factory=dict)


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
        save_minutes: float,
        chunk: int,
        live: Any = None,
    ) -> None:
        self.model = model
        self.params = params
        self.train = train
        self.validation = validation
        self.seed = seed
        self.checkpoint = checkpoint
        self.save_minutes = save_minutes
        self.chunk = chunk
        self.network = in_chunks(model, chunk, params.batch // distributed.world_size())
        self.live = live
        self.history = History()
        self.begun = Begun()
        self.optimiser = Optimiser(
            model, params.weight_decay, params.clip, params.precision, train.device
        )

    def run(self) -> History:
        """Train to the last epoch; every rank returns the same history.

        Raises:
            SystemExit: after SIGTERM, when the state is saved.
        """
        if self.model.untrained:
            return self._untrained()
        self._resume()
        network = self._wrapped()
        meter = Meter("pretraining", self._steps, "steps", self._done)
        with Watch(self.save_minutes) as watch:
            for epoch in range(len(self.history.rows), self.params.epochs):
                terms = self._epoch(network, epoch, meter, watch)
                row = {"epoch": epoch + 1.0, **terms, **self._validate()}
                self.history.add(row, self.model)
                self._save()
                self._show(row)
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

    @property
    def _steps(self) -> int:
        return len(self.train) * self.params.epochs

    @property
    def _done(self) -> int:
        return len(self.history.rows) * len(self.train) + self.begun.steps

    def _rate(self, step: int) -> float:
        warmup = round(self.params.warmup_epochs * len(self.train))
        return learning_rate(step, self._steps, warmup, self.params.learning_rate)

    def _epoch(
        self, network: nn.Module, epoch: int, meter: Meter, watch: Watch
    ) -> dict[str, float]:
        self.model.train()
        begun = self.begun
        for batch in self.train.epoch(epoch, begun.steps):
            with torch.no_grad():
                self.model.advance(self._done / self._steps)
            with self.optimiser.autocast():
                terms = network(batch, self._chance(epoch, begun.steps))
            loss = _sum(terms)
            _accumulate(begun.total, _of_all({**terms, "loss": loss}))
            if begun.steps % LOOKS[self.train.device] == 0:
                self._check_finite()
            self.optimiser.step(loss, self._rate(self._done))
            begun.steps += 1
            meter.advance()
            if watch.due():
                self._save()
            if watch.stopping:
                print(
                    f"asked to end: what {self._done} of {self._steps} steps gave is saved; the "
                    "same command goes on from there",
                    file=sys.stderr,
                )
                raise SystemExit(TERMINATED)
        self._check_finite()
        self.begun = Begun()
        rate = self._rate((epoch + 1) * len(self.train) - 1)
        return {**_divided(begun.total, len(self.train)), "learning_rate": rate}

    def _check_finite(self) -> None:
        loss, step = self.begun.total["loss"], self.begun.steps
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss.item()} in epoch {len(self.history.rows) + 1}, by step "
                f"{min(step + 1, len(self.train))}: lower pretrain.learning_rate, or set "
                "pretrain.clip or pretrain.precision: fp32"
            )

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Loss terms on the validation pairs, means over records, with the same masks and views
        after every epoch, and the monitors of collapse. Processes take whole batches in turn."""
        if self.validation is None:
            return {"val_loss": float("nan")}
        self.model.eval()
        of_another = distributed.rank() >= len(self.validation)  # read here to have its terms
        total: dict[str, Tensor] = {}
        seen: dict[str, list[Tensor]] = {}
        for index, batch in zip(self.validation.steps, self.validation.epoch(0), strict=True):
            weight = 0 if of_another else len(batch.signal)
            with distributed.alone(), self.optimiser.autocast():
                terms = self.network(batch, self._chance(-1, index))
                for rows in pieces(len(batch.signal), self.chunk):
                    for name, vectors in watched(self.model, part(batch, rows)).items():
                        seen.setdefault(name, []).append(vectors[:weight])
            loss = _sum(terms) if terms else batch.signal.new_tensor(float("nan"))
            _accumulate(total, {**terms, "loss": loss}, weight)
        whole = {name: distributed.total(value) for name, value in total.items()}
        means = _divided(whole, self.validation.records)
        row = {f"val_{name}": value for name, value in means.items()}
        for name, parts in seen.items():
            every = distributed.gather_rows(torch.cat(parts))
            row |= {f"{name}_std": spread(every), f"{name}_rank": effective_rank(every)}
        return row

    def _chance(self, epoch: int, step: int) -> torch.Generator:
        """What a step draws from, the same in every process; dropout draws from torch's own."""
        torch.manual_seed(seeds.stream(self.seed, "dropout", epoch, step))
        generator = torch.Generator()
        return generator.manual_seed(seeds.stream(self.seed, "segments", epoch, step))

    def _wrapped(self) -> nn.Module:
        if distributed.world_size() == 1:
            return self.network
        return DistributedDataParallel(self.network, static_graph=True)

    def _save(self) -> None:
        """On each node, which may be the one that is left when the training goes on."""
        if not distributed.leads_node():
            return
        if self.begun.total:
            self._check_finite()
        self.checkpoint.save(
            {
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state(),
                "rows": self.history.rows,
                "best": self.history.best,
                "begun": dataclasses.asdict(self.begun),
            },
            self._done,
        )

    def _resume(self) -> None:
        state = self.checkpoint.load(self.train.device)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.optimiser.restore(state["optimiser"])
        self.history = History(rows=state["rows"], best=state["best"])
        self.begun = Begun(**state["begun"])
        if distributed.is_main():
            print(f"pretraining goes on after {self._done} of {self._steps} steps", file=sys.stderr)

    def _show(self, row: Mapping[str, float]) -> None:
        if self.live is None:
            return
        for name, value in row.items():
            self.live.log_metric(f"pretrain/{name}", value)
        self.live.next_step()


def _sum(terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def _of_all(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their means over processes, in one message."""
    values = distributed.total(torch.stack(list(terms.values()))) / distributed.world_size()
    return dict(zip(terms, values, strict=True))


def _accumulate(total: dict[str, Tensor], terms: Mapping[str, Tensor], weight: int = 1) -> None:
    for name, value in terms.items():
        total[name] = total.get(name, torch.zeros_like(value.detach())) + weight * value.detach()


def _divided(total: Mapping[str, Tensor], count: int) -> dict[str, float]:
    return {name: float(value) / count for name, value in total.items()}
