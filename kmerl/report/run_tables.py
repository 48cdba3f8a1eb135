"""Tables of this run: every score with its interval and what stands behind it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

from kmerl.files import read_yaml
from kmerl.leads import parse_leads
from kmerl.report.grid import NONE, NOT_RUN, Cell, Column, Grid, Group, Row

Metrics = Mapping[str, Any]

TASK_TITLES = {
    "ptbxl_super": "PTB-XL, superclasses",
    "ptbxl_sub": "PTB-XL, subclasses",
    "ptbxl_form": "PTB-XL, form",
    "ptbxl_rhythm": "PTB-XL, rhythm",
    "cpsc2018": "CPSC2018",
    "csn": "Chapman-Shaoxing-Ningbo",
    "average": "Mean over the tasks",
}
CORPUS_TITLES = {
    "mimic-iv-ecg": "MIMIC-IV-ECG",
    "ptb-xl": "PTB-XL",
    "cpsc2018": "CPSC2018",
    "csn": "Chapman-Shaoxing-Ningbo",
}
LEAD_COLUMNS = {"12 leads": "12", "I and II": "I+II", "I alone": "1"}
OTHER_PROBES = {
    "Tuned": "auroc_tuned",
    "Neighbours": "knn_auroc",
    "Untrained encoder": "random_auroc",
    "Above untrained": "above_random",
}
FINE_TUNED = {
    "Fine-tuned": "auroc",
    "From scratch": "scratch_auroc",
    "Above scratch": "above_scratch",
    "F1": "f1",
}
CLASS_WORDS = ("task", "leads", "code", "name")
FEW = 5
"""Fewer positives than this say nothing about a class; its scores are marked."""
NO_RECORDS = Cell(text="no records")


@cache
def published() -> dict[str, Any]:
    """Behind the paper's results: how much data, and what its mining left (published.yaml)."""
    values: dict[str, Any] = read_yaml(resources.files("kmerl.report") / "published.yaml")
    return values


def count(value: int | None) -> Cell:
    """A whole number with its thousands apart."""
    return Cell(text=NONE) if value is None else Cell(value, decimals=0)


def score(row: Metrics | None, metric: str = "auroc", paper: float | None = None) -> Cell:
    """A metric with its interval, or why it has none.

    Args:
        paper: the paper's value, in per cent.
    """
    printed = None if paper is None else paper / 100
    if row is None or not row["records"]:
        return replace(NO_RECORDS, paper=printed)
    if row.get(metric) is None:
        return Cell(text="not defined" if metric in row else NOT_RUN, paper=printed)
    return Cell(row[metric], row[f"{metric}_lo"], row[f"{metric}_hi"], paper=printed)


def by_leads(results: Mapping[str, Metrics], leads: str) -> Metrics | None:
    """The result under a lead set, whatever its key is spelled like ("2", "I+II")."""
    wanted = parse_leads(leads)
    return next((row for key, row in results.items() if parse_leads(key) == wanted), None)


def zero_shot(metrics: Metrics, printed: Mapping[str, float]) -> Grid:
    """Zero-shot classification by full class names (Sec. 4.2), a row a task, the mean last.

    Args:
        printed: the paper's values by metric, in per cent (`Catalogue.printed`).
    """

    def rows(task: str) -> list[Row]:
        full = by_leads(metrics[task], "12")
        other = next((k for k in ("cosine_auroc", "query_auroc") if k in (full or {})), "auroc")
        paper = {leads: printed.get(f"zero_shot.{task}.{leads}.auroc") for leads in ("12", "1")}
        scores = [score(full, metric) for metric in ("auroc_common", other, "f1")]
        return [
            Row(TASK_TITLES[task], [*_lead_scores(metrics[task], paper), *scores, *_behind(full)])
        ]

    others = ("Common classes", "Other score", "F1", "Test records", "Classes", "Rarest class")
    return Grid(
        "Zero-shot macro AUROC by lead set",
        list(map(Column, (*LEAD_COLUMNS, *others))),
        _with_mean(metrics, rows),
        "After the lead sets all is on 12 leads. The paper tables the mean over the six tasks only "
        "(Table 2). Common classes have at least statistics.min_positives positive test records. "
        "The other score is the cosine of the projections where F_CQ is asked, and F_CQ where the "
        "cosine is. F1 at thresholds chosen on validation records; a task whose validation has no "
        "positives has none.",
        first="Task",
    )


def linear_probe(metrics: Metrics, printed: Mapping[str, float]) -> Grid:
    """Linear probes at 1, 10 and 100 % of the training records (Table 1), a group a task.

    Args:
        printed: the paper's values by metric, in per cent (`Catalogue.printed`).
    """
    groups = []
    for task in _in_order(metrics):
        rows = []
        for ratio, results in _by_ratio(metrics[task]):
            full = by_leads(results, "12")
            paper = {"12": printed.get(f"linear_probe.{task}.{ratio}.12.auroc")}
            scores = [score(full, metric) for metric in (*OTHER_PROBES.values(), "f1")]
            trained = count((full or {}).get("train_records"))
            rows.append(Row(f"{ratio} %", [trained, *_lead_scores(results, paper), *scores]))
        groups.append(
            Group(rows, TASK_TITLES[task], _behind_in_words(full), total=task == "average")
        )
    return Grid(
        "Linear probe macro AUROC by share of the training records",
        list(map(Column, ("Trained on", *LEAD_COLUMNS, *OTHER_PROBES, "F1"))),
        groups,
        "A linear classifier on the frozen encoder, mean over linear_probe.seeds. Beside it, on 12 "
        "leads: weight decay chosen on validation; nearest neighbours on the same features; the "
        "same classifier on an encoder that was never trained, and how far ours is above it "
        "(paired). The paper's values are its Table 1.",
        first="Share",
    )


