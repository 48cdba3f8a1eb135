"""Training step fed by the store, beside the same step on tensors already in memory."""

import itertools
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from kmerl import params
from kmerl.methods import Method
from kmerl.models.inputs import Batch
from kmerl.params import build
from kmerl.store import read_index
from kmerl.training.data import Pairs, loader
from kmerl.training.loop import PretrainParams
from kmerl.training.model import initial, lead_mask
from kmerl.training.optimiser import Optimiser
from kmerl.training.session import described

ENTITIES, TEXT_WIDTH, STEPS, ROUNDS = 60, 384, 8, 5


class Step:
    """One training step of a model."""

    def __init__(self, model: Method, pretrain: PretrainParams) -> None:
        self.model = model
        self.optimiser = Optimiser(
            self.model, pretrain.weight_decay, pretrain.clip, pretrain.precision, "cpu"
        )
        self.generator = torch.Generator()

    def rate(self, batches: Iterable[Batch]) -> float:
        """Samples a second over the batches."""
        start, count = time.perf_counter(), 0
        for batch in batches:
            terms = self.model(batch, self.generator)
            self.optimiser.step(torch.stack(list(terms.values())).sum(), 1e-4)
            count += len(batch.signal)
        return count / (time.perf_counter() - start)


def measure(store: Path, settings: Path = Path("params.yaml")) -> dict[str, float]:
    """Samples/s of both, in turn, and the median ratio (aim: 0.9).

    Args:
        store: data/ecg/<corpus> as stage `ingest` leaves it.
        settings: the params.yaml whose model and batch are timed.
    """
    values = params.read(settings)
    pairs = _pairs(store)
    config = described(values, tuple(pairs.names), TEXT_WIDTH)
    pretrain = build(PretrainParams, values["pretrain"], "pretrain")
    mask = lead_mask(config.method, config.sections)
    source = loader(pairs, "train", pretrain.batch, mask, config.signal, 0, (0, 1), "cpu", 4)
    step = Step(initial(config, 0, pairs.entities), pretrain)
    held = list(itertools.islice(source.epoch(0), STEPS))
    step.rate(held)
    memory, streamed = [], []
    for _ in range(ROUNDS):  # the same batches, so the same leads and the same arithmetic
        memory.append(step.rate(held))
        streamed.append(step.rate(itertools.islice(source.epoch(0), STEPS)))
    ratios = [a / b for a, b in zip(streamed, memory, strict=True)]
    return {
        "step_from_store_samples_per_s": float(np.median(streamed)),
        "step_in_memory_samples_per_s": float(np.median(memory)),
        "step_from_store_over_in_memory": float(np.median(ratios)),
    }


def _pairs(store: Path) -> Pairs:
    """Every row of the store with random text and labels: their values cost nothing."""
    index = read_index(store)
    rows = index.groups.rows
    generator = torch.Generator().manual_seed(0)
    return Pairs(
        index=index,
        patient=np.arange(rows).astype(str),
        split=np.full(rows, "train"),
        patient_number=np.arange(rows),
        vector=np.zeros(rows, np.int64),
        texts=torch.randn(1, TEXT_WIDTH, generator=generator),
        packed=np.random.default_rng(0).integers(0, 256, (rows, -(-ENTITIES // 8)), np.uint8),
        entities=torch.randn(ENTITIES, TEXT_WIDTH, generator=generator),
        names=[f"entity {i}" for i in range(ENTITIES)],
    )
