"""GPU-hours of a table's experiments, before anybody queues them.

Operations are counted from each experiment's own settings (`arithmetic`, `work`) at a profile's
sizes (`scale`), and divided by how many a second a training step of that very encoder reaches on
this machine, or by a number that is given. Stages whose parameters agree are shared, as DVC does,
and are counted once.
"""

import copy
import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from kmerl.cost import arithmetic, work
from kmerl.experiments import stages
from kmerl.experiments.catalogue import Catalogue, Experiment
from kmerl.params import build
from kmerl.progress import track
from kmerl.training.loop import PretrainParams
from kmerl.training.model import lead_mask
from kmerl.training.optimiser import Optimiser

KINDS = {"extract": "mining", "verify": "mining"}  # every other stage has its own column
COLUMNS = ("mining", "pretrain", "encode", "fine_tune")
STEPS = 3  # that are timed, after one that is not
RECORDS_A_STEP = {"cpu": 16, "cuda": 512}  # at most, of a measured step

Speed = Callable[[Mapping[str, Any]], float]
"""Operations a second, by all of params.yaml."""


@dataclass(frozen=True)
class Line:
    """An experiment's hours by column over all seeds; `shared` names columns of which an
    experiment above has some or all, counted there."""

    experiment: str
    hours: Mapping[str, float]
    shared: frozenset[str]

    @property
    def total(self) -> float:
        return sum(self.hours.values())


def cost(
    catalogue: Catalogue,
    tables: Iterable[str],
    values: Mapping[str, Any],
    seeds: int,
    speed: Speed,
) -> list[Line]:
    """One line an experiment, in the order of the tables; together, what they cost.

    Args:
        values: all of a profile's params.yaml.
        seeds: of each experiment.
        speed: `given` or `Measured`.
    """
    names = list(dict.fromkeys(one.name for table in tables for one in catalogue.of(table)))
    counted: dict[str, float] = {}
    return [
        _line(catalogue.experiments[name], catalogue, values, seeds, speed, counted)
        for name in track(names, "counting", unit="experiments")
    ]


def given(operations: float) -> Speed:
    """The same speed for every encoder."""
    return lambda _values: operations


class Measured:
    """A training step of each encoder, on this machine, timed when it is first asked about."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._known: dict[str, float] = {}

    def __call__(self, values: Mapping[str, Any]) -> float:
        keys = ("method", "options", "encoder")
        key = json.dumps({name: values[name] for name in keys}, sort_keys=True)
        if key not in self._known:
            self._known[key] = self._measure(values)
        return self._known[key]

    def _measure(self, values: Mapping[str, Any]) -> float:
        config = work.model(values)
        pretrain = build(PretrainParams, values["pretrain"], "pretrain")
        precision = pretrain.precision if self.device == "cuda" else "fp32"  # others are slow there
        counts = arithmetic.leads_shown(lead_mask(config.method, config.sections))
        leads, records = counts[len(counts) // 2], min(pretrain.batch, RECORDS_A_STEP[self.device])
        model = arithmetic.model_on(self.device, config)
        batch = arithmetic.shown(config, records, leads, self.device)
        optimiser = Optimiser(model, pretrain.weight_decay, pretrain.clip, precision, self.device)
        generator = torch.Generator().manual_seed(0)
        seconds = []
        for _ in range(1 + STEPS):
            start = time.perf_counter()
            with optimiser.autocast():
                loss = arithmetic.loss(model, batch, generator)
            optimiser.step(loss, 0.0)
            if self.device == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
        return arithmetic.step(config, records, leads) / statistics.median(seconds[1:])


def changed(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """All of params.yaml with some dotted keys given other values."""
    whole = copy.deepcopy(dict(values))
    for key, value in given.items():
        *sections, last = key.split(".")
        inner = whole
        for section in sections:
            inner = inner[section]
        inner[last] = value
    return whole


def as_text(lines: list[Line], heading: str) -> str:
    """A table: `=` is shared with a line above, a trailing `=` in part."""
    width = max([len("experiment"), *(len(line.experiment) for line in lines)])
    rows = [heading, f"{'experiment':{width}}" + "".join(f"{c:>12}" for c in (*COLUMNS, "hours"))]
    for line in lines:
        cells = "".join(f"{_cell(line, column):>12}" for column in COLUMNS)
        rows.append(f"{line.experiment:{width}}{cells}{_hours(line.total):>12}")
    sums = [sum(line.hours.get(column, 0.0) for line in lines) for column in COLUMNS]
    total = "".join(f"{_hours(one):>12}" for one in (*sums, sum(sums)))
    return "\n".join([*rows, f"{'total':{width}}{total}"])


def _line(
    experiment: Experiment,
    catalogue: Catalogue,
    values: Mapping[str, Any],
    seeds: int,
    speed: Speed,
    counted: dict[str, float],
) -> Line:
    """What is not in `counted`, to which it is added: hours by a stage and all that decides its
    output."""
    hours: dict[str, float] = {}
    shared = set()
    own = changed(changed(values, catalogue.every), experiment.set)
    each: dict[str, float] = {}  # a stage's hours; no seed changes them
    for seed in range(seeds):
        pipeline = stages.read({**own, "seed": seed})
        needed = pipeline.upstream(experiment.targets)
        for stage in (name for name in work.STAGES if name in needed):
            column = KINDS.get(stage, stage)
            decided = json.dumps([stage, pipeline.decided_by(stage)], sort_keys=True)
            if decided in counted:
                if stage not in each and counted[decided]:
                    shared.add(column)
                continue
            if stage not in each:
                operations = work.STAGES[stage](own)
                each[stage] = operations / speed(own) / 3600 if operations else 0.0
            counted[decided] = each[stage]
            hours[column] = hours.get(column, 0.0) + each[stage]
    return Line(experiment.name, hours, frozenset(shared))


def _cell(line: Line, column: str) -> str:
    found = _hours(line.hours[column]) if line.hours.get(column) else ""
    return found + ("=" if column in line.shared else "") or "-"


def _hours(hours: float) -> str:
    """Two digits or more."""
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2g}" if hours else "0"