def fine_tune(metrics: Metrics) -> Grid:
    """All weights trained on a task, beside the same network from random weights."""

    def rows(task: str) -> list[Row]:
        return [
            Row(
                TASK_TITLES[task],
                [
                    Cell(text=f"{ratio} %"),
                    Cell(text=" ".join(parse_leads(leads))),
                    count(row["train_records"]),
                    *(score(row, metric) for metric in FINE_TUNED.values()),
                ],
            )
            for ratio, by_key in _by_ratio(metrics[task])
            for leads, row in by_key.items()
        ]

    return Grid(
        "Fine-tuning, macro AUROC",
        [
            Column("Share", words=True),
            Column("Leads", words=True),
            *map(Column, ("Trained on", *FINE_TUNED)),
        ],
        _with_mean(metrics, rows),
        "The paper has no such table; its reviewers asked for it. Both networks see the same "
        "records, batches and number of steps.",
        first="Task",
    )


def lead_sets(metrics: Metrics, ratio: int) -> Grid:
    """Named sets of leads under both protocols, and what they cost against all twelve leads.

    Args:
        metrics: metrics/partial_leads.json.
        ratio: per cent of the training records behind the probe.
    """
    named = {key: parse_leads(key) for key in metrics["zero_shot"] if not key.isdigit()}
    shown = sorted((len(leads), key, leads) for key, leads in named.items() if ":" not in key)
    rows = []
    for _, key, leads in shown:
        found = [metrics[protocol][key] for protocol in ("zero_shot", "linear_probe")]
        known = [{**row, "records": row["auroc"] is not None} for row in found]
        cells = [score(row, value) for row in known for value in ("auroc", "below_full")]
        rows.append(Row(" ".join(leads), cells))
    titles = ("Zero-shot", "below 12 leads", f"Linear probe, {ratio} %", "below 12 leads")
    return Grid(
        "Macro AUROC of the sets that people record, mean over the tasks",
        list(map(Column, titles)),
        [Group(rows)],
        "Both sides of a difference are measured on the same draws of patients.",
        first="Leads",
    )


def classes(rows: Iterable[Mapping[str, str]]) -> dict[str, Grid]:
    """A table a task, by its title, from plots/zero_shot_classes.csv: each class under the three
    lead sets, the commonest first."""
    tasks: dict[str, dict[str, dict[str, dict[str, float | None]]]] = {}
    for row in rows:
        numbers = {k: float(v) if v else None for k, v in row.items() if k not in CLASS_WORDS}
        tasks.setdefault(row["task"], {}).setdefault(row["name"], {})[row["leads"]] = numbers
    return {
        TASK_TITLES[task]: Grid(
            TASK_TITLES[task],
            list(map(Column, ("Positives", *LEAD_COLUMNS, "F1, 12 leads"))),
            [Group(sorted((_class_row(*one) for one in tasks[task].items()), key=_commonest))],
            first="Class",
        )
        for task in _in_order(tasks)
    }


def seen_unseen(metrics: Metrics) -> Grid:
    """Classes whose name is close to a mined entity, and the others (Sec. 4.3, Fig. 5)."""
    rows = []
    for group, row in sorted(metrics.items()):
        known = {**row, "records": row["scored"]}
        cells = [count(row["classes"]), count(row["scored"]), score(known), score(known, "f1")]
        rows.append(Row(f"{group.capitalize()} in pretraining", cells))
    return Grid(
        "Zero-shot scores of seen and unseen classes, 12 leads",
        list(map(Column, ("Names", "Scored", "AUROC", "F1"))),
        [Group(rows)],
        "Scored counts the task and class pairs that have a positive and a negative test record.",
        first="Classes",
    )


def _in_order(metrics: Metrics) -> list[str]:
    """The tasks that were measured, "average" last."""
    return [task for task in TASK_TITLES if task in metrics]


def _by_ratio(results: Metrics) -> list[tuple[str, Metrics]]:
    return sorted(results.items(), key=lambda item: int(item[0]))


def _with_mean(metrics: Metrics, rows: Callable[[str], list[Row]]) -> list[Group]:
    """The rows of the tasks, and below them those of the mean."""
    tasks = [task for task in _in_order(metrics) if task != "average"]
    mean = rows("average") if "average" in metrics else []
    return [Group([row for task in tasks for row in rows(task)]), Group(mean, total=True)]


def _lead_scores(
    results: Mapping[str, Metrics], paper: Mapping[str, float | None] | None = None
) -> list[Cell]:
    """The AUROC under each of `LEAD_COLUMNS`, beside the paper's."""
    return [
        score(by_leads(results, leads), paper=(paper or {}).get(leads))
        for leads in LEAD_COLUMNS.values()
    ]


def _behind(row: Metrics | None) -> list[Cell]:
    """The records, the classes with positives, and the positives of the rarest of them."""
    if row is None or not row["records"]:
        return [NO_RECORDS, Cell(), Cell()]
    return [count(row[key]) for key in ("records", "classes", "positives_min")]


def _behind_in_words(row: Metrics | None) -> str:
    if row is None or not row["records"]:
        return "no records"
    rarest = "" if row["positives_min"] is None else f", {row['positives_min']} in the rarest"
    return f"{row['records']:,} test records, {row['classes']} classes with positives{rarest}"


def _class_row(name: str, results: Mapping[str, Mapping[str, float | None]]) -> Row:
    full = by_leads(results, "12") or {"positives": 0, "records": 0}
    positives = int(full["positives"] or 0)
    mark = "few" if 0 < positives < FEW else ""
    return Row(name, [count(positives), *_lead_scores(results), score(full, "f1")], mark)


def _commonest(row: Row) -> tuple[float, str]:
    return -(row.cells[0].value or 0), row.label
