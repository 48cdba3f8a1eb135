"""Metrics and plots as the report's charts: the curve of Fig. 6, task by task, and the losses."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from kmerl.leads import LEADS
from kmerl.report import figures, tables
from kmerl.report.figures import Axes, Series
from kmerl.tasks.classes import TASKS

PROTOCOLS = {"zero_shot": "Zero-shot", "linear_probe": "Linear probe"}
LOSSES = {
    "loss": "Total loss",
    "contrast": "Contrastive loss",
    "query": "Query loss of F_CQ (Eq. 3)",
    "cross_modal": "Cross-modal contrast (MERL)",
    "uni_modal": "Uni-modal alignment (MERL)",
    "prediction": "Prediction",
    "correlation": "Distance of the correlation from the identity",
    "temporal": "Temporal contrast",
    "context": "Contextual contrast",
    "patients": "Agreement of a patient's views",
    "adversary": "Discriminator",
    "reconstruction": "Reconstruction error",
    "constraint": "Constraint on the representation",
}
"""Loss terms of the methods in words; another one is shown by its own name."""
NO_LOSS = re.compile(r"epoch|step|learning_rate|val_.*|(feature|projection)_.*")
WIDE, NARROW, PANEL = (860, 380), (400, 330), (330, 220)


def partial_leads(
    metrics: Mapping[str, Any],
    rows: Sequence[Mapping[str, str]],
    ratio: int,
    printed: Mapping[str, float],
) -> dict[str, Markup]:
    """The curve of Fig. 6 with its intervals, in a wide and in a narrow drawing.

    Args:
        metrics: metrics/partial_leads.json.
        rows: plots/partial_leads.csv. Drawn are the counts of the first order.
        ratio: per cent of the training records behind the probe.
        printed: the paper's values by metric, in per cent (`Catalogue.printed`).
    """
    added = _added_leads(rows)
    titles = PROTOCOLS | {"linear_probe": f"{PROTOCOLS['linear_probe']}, {ratio} %"}
    curves = [
        _by_count(title, {k: row for k, row in metrics[protocol].items() if k.isdigit()}, style)
        for style, (protocol, title) in enumerate(titles.items())
    ]
    known = {
        leads: printed[metric]
        for leads in ("1", "12")
        if (metric := f"zero_shot.average.{leads}.auroc") in printed
    }
    reference = Series(
        "Paper, zero-shot (Table 2)",
        [float(key) for key in known],
        [value / 100 for value in known.values()],
        style=2,
        marks_only=True,
    )
    axes = Axes(
        title="Macro AUROC by number of leads, mean over the tasks",
        x_label="Leads, and the lead each step adds",
        y_label="Macro AUROC",
        x_ticks=range(1, len(LEADS) + 1),
        x_names=added,
        y_rule=0.5,
    )
    series = [*curves, reference]
    return {
        "wide": figures.line_chart(axes, series, *WIDE),
        "narrow": figures.line_chart(axes, series, *NARROW),
        "legend": figures.legend(series),
    }


def panels(rows: Sequence[Mapping[str, str]]) -> list[tuple[str, Markup]]:
    """The same curve task by task, on one scale."""
    counted = _counted(rows)
    found = {
        task: [
            _by_count(title, {row["count"]: row for row in part}, style)
            for style, (protocol, title) in enumerate(PROTOCOLS.items())
            if (part := [r for r in counted if r["task"] == task and r["protocol"] == protocol])
        ]
        for task in TASKS
    }
    shared = [v for many in found.values() for one in many for v in (*one.y, *one.lo, *one.hi)]
    known = [value for value in shared if value is not None]
    limits = (min([*known, 0.5]) - 0.02, max([*known, 0.5]) + 0.02)
    return [
        (
            tables.TASK_TITLES[task],
            figures.line_chart(
                Axes(
                    f"{tables.TASK_TITLES[task]}: macro AUROC by number of leads",
                    "Leads",
                    "AUROC",
                    x_ticks=(1, 2, 3, 6, 9, 12),
                    y_limits=limits,
                    y_rule=0.5,
                ),
                many,
                *PANEL,
            ),
        )
        for task, many in found.items()
    ]


def losses(rows: Sequence[Mapping[str, str]]) -> list[tuple[str, Markup]]:
    """Each loss term of plots/pretrain.csv over the epochs, the total first, with what it was on
    held-out pairs where that is known. A term without a finite value has no chart."""
    kept = [rows[k] for k in figures.thinned(range(len(rows)), 200)]
    epochs = [_float(row["epoch"]) or 0.0 for row in kept]
    terms = [name for name in (kept[0] if kept else ()) if not NO_LOSS.fullmatch(name)]
    charts = []
    for term in sorted(terms, key=lambda name: name != "loss"):
        title = LOSSES.get(term, term.replace("_", " ").capitalize())
        sides = {side: _values(kept, column.format(term)) for side, column in SIDES.items()}
        series = [
            Series(side, epochs, values, style=style)
            for style, (side, values) in enumerate(sides.items())
            if any(value is not None for value in values)
        ]
        if series:
            charts.append((title, figures.line_chart(Axes(title, "Epoch", "Loss"), series, *PANEL)))
    return charts


SIDES = {"training": "{}", "held out": "val_{}"}


def _values(rows: Sequence[Mapping[str, str]], column: str) -> list[float | None]:
    return [_float(row.get(column)) for row in rows]


def _by_count(title: str, rows: Mapping[str, Mapping[str, Any]], style: int) -> Series:
    ordered = sorted(rows.items(), key=lambda item: int(item[0]))
    score, low, high = (
        [_float(row[key]) for _, row in ordered] for key in ("auroc", "auroc_lo", "auroc_hi")
    )
    return Series(title, [float(count) for count, _ in ordered], score, low, high, style)


def _counted(rows: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The counts of the first order alone: no further order and no named set."""
    return [row for row in rows if row["key"].isdigit()]


def _added_leads(rows: Sequence[Mapping[str, str]]) -> list[str]:
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
