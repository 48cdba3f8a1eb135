"""GPU-hours of a table's experiments, before anybody queues them.

A step of each experiment's own model (`steps`) is measured or counted, and multiplied by how many
records a profile shows it (`scale`). Stages whose parameters agree are shared, as DVC does, and
are counted once.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kmerl.cost import scale
from kmerl.cost.steps import Step, leads_shown
from kmerl.evaluation.encode import EncodeParams, lead_sets
from kmerl.evaluation.fine_tune_fit import FineTune
from kmerl.experiments import stages
from kmerl.experiments.catalogue import Catalogue, changed
from kmerl.params import build
from kmerl.progress import track
from kmerl.tasks.classes import classes, tasks_of
from kmerl.training.model import ModelConfig
from kmerl.training.session import described

Seconds = Callable[[Step], float]
"""A record's seconds in a step, on all of its numbers of leads (`steps.Known`)."""
Hours = Mapping[str, float | None]
"""Of an experiment over all seeds, by stage; None is shared with an experiment above."""


def cost(
    catalogue: Catalogue,
    tables: Iterable[str],
    values: Mapping[str, Any],
    seeds: int,
    seconds: Seconds,
) -> dict[str, Hours]:
    """Hours by experiment, in the order of the tables; together, what they cost.

    Args:
        values: all of a profile's params.yaml.
        seeds: of each experiment.
    """
    counted: dict[str, float] = {}  # by a stage and all that decides its output
    found: dict[str, Hours] = {}
    for experiment in track(catalogue.of(*tables), "measuring", unit="experiments"):
        own = changed(values, {**catalogue.every, **experiment.set})
        pipeline = stages.read(own)
        needed = pipeline.upstream(experiment.targets)
        hours: dict[str, float | None] = {}
        for stage in (stage for stage in STAGES if stage in needed):
            key = json.dumps([stage, pipeline.decided_by(stage)], sort_keys=True)
            if key in counted:
                hours[stage] = None if counted[key] else 0.0
            else:
                hours[stage] = counted[key] = STAGES[stage](own, seconds) * seeds / 3600
        found[experiment.name] = hours
    return found


def pretrain(values: Mapping[str, Any], seconds: Seconds) -> float:
    """Every pair in every epoch; validation is left out."""
    if values["method"] == "random":
        return 0.0
    section, config = values["pretrain"], _model(values)
    leads = leads_shown(config)
    step = Step("train", config, section["batch"], leads, section["precision"])
    return scale.pairs(values) * section["epochs"] * seconds(step) / len(leads)


def encode(values: Mapping[str, Any], seconds: Seconds) -> float:
    """Every record of a task once for each set of leads, by the trained and, where asked, by an
    untrained encoder; those held out are asked for the classes of the corpus that has most."""
    params = build(EncodeParams, values["encode"], "encode")
    sets = lead_sets(params)
    read = [*set(sets.values()), *{sets[key] for key in params.random}]
    names = {c: sum(len(classes(task)) for task in tasks_of(c)) for c in values["corpora"]}
    leads = tuple(sorted(map(len, read)))
    most = max(names.values())
    step = Step("encode", _model(values), params.batch, leads, params.precision, most)
    return seconds(step) * sum(scale.members(values, corpus) for corpus in names if names[corpus])


def fine_tune(values: Mapping[str, Any], seconds: Seconds) -> float:
    """All weights on each task, ratio, set of leads, seed and start; validation is left out."""
    params = build(FineTune, values["fine_tune"], "fine_tune")
    leads = tuple(len(one) for one in params.lead_sets.values())
    step = Step("tune", _model(values), params.batch, leads, params.precision)
    times = sum(params.ratios) / 100 * params.epochs * params.seeds * len(params.starts)
    tasks = [(task, corpus) for corpus in values["corpora"] for task in tasks_of(corpus)]
    return seconds(step) * times * sum(scale.train_records(values, *task) for task in tasks)


STAGES: Mapping[str, Callable[[Mapping[str, Any], Seconds], float]] = {
    "pretrain": pretrain,
    "encode": encode,
    "fine_tune": fine_tune,
}
"""Seconds of the stages that train or read with a model, by all of params.yaml."""


def as_text(found: Mapping[str, Hours], heading: str, gpus: int = 1) -> str:
    """A table; `=` is shared with a line above. The last column is on several `gpus`."""
    totals = {stage: sum(hours.get(stage) or 0.0 for hours in found.values()) for stage in STAGES}
    width = max(map(len, ["experiment", *found]))
    columns = [*STAGES, "hours", *([f"on {gpus}"] if gpus > 1 else [])]
    lines = [heading, f"{'experiment':{width}}" + "".join(f"{c:>12}" for c in columns)]
    for name, hours in {**found, "total": totals}.items():
        together = sum(one or 0.0 for one in hours.values())
        cells = [*(hours.get(stage, 0.0) for stage in STAGES), together, together / gpus]
        shown = cells[: len(columns)]
        lines.append(f"{name:{width}}" + "".join(f"{_cell(one):>12}" for one in shown))
    return "\n".join(lines)


def _model(values: Mapping[str, Any]) -> ModelConfig:
    """What is trained, at the numbers of entities and text dimensions that are to be expected."""
    return described(values, ("entity",) * scale.ENTITIES, scale.text_width(values))


def _cell(hours: float | None) -> str:
    """Two digits or more."""
    if not hours:
        return "=" if hours is None else "-"
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2g}"
