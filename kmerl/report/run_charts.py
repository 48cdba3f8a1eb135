"""Charts of this run: the curve of Fig. 6, the same task by task, and the losses."""

import math
import re
from collections.abc import Mapping, Sequence

from kmerl.leads import LEADS
from kmerl.report.charts import Chart, Point, Series
from kmerl.report.run_tables import WORDS, in_order, task_title

Rows = Sequence[Mapping[str, str]]

PROTOCOLS = {"zero_shot": "Zero-shot", "linear_probe": "Linear probe"}
NO_LOSS = re.compile(r"epoch|step|learning_rate|val_.*|(feature|projection)_.*")
SIDES = {"training": "{}", "held out": "val_{}"}
EPOCHS = 200  # of a longer training as many are drawn


def partial_leads(rows: Rows, ratio: int, printed: Mapping[str, float]) -> Chart:
    """The curve of Fig. 6 with its intervals.

    Args:
        rows: plots/partial_leads.csv. Drawn are the counts of the first order.
        ratio: per cent of the training records behind the probe.
        printed: the paper's values by metric, in per cent (`Catalogue.printed`).
    """
    titles = PROTOCOLS | {"linear_probe": f"{PROTOCOLS['linear_probe']}, {ratio} %"}
    known = {leads: printed.get(f"zero_shot.average.{leads}.auroc") for leads in (1, 12)}
    theirs = [Point(leads, value / 100) for leads, value in known.items() if value is not None]
    reference = Series("Paper, zero-shot (Table 2)", theirs, style=2, joined=False)
    return Chart(
        title="Macro AUROC by number of leads, mean over the tasks",
        x_label="Leads, and the lead each step adds",
        y_label="Macro AUROC",
        series=[*_by_count(rows, "average", titles), *([reference] if theirs else [])],
        x_ticks=range(1, len(LEADS) + 1),
        x_names=_added_leads(rows),
        y_rule=0.5,
    )


def by_task(rows: Rows) -> dict[str, Chart]:
    """The same curve task by task, on one scale, by the task's title."""
    tasks = in_order({row["task"] for row in rows} - {"average"})
    found = {task: _by_count(rows, task, PROTOCOLS) for task in tasks}
    points = [point for many in found.values() for one in many for point in one.points]
    known = [0.5, *(value for _, *three in points for value in three if value is not None)]
    limits = (min(known) - 0.02, max(known) + 0.02)
    charts = {}
    for task, many in found.items():
        title = f"{task_title(task)}: macro AUROC by number of leads"
        charts[task_title(task)] = Chart(
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


def _by_count(rows: Rows, task: str, titles: Mapping[str, str]) -> list[Series]:
    """A curve a protocol over the counts of the first order: no further order, no named set."""
    found: dict[str, list[Point]] = {protocol: [] for protocol in titles}
    for row in rows:
        if row["task"] == task and row["key"].isdigit() and row["auroc"]:
            score, low, high = (_float(row[key]) for key in ("auroc", "auroc_lo", "auroc_hi"))
            found[row["protocol"]].append(Point(int(row["count"]), score or 0.0, low, high))
    return [
        Series(titles[protocol], sorted(points), style)
        for style, (protocol, points) in enumerate(found.items())
    ]


def _added_leads(rows: Rows) -> list[str]:
    """The lead that each count adds, from the lead sets of plots/partial_leads.csv."""
    sets = {int(row["count"]): row["leads"].split("+") for row in rows if row["key"].isdigit()}
    return [
        "+".join(lead for lead in sets.get(count, []) if lead not in sets.get(count - 1, []))
        for count in range(1, len(LEADS) + 1)
    ]


def _float(value: str | None) -> float | None:
    return float(value) if value and math.isfinite(float(value)) else None
