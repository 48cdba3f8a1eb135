"""A step of a stage's work on a model of params.yaml's sizes: run on noise, timed or counted."""

import hashlib
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from kmerl import files
from kmerl.leads import LEADS
from kmerl.methods import Method, Query
from kmerl.models.inputs import Batch
from kmerl.models.vit import pool
from kmerl.params import ParamsError
from kmerl.training.model import ModelConfig, create, lead_mask
from kmerl.training.optimiser import Optimiser

HELD_OUT = 4  # of so many records, one is validated or tested on: 20 to 28 % of a corpus
RECORDS = {"cpu": 16, "cuda": 512}  # at most, of a step that is timed
TIMED, SECONDS = 3, 5.0  # steps that are timed after one that is not; no new one after so long


@dataclass(frozen=True)
class Step:
    """What is done with a batch, once for each number of leads.

    `train` is the method's loss, forward, backward and optimiser; `tune` sends a gradient through
    all of its encoder, as fine-tuning does; `encode` is the encoder alone, and F_CQ's scores of
    so many `names` for the share that is held out, where a method has them.
    """

    work: Literal["train", "tune", "encode"]
    config: ModelConfig
    records: int
    leads: tuple[int, ...]
    precision: str = "fp32"
    names: int = 0

    @property
    def key(self) -> str:
        """Readable, and the same for all steps that take equally long."""
        unseen = () if self.work == "train" else ("mask", "loss")
        sections = {k: v for k, v in self.config.sections.items() if k not in unseen}
        sizes = len(self.config.entities), self.config.text_width, self.config.samples, self.names
        decided = json.dumps([sections, sizes, self.precision], sort_keys=True)
        leads = "+".join(map(str, self.leads))
        digest = hashlib.sha256(decided.encode()).hexdigest()[:12]
        return f"{self.work} {self.config.method}, {self.records} records, {leads} leads, {digest}"

    def ready(self, device: str, records: int) -> tuple[Method, list[Batch]]:
        """A new model, whose numbers mean nothing, and noise to show it."""
        with torch.device(device):
            model = create(self.config).train(self.work != "encode")
            return model, [_noise(self.config, records, leads) for leads in self.leads]

    def loss(self, model: Method, batch: Batch) -> Tensor | None:
        """What is learnt from a batch; None of one that is only encoded."""
        if self.work == "train":
            with torch.no_grad():
                model.advance(0.5)
            terms = model(batch, torch.Generator().manual_seed(0))
            return torch.stack(list(terms.values())).sum()
        with torch.set_grad_enabled(self.work == "tune"):
            tokens = model.encoder(batch.signal, batch.leads)
            if self.work == "tune":
                return pool(tokens).square().mean()
            if self.names and isinstance(model, Query):
                names = tokens.new_zeros(self.names, self.config.text_width)
                model.score(tokens[: -(-len(tokens) // HELD_OUT)], names)
        return None


class Known:
    """Seconds a record takes in a step, on all of its numbers of leads: each found out once."""

    def __init__(self, find: Callable[[Step], float], here: str, path: Path | None = None) -> None:
        """`find` answers of the machine `here` what the file at `path`, which may be of another
        machine, does not know yet; the file is then added to."""
        self.find, self.here, self.path = find, here, path
        self.kept: dict[str, Any] = {"machine": here, "seconds a record": {}}
        if path and path.exists():
            self.kept = files.read_json(path)

    def __call__(self, step: Step) -> float:
        machine, seconds = self.kept["machine"], self.kept["seconds a record"]
        if step.key not in seconds:
            if machine != self.here:
                raise ParamsError(
                    f"{self.path}, measured on {machine}, lacks {step.key!r}: give the same "
                    "command there, or another file here"
                )
            seconds[step.key] = self.find(step)
            if self.path:
                files.write_json(self.path, self.kept)
        return float(seconds[step.key])


def leads_shown(config: ModelConfig) -> tuple[int, ...]:
    """How many leads a training batch may have; each number is as likely."""
    fewest, most = lead_mask(config.method, config.sections).masked_range
    return tuple(range(len(LEADS) - most, len(LEADS) - fewest + 1))


def machine(device: str) -> str:
    """What seconds depend on beside the code."""
    cpu = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name() if device == "cuda" else cpu
    return f"{name}, torch {torch.__version__}"


def timer(step: Step, device: str) -> Callable[[], float]:
    """Of many records on this machine: each call is one step, and gives its seconds a record."""
    records = min(step.records, RECORDS[device])
    precision = step.precision if device == "cuda" else "fp32"  # others are slow on a CPU
    model, batches = step.ready(device, records)
    optimiser = Optimiser(model, 0.0, 1.0, precision, device)

    def once() -> float:
        start = time.perf_counter()
        for batch in batches:
            with optimiser.autocast():
                loss = step.loss(model, batch)
            if loss is not None:
                optimiser.step(loss, 0.0)
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / records

    return once


def timed(step: Step, device: str) -> float:
    """Seconds a record on this machine: the median of a few steps."""
    once, until = timer(step, device), time.perf_counter() + SECONDS
    seconds = [once()]
    while len(seconds) <= TIMED and time.perf_counter() < until:
        seconds.append(once())
    return statistics.median(seconds[1:] or seconds)


def operations(step: Step) -> float:
    """Operations a record, an addition and a multiplication each, of matrix products, attention and
    convolutions: counted on shapes alone, or where a method draws on the device, on two records."""
    try:
        return _counted(step, "meta", step.records)
    except RuntimeError:
        return _counted(step, "cpu", min(2, step.records))


def _counted(step: Step, device: str, records: int) -> float:
    model, batches = step.ready(device, records)
    # plain products, because those of the fast kernels of attention are not counted on every device
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        for batch in batches:
            loss = step.loss(model, batch)
            if loss is not None:
                loss.backward()
    return float(counter.get_total_flops()) / records


def _noise(config: ModelConfig, records: int, leads: int) -> Batch:
    """The first leads, as training shows them; two records of each patient."""
    return Batch(
        signal=torch.randn(records, leads, config.samples),
        leads=torch.arange(leads).repeat(records, 1),
        text=torch.randn(records, config.text_width),
        labels=torch.ones(records, len(config.entities)),
        patient=torch.arange(records) // 2,
    )
