"""Metric files as tables for reading: every score with its interval and what stands behind it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from kmerl.files import read_yaml
from kmerl.leads import parse_leads

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
FEW = 5
"""Fewer positives than this say nothing about a class; its scores are marked."""


@dataclass(frozen=True)
class Cell:
    """One value: `text`, small print beside it, and how to set it."""

    text: str
    detail: str = ""
    kind: Literal["text", "number", "none"] = "number"


@dataclass(frozen=True)
class Group:
    """Rows under a heading of their own, none where `title` is empty; `total` sums up the rest."""

    rows: Sequence[Sequence[Cell]]
    title: str = ""
    note: str = ""
    total: bool = False


@dataclass(frozen=True)
class Table:
    """A caption, column names and groups of rows; the first cell of a row names it."""

    caption: str
    columns: Sequence[str]
    groups: Sequence[Group]
    note: str = ""
    open: bool = False


NO_RECORDS = Cell("no records", kind="none")


@cache
def published() -> dict[str, Any]:
    """Behind the paper's results: how much data, and what its mining left (published.yaml)."""
    values: dict[str, Any] = read_yaml(resources.files("kmerl.report") / "published.yaml")
    return values


def name(text: str) -> Cell:
    """A row's name, or other words."""
    return Cell(text, kind="text")


def count(value: int | None) -> Cell:
    """A whole number with its thousands apart."""
    return Cell(f"{value:,}") if value is not None else Cell("none", kind="none")


def score(row: Metrics | None, metric: str = "auroc") -> Cell:
    """A metric with its interval; "no records" or "no positives" where it is not defined."""
    if row is None or not row["records"]:
        return NO_RECORDS
    if metric not in row:
        return Cell("not run", kind="none")
    if row[metric] is None:
        return Cell("not defined", kind="none")
    return Cell(f"{row[metric]:.3f}", _interval(row, metric))


def paper(per_cent: float | None) -> Cell:
    """A published AUROC on our scale; empty where the paper tables none."""
    return Cell("") if per_cent is None else Cell(f"{per_cent / 100:.3f}")


def by_leads(results: Mapping[str, Metrics], leads: str) -> Metrics | None:
    """The result under a lead set, whatever its key is spelled like ("2", "I+II")."""
    wanted = parse_leads(leads)
    return next((row for key, row in results.items() if parse_leads(key) == wanted), None)


def zero_shot(metrics: Metrics, printed: Mapping[str, float]) -> Table:
    """Zero-shot classification by full class names (Sec. 4.2), a row a task, the mean last.

    Args:
        printed: the paper's values by metric, in per cent (`Catalogue.printed`).
    """
    groups = []
    for total in (False, True):
        tasks = [task for task in in_order(metrics) if (task == "average") == total]
        rows = [_zero_shot_row(task, metrics[task], printed) for task in tasks]
        groups.append(Group(rows, total=total))
    return Table(
        "Zero-shot macro AUROC by lead set",
        (
            "Task",
            *LEAD_COLUMNS,
            "Common classes, 12 leads",
            "Other score, 12 leads",
            "F1, 12 leads",
            *BEHIND,
            "Paper, 12 leads",
            "Paper, 1 lead",
        ),
        groups,
        "The paper tables the mean over the six tasks only (Table 2). Common classes have at least "
        "statistics.min_positives positive test records. The other score is the cosine of the "
        "projections where F_CQ is asked, and F_CQ where the cosine is. F1 at thresholds chosen on "
        "validation records; a task whose validation has no positives has none.",
    )


def lead_sets(metrics: Metrics, ratio: int) -> Table:
    """Named sets of leads under both protocols, and what they cost against all twelve leads.

    Args:
        metrics: metrics/partial_leads.json.
        ratio: per cent of the training records behind the probe.
    """
    named = {key: parse_leads(key) for key in metrics["zero_shot"] if not key.isdigit()}
    shown = sorted((len(leads), key, leads) for key, leads in named.items() if ":" not in key)
    rows = [
        [
            name(" ".join(leads)),
            *(
                _mean(metrics[protocol][key], value)
                for protocol in ("zero_shot", "linear_probe")
                for value in ("auroc", "below_full")
            ),
        ]
        for _, key, leads in shown
    ]
    probe = f"Linear probe, {ratio} %"
    return Table(
        "Macro AUROC of the sets that people record, mean over the tasks",
        ("Leads", "Zero-shot", "below 12 leads", probe, "below 12 leads"),
        [Group(rows)],
        "Both sides of a difference are measured on the same draws of patients.",
    )


