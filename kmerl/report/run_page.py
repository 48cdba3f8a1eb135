"""The page of a run, report/index.html: what was asked, what came of it, and what stands behind."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from kmerl.experiments import catalogue
from kmerl.leads import parse_leads
from kmerl.params import ParamsError
from kmerl.report import ecg_paper, run_charts, run_tables
from kmerl.report.charts import Chart
from kmerl.report.examples import Example, examples
from kmerl.report.writers import html, svg
from kmerl.tasks.classes import TASKS

SETTINGS = (
    "splits", "method", "text", "text_encoder", "extract", "verify", "merge", "aggregate",
    "label_matrix", "signal", "encoder", "mask", "query_network", "loss", "pretrain", "prompts",
    "encode", "zero_shot", "linear_probe", "fine_tune", "partial_leads", "seen_unseen",
    "statistics",
)  # fmt: skip
"""Sections of params.yaml that the page shows; each moves a number on it."""
METRICS = (
    "ingest", "mining", "pretrain", "zero_shot", "linear_probe", "fine_tune", "partial_leads",
    "seen_unseen",
)  # fmt: skip
PLOTS = ("pretrain", "partial_leads", "zero_shot_classes")
WIDE, NARROW, PANEL = (590, 370), (400, 330), (330, 220)


@dataclass(frozen=True)
class Report:
    """The `report` section of params.yaml."""

    task: str
    leads: str
    top: int

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ParamsError(f"report.task is {self.task!r}; choose one of {', '.join(TASKS)}")
        try:
            parse_leads(self.leads)
        except ValueError as error:
            raise ParamsError(f"report.leads: {error}") from None


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
        entities=yaml.safe_load(_text(root / "data" / "labels" / "entities.yaml")) or [],
        examples=examples(report.task, report.leads, report.top, root / "data") if some else [],
        printed=catalogue.read(root / catalogue.FILE, root / "params.yaml").printed("kmerl"),
    )


def render(inputs: Inputs, report: Report, values: Mapping[str, Any], simulated: set[str]) -> str:
    """The whole page.

    Args:
        values: params.yaml as read; its `SETTINGS` are shown.
        simulated: corpora that stage `synthesize` wrote; the page says so wherever it matters.
    """
    metrics, plots, printed = inputs.metrics, inputs.plots, inputs.printed
    titles, published = run_tables.CORPUS_TITLES, run_tables.published()
    ratio = values["partial_leads"]["ratio"]
    return html.rendered(
        "report.html",
        ecg_style=Markup(ecg_paper.STYLE),
        simulated=[titles[corpus] for corpus in sorted(simulated)],
        real=[titles[corpus] for corpus in sorted(set(metrics["ingest"]) - simulated)],
        published=published,
        facts=facts(metrics),
        headline=headline(metrics, report.task),
        headline_task=run_tables.TASK_TITLES[report.task],
        curve=_curve(
            run_charts.partial_leads(
                metrics["partial_leads"], plots["partial_leads"], ratio, printed
            )
        ),
        by_task=_panels(run_charts.by_task(plots["partial_leads"])),
        lead_sets=run_tables.lead_sets(metrics["partial_leads"], ratio),
        zero_shot=run_tables.zero_shot(metrics["zero_shot"], printed),
        linear_probe=run_tables.linear_probe(metrics["linear_probe"], printed),
        fine_tune=run_tables.fine_tune(metrics["fine_tune"]),
        classes=run_tables.classes(plots["zero_shot_classes"]),
        few=run_tables.FEW,
        seen_unseen=run_tables.seen_unseen(metrics["seen_unseen"]),
        losses=_panels(run_charts.losses(plots["pretrain"])),
        pretrain=run_tables.nested(metrics["pretrain"], "Pretraining, last epoch"),
        mining=run_tables.nested(metrics["mining"], "Mining in numbers", published["mining"]),
        hierarchy=hierarchy(inputs.entities),
        ingest=run_tables.ingest(metrics["ingest"]),
        rejections=run_tables.rejections(metrics["ingest"]),
        examples=[drawn(example, report.leads) for example in inputs.examples],
        example_leads=" and ".join(parse_leads(report.leads)),
        task_titles=run_tables.TASK_TITLES,
        settings={name: _shown(values[name]) for name in SETTINGS if name in values},
        label_derived=values["text"]["source"] == "scp",
        by_cosine=values["zero_shot"]["score"] == "cosine",
        seed=values["seed"],
        level=f"{100 * values['statistics']['level']:g} %",
    )


def facts(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """How much data the run saw and was measured on."""
    ingest = metrics["ingest"]
    tested = dict.fromkeys(TASKS[task] for task in TASKS if task in metrics["zero_shot"])
    return {
        "pretrain": metrics["pretrain"],
        "tested": {
            run_tables.CORPUS_TITLES[corpus]: ingest.get(corpus, {"records_test": 0})[
                "records_test"
            ]
            for corpus in tested
        },
        "records": sum(entry["records"] for entry in ingest.values()),
        "patients": sum(entry["patients"] for entry in ingest.values()),
    }


def headline(metrics: Mapping[str, Any], task: str) -> list[dict[str, Any]]:
    """The three numbers at the top: all leads, I and II, I alone."""
    tested = metrics["ingest"][TASKS[task]]["tasks"][task]["test"]
    results = metrics["zero_shot"][task]
    return [
        {"leads": title, "score": run_tables.score(row), "row": row, "tested": tested}
        for title, key in run_tables.LEAD_COLUMNS.items()
        if (row := run_tables.by_leads(results, key)) is not None
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


def _curve(chart: Chart) -> dict[str, Any]:
    """The lead curve for a screen and for a telephone."""
    return {
        "series": chart.series,
        "wide": svg.drawn(chart, *WIDE),
        "narrow": svg.drawn(chart, *NARROW),
    }


def _panels(charts: Mapping[str, Chart]) -> dict[str, str]:
    return {title: svg.drawn(chart, *PANEL) for title, chart in charts.items()}


def _sorted(entities: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(entities, key=lambda entity: (-entity["records"], entity["name"]))


def _shown(section: Any) -> str:
    """A section of params.yaml on one line, as YAML writes it."""
    text = yaml.safe_dump(section, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("...\n").strip().strip("{}")


def _text(path: Path) -> str:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run `dvc repro`, which writes it")
    return path.read_text(encoding="utf-8")
