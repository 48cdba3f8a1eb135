"""The page of a run, report/index.html: what was asked, what came of it, and what stands behind."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kmerl import params
from kmerl.experiments import catalogue
from kmerl.files import parse_yaml
from kmerl.leads import LEADS, LeadKey, parse_leads
from kmerl.params import Count, checked
from kmerl.report import run_charts, run_tables
from kmerl.report.examples import Example, examples
from kmerl.report.published import PUBLISHED
from kmerl.report.writers import html, svg
from kmerl.tasks import classes

SETTINGS = (
    "splits", "method", "options", "text", "text_encoder", "extract", "verify", "merge",
    "aggregate", "label_matrix", "signal", "encoder", "mask", "query_network", "loss", "pretrain",
    "prompts", "encode", "zero_shot", "linear_probe", "fine_tune", "partial_leads", "seen_unseen",
    "statistics",
)  # fmt: skip
"""Sections of params.yaml that the page shows; each moves a number on it."""
METRICS = (
    "ingest", "mining", "pretrain", "zero_shot", "linear_probe", "fine_tune", "partial_leads",
    "seen_unseen",
)  # fmt: skip
PLOTS = ("pretrain", "partial_leads", "zero_shot_classes")


@checked
class Report:
    """The `report` section of params.yaml."""

    task: str
    leads: LeadKey
    top: Count


@dataclass(frozen=True)
class Inputs:
    """What the other stages wrote: metrics/*.json and plots/*.csv by name, entities, examples, and
    the paper's values by metric, in per cent (`Catalogue.printed`)."""

    metrics: Mapping[str, Any]
    plots: Mapping[str, Sequence[Mapping[str, str]]]
    entities: Sequence[Mapping[str, Any]]
    examples: Sequence[Example]
    printed: Mapping[str, float]


def read_inputs(root: Path, report: Report) -> Inputs:
    """Everything on the page, below `root`.

    Raises:
        FileNotFoundError: a stage has not run; the message names the file.
    """
    metrics = {name: json.loads(_text(root / "metrics" / f"{name}.json")) for name in METRICS}
    plots = {name: _text(root / "plots" / f"{name}.csv").splitlines() for name in PLOTS}
    some = any(row["records"] for row in metrics["zero_shot"][report.task].values())
    return Inputs(
        metrics=metrics,
        plots={name: list(csv.DictReader(lines)) for name, lines in plots.items()},
        entities=parse_yaml(_text(root / "data/labels/entities.yaml"), "entities.yaml") or [],
        examples=examples(report.task, report.leads, report.top, root / "data") if some else [],
        printed=catalogue.read(root / catalogue.FILE, root / "params.yaml").printed("kmerl"),
    )


def render(inputs: Inputs, report: Report, values: Mapping[str, Any], simulated: set[str]) -> str:
    """The whole page.

    Args:
        values: params.yaml as read; its `SETTINGS` are shown.
        simulated: corpora that stage `synthesize` wrote; the page says so wherever it matters.
    """
    metrics, plots = inputs.metrics, inputs.plots
    averaged = {*classes.averaged(metrics["zero_shot"].keys() - {"average"})}
    beside = averaged == classes.TASKS.keys()  # else ours is no mean that the paper has
    printed = {k: v for k, v in inputs.printed.items() if beside or ".average." not in k}
    title, ratio = run_tables.corpus_title, values["partial_leads"]["ratio"]
    sets = run_tables.by_columns(metrics["zero_shot"][report.task])
    home = {task: c for c, entry in metrics["ingest"].items() for task in entry["tasks"]}
    tested = dict.fromkeys(home[task] for task in run_tables.in_order(home))
    return html.rendered(
        "report.html",
        metrics=metrics,
        published=PUBLISHED,
        simulated=[title(corpus) for corpus in sorted(simulated)],
        real=[title(corpus) for corpus in sorted(set(metrics["ingest"]) - simulated)],
        tested={title(corpus): metrics["ingest"][corpus]["records_test"] for corpus in tested},
        asked=metrics["ingest"][home[report.task]]["tasks"][report.task]["test"],
        full=sets["12 leads"],
        headline={leads: run_tables.score(row) for leads, row in sets.items()},
        headline_task=run_tables.task_title(report.task),
        curve=run_charts.partial_leads(plots["partial_leads"], ratio, printed),
        drawn=svg.drawn,
        averaged=len(averaged),
        by_task=run_charts.by_task(plots["partial_leads"]),
        lead_sets=run_tables.lead_sets(metrics["partial_leads"], ratio),
        zero_shot=run_tables.zero_shot(metrics["zero_shot"], printed),
        linear_probe=run_tables.linear_probe(metrics["linear_probe"], printed),
        fine_tune=run_tables.fine_tune(metrics["fine_tune"]),
        classes=run_tables.classes(plots["zero_shot_classes"]),
        few=run_tables.FEW,
        seen_unseen=run_tables.seen_unseen(metrics["seen_unseen"]),
        losses=run_charts.losses(plots["pretrain"]),
        pretrain=run_tables.counts(metrics["pretrain"], "Pretraining, last epoch"),
        mining=run_tables.counts(metrics["mining"], "Mining in numbers", PUBLISHED["mining"]),
        hierarchy=hierarchy(inputs.entities),
        ingest=run_tables.ingest(metrics["ingest"]),
        rejections=run_tables.rejections(metrics["ingest"]),
        examples=inputs.examples,
        all_leads=LEADS,
        few_leads=parse_leads(report.leads),
        task_title=run_tables.task_title,
        settings=_settings(values),
        label_derived=values["text"]["source"] == "scp",
        by_cosine=values["zero_shot"]["score"] == "cosine",
        seed=values["seed"],
        level=f"{100 * values['statistics']['level']:g} %",
    )


def hierarchy(entities: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Superclasses with their entities, then the entities below none; most records first."""
    ordered = sorted(entities, key=lambda entity: (-entity["records"], entity["name"]))
    groups = [
        {**parent, "children": [e for e in ordered if e["name"] in parent["children"]]}
        for parent in ordered
        if parent["kind"] == "superclass"
    ]
    below = [child for parent in groups for child in parent["children"]]
    orphans = [e for e in ordered if e["kind"] == "entity" and e not in below]
    return [*groups, *([{"name": "", "records": None, "children": orphans}] if orphans else [])]


def _settings(values: Mapping[str, Any]) -> dict[str, str]:
    """What the page shows of params.yaml; of `options`, what holds for this method."""
    shown = {**values, "options": params.options(values)}
    return {name: _shown(shown[name]) for name in SETTINGS if name in shown}


def _shown(section: Any) -> str:
    """A section of params.yaml on one line, as YAML writes it."""
    text = yaml.safe_dump(section, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("...\n").strip().strip("{}")


def _text(path: Path) -> str:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run `dvc repro`, which writes it")
    return path.read_text(encoding="utf-8")