def classes(rows: Iterable[Mapping[str, str]]) -> list[Table]:
    """One table a task from plots/zero_shot_classes.csv: each class under the three lead sets."""
    tasks: dict[str, dict[str, dict[str, Mapping[str, str]]]] = {}
    for row in rows:
        found = tasks.setdefault(row["task"], {}).setdefault(row["name"], {})
        found[row["leads"]] = row
    return [_class_table(task, tasks[task]) for task in TASK_TITLES if task in tasks]


def seen_unseen(metrics: Metrics) -> Table:
    """Classes whose name is close to a mined entity, and the others (Sec. 4.3, Fig. 5)."""
    rows = []
    for group, row in sorted(metrics.items()):
        known = {**row, "records": row["scored"]}
        counted = count(row["classes"]), count(row["scored"])
        title = name(f"{group.capitalize()} in pretraining")
        rows.append([title, *counted, score(known), score(known, "f1")])
    return Table(
        "Zero-shot scores of seen and unseen classes, 12 leads",
        ("Classes", "Names", "Scored", "AUROC", "F1"),
        [Group(rows)],
        "Scored counts the task and class pairs that have a positive and a negative test record.",
    )


OTHER_SCORES = ("cosine_auroc", "query_auroc")
BEHIND = ("Test records", "Classes", "Rarest class")


def _zero_shot_row(
    task: str, results: Mapping[str, Metrics], printed: Mapping[str, float]
) -> list[Cell]:
    full = by_leads(results, "12")
    return [
        name(TASK_TITLES[task]),
        *lead_scores(results),
        score(full, "auroc_common"),
        score(full, next((key for key in OTHER_SCORES if key in (full or {})), "auroc")),
        score(full, "f1"),
        *_behind(full),
        paper(printed.get(f"zero_shot.{task}.12.auroc")),
        paper(printed.get(f"zero_shot.{task}.1.auroc")),
    ]


def _behind(row: Metrics | None) -> list[Cell]:
    """The records, the classes with positives, and the positives of the rarest of them."""
    if row is None or not row["records"]:
        return [NO_RECORDS, Cell(""), Cell("")]
    return [count(row["records"]), count(row["classes"]), count(row["positives_min"])]


def lead_scores(results: Mapping[str, Metrics]) -> list[Cell]:
    """The AUROC under each of `LEAD_COLUMNS`."""
    return [score(by_leads(results, leads)) for leads in LEAD_COLUMNS.values()]


def _class_table(task: str, found: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Table:
    rows = []
    for class_name, by_key in found.items():
        results = {key: _numbers(row) for key, row in by_key.items()}
        full = by_leads(results, "12") or {"positives": 0, "records": 0}
        positives = int(full["positives"])
        few = "few" if 0 < positives < FEW else ""
        named = Cell(class_name, few, "text")
        cells = [named, count(positives), *lead_scores(results), score(full, "f1")]
        rows.append((-positives, class_name, cells))
    return Table(
        TASK_TITLES[task],
        ("Class", "Positives", *LEAD_COLUMNS, "F1, 12 leads"),
        [Group([cells for *_, cells in sorted(rows, key=lambda row: row[:2])])],
        open=task == next(iter(TASK_TITLES)),
    )


def _numbers(row: Mapping[str, str]) -> dict[str, float | None]:
    words = ("task", "leads", "code", "name")
    return {key: float(value) if value else None for key, value in row.items() if key not in words}


def _mean(row: Metrics, metric: str) -> Cell:
    """A mean over tasks with its interval; "no records" where no task has any."""
    if row[metric] is None:
        return NO_RECORDS
    return Cell(f"{row[metric]:.3f}", _interval(row, metric))


def _interval(row: Metrics, metric: str) -> str:
    low, high = row[f"{metric}_lo"], row[f"{metric}_hi"]
    return "" if low is None or high is None else f"{low:.2f}\N{EN DASH}{high:.2f}"


def in_order(metrics: Metrics) -> list[str]:
    """The tasks that were measured, "average" last."""
    return [task for task in TASK_TITLES if task in metrics]
