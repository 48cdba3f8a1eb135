"""Charts of this run: the curve of Fig. 6, the same task by task, and the losses."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kmerl.leads import LEADS
from kmerl.report.charts import Chart, Point, Series
from kmerl.report.run_tables import TASK_TITLES, WORDS
from kmerl.tasks.classes import TASKS

Rows = Sequence[Mapping[str, str]]

PROTOCOLS = {"zero_shot": "Zero-shot", "linear_probe": "Linear probe"}
NO_LOSS = re.compile(r"epoch|step|learning_rate|val_.*|(feature|projection)_.*")
SIDES = {"training": "{}", "held out": "val_{}"}
EPOCHS = 200  # of a longer training as many are drawn


def partial_leads(
    metrics: Mapping[str, Any], rows: Rows, ratio: int, printed: Mapping[str, float]
) -> Chart:
    """The curve of Fig. 6 with its intervals.

    Args:
        metrics: metrics/partial_leads.json.
        rows: plots/partial_leads.csv. Drawn are the counts of the first order.
        ratio: per cent of the training records behind the probe.
        printed: the paper's values by metric, in per cent (`Catalogue.printed`).
    """
    titles = PROTOCOLS | {"linear_probe": f"{PROTOCOLS['linear_probe']}, {ratio} %"}
    curves = [
        _by_count(title, {k: row for k, row in metrics[protocol].items() if k.isdigit()}, style)
        for style, (protocol, title) in enumerate(titles.items())
    ]
    metric = "zero_shot.average.{:g}.auroc"
    known = [
        Point(leads, printed[metric.format(leads)] / 100)
        for leads in (1.0, 12.0)
        if metric.format(leads) in printed
    ]
    reference = Series("Paper, zero-shot (Table 2)", known, style=2, joined=False)
    return Chart(
        title="Macro AUROC by number of leads, mean over the tasks",
        x_label="Leads, and the lead each step adds",
        y_label="Macro AUROC",
        series=[*curves, reference],
        x_ticks=range(1, len(LEADS) + 1),
        x_names=_added_leads(rows),
        y_rule=0.5,
    )


def by_task(rows: Rows) -> dict[str, Chart]:
    """The same curve task by task, on one scale, by the task's title."""
    counted = _counted(rows)
    found = {
        task: [
            _by_count(title, {row["count"]: row for row in part}, style)
            for style, (protocol, title) in enumerate(PROTOCOLS.items())
            if (part := [r for r in counted if r["task"] == task and r["protocol"] == protocol])
        ]
        for task in TASKS
    }
    points = [point for many in found.values() for one in many for point in one.points]
    known = [value for _, *three in points for value in three if value is not None]
    limits = (min([*known, 0.5]) - 0.02, max([*known, 0.5]) + 0.02)
    charts = {}
    for task, many in found.items():
        title = f"{TASK_TITLES[task]}: macro AUROC by number of leads"
        charts[TASK_TITLES[task]] = Chart(
            title, "Leads", "AUROC", many, (1, 2, 3, 6, 9, 12), y_limits=limits, y_rule=0.5
        )
    return charts


def losses(rows: Rows) -> dict[str, Chart]:
    """Each loss term of plots/pretrain.csv over the epochs, the total first, with what it was on
    held-out pairs where that is known. A term without a finite value has no chart."""
    last = len(rows) - 1
    kept = {round(k * last / min(EPOCHS - 1, max(last, 1))) for k in range(min(EPOCHS, last + 1))}
    thinned = [rows[k] for k in sorted(kept)]
    terms = [name for name in (rows[0] if rows else ()) if not NO_LOSS.fullmatch(name)]
    charts = {}
    for term in sorted(terms, key=lambda name: name != "loss"):
        title = WORDS["losses"].get(term, term.replace("_", " ").capitalize())
        series = []
        for style, (side, column) in enumerate(SIDES.items()):
            values = [(row["epoch"], _float(row.get(column.format(term)))) for row in thinned]
            points = [Point(float(epoch), value) for epoch, value in values if value is not None]
            series += [Series(side, points, style)] if points else []
        if series:
            charts[title] = Chart(title, "Epoch", "Loss", series)
    return charts


def _by_count(title: str, rows: Mapping[str, Mapping[str, Any]], style: int) -> Series:
    ordered = sorted(rows.items(), key=lambda item: int(item[0]))
    scores = [
        (int(count), *(_float(row[key]) for key in ("auroc", "auroc_lo", "auroc_hi")))
        for count, row in ordered
    ]
    known = [Point(x, y, lo, hi) for x, y, lo, hi in scores if y is not None]
    return Series(title, known, style)


def _counted(rows: Rows) -> list[Mapping[str, str]]:
    """The counts of the first order alone: no further order and no named set."""
    return [row for row in rows if row["key"].isdigit()]


def _added_leads(rows: Rows) -> list[str]:
    """The lead that each count adds, from the lead sets of plots/partial_leads.csv."""
    sets = {int(row["count"]): row["leads"].split("+") for row in _counted(rows)}
    sets[0] = []
    return [
        "+".join(lead for lead in sets.get(count, []) if lead not in sets.get(count - 1, []))
        for count in range(1, len(LEADS) + 1)
    ]


def _float(value: str | float | None) -> float | None:
    if value is None or value == "":
        return None
    number = float(value)
    return number if math.isfinite(number) else None
