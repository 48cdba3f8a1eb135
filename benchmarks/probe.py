"""The linear probe on features kept once, beside the loop that encodes every batch of every epoch.

    python -m benchmarks.probe

Reads data/ and models/ as `dvc repro pretrain` leaves them: task ptbxl_super, twelve leads, all
training records, one seed and weight decay. Both ways draw the same batches, validate after every
epoch and test the best one; the loop has its signals ready in memory. A short fit is run in full
both ways, and must give the same test AUROC. The long one is run in full on kept features; the
loop's time is that of an epoch of the short fit times the epochs, and its test (extrapolated).
"""

import dataclasses
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kmerl import params, seeds
from kmerl.evaluation.metrics import auroc, macro
from kmerl.evaluation.probe_fit import LinearProbe, Part, fit, logits
from kmerl.leads import LEADS
from kmerl.models.inputs import normalised
from kmerl.models.vit import pool
from kmerl.store import read_signals, read_table
from kmerl.tasks.classes import official
from kmerl.tasks.cohort import Cohort, read_cohort
from kmerl.training.model import load
from kmerl.training.schedule import learning_rate

TASK, CORPUS, SHORT = "ptbxl_super", "ptb-xl", 3
DATA, MODELS = Path("data"), Path("models")
TOLERANCE = (
    1e-3  # of a macro AUROC; batches of other sizes round features otherwise in the 7th digit
)


def ready() -> bool:
    """Whether there is a model, and a corpus to probe it on."""
    return (MODELS / "config.json").exists() and (DATA / "ecg" / CORPUS).exists()


def measure() -> dict[str, float]:
    """Seconds both ways, their ratio (aim: 30), and the AUROC both ways of the short fit.

    Raises:
        RuntimeError: the two ways of the short fit disagree; their times would not compare.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measure(params.load("linear_probe", LinearProbe))
    finally:
        torch.set_num_threads(threads)


def _measure(settings: LinearProbe) -> dict[str, float]:
    cohort = read_cohort(DATA / "splits", official(TASK))
    parts = [cohort.split(name) for name in ("train", "val", "test")]
    config, model = load(MODELS)
    signals = [_signals(part, config.signal) for part in parts]
    short = dataclasses.replace(settings, epochs=SHORT, warmup_epochs=1)
    naive, epochs, testing = _encoding_every_epoch(model.encoder, signals, parts, short)
    start = time.perf_counter()
    kept = [_encode(model.encoder, one, settings.batch) for one in signals]
    encoding = time.perf_counter() - start
    cached = _on_kept(kept, parts, short)
    if abs(naive - cached) > TOLERANCE:
        raise RuntimeError(f"test AUROC is {naive} by the loop, {cached} on kept features")
    start = time.perf_counter()
    long = _on_kept(kept, parts, settings)
    fitting = time.perf_counter() - start
    loop = epochs / SHORT * settings.epochs + testing
    return {
        "probe_epochs": settings.epochs,
        "probe_records": sum(len(part.records) for part in parts),
        "probe_short_epochs": SHORT,
        "probe_short_auroc_loop": naive,
        "probe_short_auroc_kept": cached,
        "probe_auroc_kept": long,
        "probe_encoding_once_s": encoding,
        "probe_fit_on_kept_s": fitting,
        "probe_loop_extrapolated_s": loop,
        "probe_loop_over_kept": loop / (encoding + fitting),
    }


def _signals(part: Cohort, signal: Any) -> Tensor:
    """Prepared signals (records, leads, samples) in the order of the records."""
    store = DATA / "ecg" / CORPUS
    place = {r: i for i, r in enumerate(read_table(store, ["record"])["record"].to_pylist())}
    rows = np.array([place[record] for record in part.records])
    order = np.argsort(rows)
    blocks = [block for _, block in read_signals(store, LEADS, 64, rows[order])]
    return torch.from_numpy(normalised(np.concatenate(blocks)[np.argsort(order)], None, signal))


@torch.inference_mode()
def _encode(encoder: Any, signals: Tensor, batch: int) -> Tensor:
    """Features (records, width)."""
    leads = torch.arange(len(LEADS))
    return torch.cat(
        [pool(encoder(part, leads.expand(len(part), -1))) for part in signals.split(batch)]
    )


def _random() -> np.random.Generator:
    return seeds.generator(0, "benchmark", "probe")


def _on_kept(kept: list[Tensor], parts: list[Cohort], settings: LinearProbe) -> float:
    """Test AUROC of one classifier by `kmerl.evaluation.probe_fit`."""
    train, validation, test = (
        Part(features[None].clone(), part.truth) for features, part in zip(kept, parts, strict=True)
    )
    everyone = np.arange(len(train.truth))[None]
    decays = (settings.weight_decay,)
    found = fit(train, validation, everyone, settings, decays, [_random()])
    scores = logits(test.features, found.weight[:, :, 0])[0, 0].numpy()
    return float(macro(auroc(test.truth, scores)))


def _encoding_every_epoch(
    encoder: Any, signals: list[Tensor], parts: list[Cohort], settings: LinearProbe
) -> tuple[float, float, float]:
    """Test AUROC of the same classifier by torch.nn.Linear and torch.optim.AdamW.

    And the seconds of all epochs, and of the test.
    """
    truth, random = torch.from_numpy(parts[0].truth).float(), _random()
    width = _encode(encoder, signals[0][:1], 1).shape[1]
    bound = 1 / math.sqrt(width)
    start = random.uniform(-bound, bound, (width + 1, truth.shape[1])).astype(np.float32)
    layer = torch.nn.Linear(width, truth.shape[1])
    weights = {"weight": torch.from_numpy(start[:-1].T), "bias": torch.from_numpy(start[-1])}
    layer.load_state_dict(weights)
    decay = settings.weight_decay
    optimizer = torch.optim.AdamW(layer.parameters(), lr=settings.learning_rate, weight_decay=decay)
    steps = math.ceil(len(truth) / settings.batch)
    best, began = (-1.0, weights), time.perf_counter()
    for epoch in range(settings.epochs):
        order = torch.from_numpy(random.permutation(len(truth)))
        for step, rows in enumerate(order.split(settings.batch)):
            now, warmup = epoch * steps + step, settings.warmup_epochs * steps
            rate = learning_rate(now, settings.epochs * steps, warmup, settings.learning_rate)
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            features = _encode(encoder, signals[0][rows], settings.batch).clone()
            torch.nn.BCEWithLogitsLoss()(layer(features), truth[rows]).backward()
            optimizer.step()
        value = _score(encoder, layer, signals[1], parts[1], settings.batch)
        if value > best[0]:
            best = (value, {name: one.clone() for name, one in layer.state_dict().items()})
    ended = time.perf_counter()
    layer.load_state_dict(best[1])
    reached = _score(encoder, layer, signals[2], parts[2], settings.batch)
    return reached, ended - began, time.perf_counter() - ended


@torch.inference_mode()
def _score(encoder: Any, layer: Any, signals: Tensor, part: Cohort, batch: int) -> float:
    return float(macro(auroc(part.truth, layer(_encode(encoder, signals, batch)).numpy())))


if __name__ == "__main__":
    if not ready():
        sys.exit(f"{MODELS}/ or {DATA}/ecg/{CORPUS} is missing; run `dvc repro pretrain`")
    print(json.dumps(measure(), indent=1))
