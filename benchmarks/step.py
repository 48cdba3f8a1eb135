"""A training step at the paper's sizes beside MERL's, which reads its reports in every step.

    python -m benchmarks.step [--batches 16 64] [--rounds 3] [--threads 1] [--asked 0 64]
                              [--compiled] [--chunk 0]

MERL's own step is that of `kmerl/methods/merl.py` with its ViT and, in each step, without gradient,
a text tower of BERT's size over 256 tokens a report, as its released code has it; here the tower
has no weights that mean anything, for its arithmetic alone counts. K-MERL's has all names in F_CQ,
or some. Encoders are tiny; fp32, on a batch of noise in memory, K-MERL's once for each number of
leads that its mask shows. All take turns in each round. Figures are processor time, so that what
else the machine does counts little: the median over rounds, ratios the median of the rounds' own.
One JSON document.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.__main__ import four_digits, machine
from benchmarks.memory import NAMES, TEXT_WIDTH
from kmerl import params
from kmerl.cost.steps import Step, leads_shown
from kmerl.models.vit import compile_blocks
from kmerl.training.chunks import in_chunks
from kmerl.training.optimiser import Optimiser
from kmerl.training.session import described

TOKENS, MERL = 256, "merl, texts in the step"


def tower() -> nn.Module:
    """BERT's layers, base size."""
    layer = nn.TransformerEncoderLayer(
        TEXT_WIDTH, 12, 4 * TEXT_WIDTH, activation="gelu", batch_first=True
    )
    return nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)


def turn(
    values: Mapping[str, Any],
    batch: int,
    chunk: int = 0,
    compiled: bool = False,
    texts: bool = False,
) -> Callable[[], float]:
    """A step that is ready: each call takes it, and gives its processor seconds a record.

    Args:
        values: all of params.yaml.
        texts: read them in the step.
    """
    config = described(values, ("entity",) * NAMES, TEXT_WIDTH)
    shown = leads_shown(config)
    model, batches = Step("train", config, batch, shown).ready("cpu", batch)
    if compiled:
        compile_blocks(model)
    network, optimiser = in_chunks(model, chunk, batch), Optimiser(model, 0.0, 0.0, "fp32", "cpu")
    reads, words = tower() if texts else None, torch.randn(batch, TOKENS, TEXT_WIDTH)

    def once() -> float:
        start = time.process_time()
        for one in batches:
            if reads is not None:
                with torch.no_grad():
                    reads(words)
            terms = network(one, torch.Generator().manual_seed(0))
            optimiser.step(torch.stack(list(terms.values())).sum(), 0.0)
        return (time.process_time() - start) / (batch * len(batches))

    return once


def measure(
    values: Mapping[str, Any], batch: int, rounds: int, asked: list[int], chunk: int, compiled: bool
) -> dict[str, dict[str, float]]:
    """{step: {samples a processor second, times MERL's}}.

    Args:
        values: all of params.yaml, of K-MERL.
        asked: names in F_CQ a step; 0 asks all.
        chunk: beside whole batches, also steps in such chunks; 0 for none.
        compiled: beside them, also compiled ones.
    """
    merl = {**values, "method": "merl", "options": {"backbone": "vit"}}
    turns = {MERL: turn(merl, batch, texts=True), "merl, texts embedded once": turn(merl, batch)}
    for names in asked:
        some = {**values, "query_network": {**values["query_network"], "asked": names}}
        key = f"kmerl, {names or NAMES} names"
        turns[key] = turn(some, batch)
        if chunk:
            turns[f"{key}, chunks of {chunk}"] = turn(some, batch, chunk)
        if compiled:
            turns[f"{key}, compiled"] = turn(some, batch, compiled=True)
    found: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds + 1):
        print(f"batch {batch}, round {number} of {rounds}", file=sys.stderr, flush=True)
        for name, once in turns.items():
            seconds = once()
            if number:  # the first warms up, and compiles
                found[name].append(seconds)
    return {
        name: {
            "samples_per_cpu_s": four_digits(float(1 / np.median(seconds))),
            "times_merl": four_digits(
                float(np.median([a / b for a, b in zip(found[MERL], seconds, strict=True)]))
            ),
        }
        for name, seconds in found.items()
    }


def main() -> None:
    """Measure, and print the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--asked", type=int, nargs="+", default=[0, 64])
    parser.add_argument("--chunk", type=int, default=0)
    parser.add_argument("--compiled", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    values = params.read(Path("params/paper.yaml"))
    document: dict[str, Any] = {"machine": machine(), "rounds": given.rounds, "batches": {}}
    for batch in given.batches:
        document["batches"][batch] = measure(
            values, batch, given.rounds, given.asked, given.chunk, given.compiled
        )
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
