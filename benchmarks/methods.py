"""What each method costs beside K-MERL: training and encoding, seconds and operations a record.

    python -m benchmarks.methods [--rounds 7] [--threads 1]

Sizes are those of params.yaml: encoder, batch, rate and seconds. All methods take turns in each
round, so that what else the machine does hits all alike; a figure is the median over rounds, and
a ratio to K-MERL is the median of the rounds' own ratios. A training step is forward, backward and
optimiser on a batch in memory, once for each number of leads that the method's mask may show.
Encoding is the frozen encoder on `encode.batch` records. A table goes to stderr, one JSON document
to stdout.
"""

import argparse
import json
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.__main__ import four_digits, machine
from benchmarks.training import ENTITIES, TEXT_WIDTH
from kmerl import methods, params
from kmerl.cost.steps import Step, leads_shown, operations, timer
from kmerl.params import build
from kmerl.training.loop import PretrainParams
from kmerl.training.model import ModelConfig, create
from kmerl.training.session import described

BESIDE = "kmerl"
NAMES = sorted(module.name for module in pkgutil.iter_modules(methods.__path__))
CASES: Mapping[str, Mapping[str, Any]] = {
    **{name: {"method": name} for name in (BESIDE, *NAMES)},
    "merl, ViT": {"method": "merl", "options": {"backbone": "vit"}},
    "random, ViT": {"method": "random", "options": {"backbone": "vit"}},
    "random, lead tokens": {"method": "random", "options": {"backbone": "lead_tokens"}},
}
SECONDS = ("train", "encode_12", "encode_1")


class Case:
    """One method, ready to take a turn."""

    def __init__(self, config: ModelConfig, pretrain: PretrainParams, encode_batch: int) -> None:
        torch.manual_seed(0)
        self.config = config
        self.steps = {
            f"encode_{leads}": Step("encode", config, encode_batch, (leads,)) for leads in (12, 1)
        }
        if config.method != "random":
            shown = leads_shown(config)
            self.steps["train"] = Step("train", config, pretrain.batch, shown, pretrain.precision)
        self.timers = {name: timer(step, "cpu") for name, step in self.steps.items()}

    def turn(self) -> dict[str, float]:
        """Seconds a record of training, where there is any, and of encoding."""
        return {name: once() / len(self.steps[name].leads) for name, once in self.timers.items()}

    def facts(self) -> dict[str, float]:
        """Parameters, and operations a record."""
        parameters = sum(p.numel() for p in create(self.config).encoder.parameters())
        counted = {
            f"{name}_flops": operations(step) / len(step.leads) for name, step in self.steps.items()
        }
        return {"parameters_encoder": parameters, **counted}


def measure(
    values: Mapping[str, Any], rounds: int, only: Sequence[str] = tuple(CASES)
) -> dict[str, dict[str, float]]:
    """{method: {figure: value}}; seconds as `train_s`, their ratio to K-MERL as `train_over_kmerl`.

    Args:
        values: all of params.yaml.
        rounds: turns of each method; one more, before them, is not counted.
    """
    pretrain = build(PretrainParams, values["pretrain"], "pretrain")
    cases = {}
    for name in only:
        chosen = {**values, "options": {}, **CASES[name]}
        config = described(chosen, ("entity",) * ENTITIES, TEXT_WIDTH)
        cases[name] = Case(config, pretrain, values["encode"]["batch"])
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        for name, case in cases.items():
            found = case.turn()
            if number:
                turns[name].append(found)
    return {
        name: {**_medians(turns[name], turns[BESIDE]), **case.facts()}
        for name, case in cases.items()
    }


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Milliseconds and millions of operations a record, a method a line."""
    heads = ("train", "encode 12", "encode 1")
    lines = [
        f"{'':20}{'ms a record':>33}{'over kmerl':>33}{'MFLOP a record':>33}{'encoder':>11}",
        f"{'':20}{(''.join(f'{head:>11}' for head in heads)) * 3}{'parameters':>11}",
    ]
    for name, row in found.items():
        cells = [_cell(row, f"{kind}_s", 1e3, 2) for kind in SECONDS]
        cells += [_cell(row, f"{kind}_over_kmerl", 1, 2) for kind in SECONDS]
        cells += [_cell(row, f"{kind}_flops", 1e-6, 0) for kind in SECONDS]
        lines.append(f"{name:20}{''.join(cells)}{row['parameters_encoder']:>11,}")
    return "\n".join(lines)


def _cell(row: Mapping[str, float], key: str, factor: float, digits: int) -> str:
    return f"{row[key] * factor:>11,.{digits}f}" if key in row else f"{'-':>11}"


def _medians(
    mine: Sequence[Mapping[str, float]], beside: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    found = {}
    for kind in mine[0]:
        found[f"{kind}_s"] = float(np.median([turn[kind] for turn in mine]))
        ratios = [one[kind] / other[kind] for one, other in zip(mine, beside, strict=True)]
        found[f"{kind}_over_kmerl"] = float(np.median(ratios))
    return found


def main() -> None:
    """Measure, and print the table and the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="turns of each method")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    values = params.read(Path("params.yaml"))
    found = measure(values, given.rounds)
    print(table(found), file=sys.stderr)
    pretrain = build(PretrainParams, values["pretrain"], "pretrain")
    document = {
        "machine": machine(),
        "rounds": given.rounds,
        "encoder": values["encoder"]["size"],
        "records_a_step": pretrain.batch,
        "records_encoded_together": values["encode"]["batch"],
        "precision": "fp32",
        "methods": {
            name: {key: four_digits(value) for key, value in row.items()}
            for name, row in found.items()
        },
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
