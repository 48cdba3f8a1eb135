"""The report page: one file that holds its styles and drawings and asks the network for nothing."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from kmerl.experiments import catalogue, runs
from kmerl.files import parse_yaml
from kmerl.leads import LeadKey, parse_leads
from kmerl.params import Count, checked
from kmerl.report import counts, curves, ecg_paper, probe_tables, results, section, tables
from kmerl.report.examples import Example, examples
from kmerl.tasks.classes import TASKS

SETTINGS = (
    "splits", "method", "text", "text_encoder", "extract", "verify", "merge", "aggregate",
    "label_matrix", "signal", "encoder", "mask", "query_network", "loss", "pretrain", "prompts",
    "encode", "zero_shot", "linear_probe", "fine_tune", "partial_leads", "seen_unseen",
    "statistics",
)  # fmt: skip
"""Sections of params.yaml that the page shows; each moves a number on it."""


@checked
class Report:
    """The `report` section of params.yaml."""

    task: str
    leads: LeadKey
    top: Count

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"task is {self.task!r}; choose one of {', '.join(TASKS)}")


@dataclass(frozen=True)
class Inputs:
    """Everything on the page, as the other stages wrote it."""

    ingest: dict[str, Any]
    mining: dict[str, Any]
    pretrain: dict[str, Any]
    zero_shot: dict[str, Any]
    linear_probe: dict[str, Any]
    fine_tune: dict[str, Any]
    partial_leads: dict[str, Any]
    seen_unseen: dict[str, Any]
    loss_rows: list[dict[str, str]]
    partial_rows: list[dict[str, str]]
    class_rows: list[dict[str, str]]
    entities: list[dict[str, Any]]
    examples: list[Example]
    experiments: catalogue.Catalogue
    results: list[results.Result]


METRICS = (
    "ingest", "mining", "pretrain", "zero_shot", "linear_probe", "fine_tune", "partial_leads",
    "seen_unseen",
)  # fmt: skip


def read_inputs(root: Path, report: Report) -> Inputs:
    """The metrics, plots, entities, example records and experiments' results below `root`.

    Raises:
        FileNotFoundError: a stage has not run; the message names the file.
    """
    metrics = {name: json.loads(_text(root / "metrics" / f"{name}.json")) for name in METRICS}
    task = metrics["zero_shot"][report.task]
    some = any(row["records"] for row in task.values())
    experiments = catalogue.read(root / catalogue.FILE, root / "params.yaml")
    return Inputs(
        **metrics,
        loss_rows=_rows(root / "plots" / "pretrain.csv"),
        partial_rows=_rows(root / "plots" / "partial_leads.csv"),
        class_rows=_rows(root / "plots" / "zero_shot_classes.csv"),
        entities=parse_yaml(_text(root / "data/labels/entities.yaml"), "entities.yaml") or [],
        examples=examples(report.task, report.leads, report.top, root / "data") if some else [],
        experiments=experiments,
        results=results.results(experiments, runs.read(root / runs.FILE)),
    )


def render(inputs: Inputs, report: Report, values: Mapping[str, Any], simulated: set[str]) -> str:
    """The whole page.

    Args:
        values: params.yaml as read; its `SETTINGS` are shown.
        simulated: corpora that stage `synthesize` wrote; the page says so wherever it matters.
    """
    printed = inputs.experiments.printed("kmerl")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kmerl.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html").render(
        ecg_style=Markup(ecg_paper.STYLE),
        facts=facts(inputs),
        paper=section.section(inputs.experiments, inputs.results),
        simulated=[tables.CORPUS_TITLES[corpus] for corpus in sorted(simulated)],
        real=[tables.CORPUS_TITLES[c] for c in sorted(set(inputs.ingest) - simulated)],
        scale=tables.published()["scale"],
        headline=headline(inputs.zero_shot[report.task], inputs.ingest, report.task),
        headline_task=tables.TASK_TITLES[report.task],
        partial=curves.partial_leads(
            inputs.partial_leads, inputs.partial_rows, values["partial_leads"]["ratio"], printed
        ),
        panels=curves.panels(inputs.partial_rows),
        lead_sets=tables.lead_sets(inputs.partial_leads, values["partial_leads"]["ratio"]),
        zero_shot=tables.zero_shot(inputs.zero_shot, printed),
        linear_probe=probe_tables.linear_probe(inputs.linear_probe, printed),
        fine_tune=probe_tables.fine_tune(inputs.fine_tune),
        classes=tables.classes(inputs.class_rows),
        few=tables.FEW,
        seen_unseen=tables.seen_unseen(inputs.seen_unseen),
        losses=curves.losses(inputs.loss_rows),
        pretrain=counts.nested(inputs.pretrain, "Pretraining, last epoch"),
        mining=counts.nested(inputs.mining, "Mining, in numbers", tables.published()["mining"]),
        hierarchy=hierarchy(inputs.entities),
        ingest=counts.ingest(inputs.ingest),
        rejections=counts.rejections(inputs.ingest),
        examples=[drawn(example, report.leads) for example in inputs.examples],
        example_leads=" and ".join(parse_leads(report.leads)),
        task_titles=tables.TASK_TITLES,
        settings={name: _shown(values[name]) for name in SETTINGS if name in values},
        label_derived=values["text"]["source"] == "scp",
        by_cosine=values["zero_shot"]["score"] == "cosine",
        seed=values["seed"],
        level=f"{100 * values['statistics']['level']:g} %",
    )


def facts(inputs: Inputs) -> dict[str, Any]:
    """How much data the run saw and was measured on."""
    tested = {TASKS[task]: 0 for task in TASKS if task in inputs.zero_shot}
    for corpus in tested:
        tested[corpus] = inputs.ingest.get(corpus, {"records_test": 0})["records_test"]
    return {
        "pretrain": inputs.pretrain,
        "tested": {tables.CORPUS_TITLES[c]: n for c, n in tested.items()},
        "records": sum(entry["records"] for entry in inputs.ingest.values()),
        "patients": sum(entry["patients"] for entry in inputs.ingest.values()),
    }


def headline(
    results: Mapping[str, Any], ingest: Mapping[str, Any], task: str
) -> list[dict[str, Any]]:
    """The three numbers at the top: all leads, I and II, I alone."""
    tested = ingest[TASKS[task]]["tasks"][task]["test"]
    return [
        {"leads": title, "score": tables.score(row), "row": row, "tested": tested}
        for title, key in tables.LEAD_COLUMNS.items()
        if (row := tables.by_leads(results, key)) is not None
    ]


def hierarchy(entities: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Superclasses with their entities, then the entities below none; most records first."""
    by_name = {entity["name"]: entity for entity in entities}
    parents = [entity for entity in entities if entity["kind"] == "superclass"]
    below = {child for parent in parents for child in parent["children"]}
    orphans = [e for e in entities if e["kind"] == "entity" and e["name"] not in below]
    groups = [
        {
            "name": parent["name"],
            "records": parent["records"],
            "children": _sorted(by_name[child] for child in parent["children"] if child in by_name),
        }
        for parent in _sorted(parents)
    ]
    if orphans:
        groups.append({"name": "", "records": None, "children": _sorted(orphans)})
    return groups


def drawn(example: Example, few_leads: str) -> dict[str, Any]:
    """An example with its two drawings: all leads, and the few."""
    few = {lead: example.signals[lead] for lead in parse_leads(few_leads)}
    title = f"Record {example.record} on ECG paper"
    return {
        "record": example.record,
        "shown_for": example.shown_for,
        "all": ecg_paper.picture(example.signals, example.rate, f"{title}, twelve leads"),
        "few": ecg_paper.picture(few, example.rate, f"{title}, leads {', '.join(few)}"),
        "predictions": example.predictions,
    }


def _sorted(entities: Any) -> list[Any]:
    return sorted(entities, key=lambda entity: (-entity["records"], entity["name"]))


def _shown(section: Any) -> str:
    """A section of params.yaml on one line, as YAML writes it."""
    text = yaml.safe_dump(section, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("...\n").strip().strip("{}")


def _text(path: Path) -> str:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run `dvc repro`, which writes it")
    return path.read_text(encoding="utf-8")


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(_text(path).splitlines()))
