"""Metrics and plots as the report's charts: the curve of Fig. 6, task by task, and the losses."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from kmerl import figures, tables
from kmerl.corpora.classes import TASKS
from kmerl.figures import Axes, Series
from kmerl.leads import LEADS

PROTOCOLS = {"zero_shot": "Zero-shot", "linear_probe": "Linear probe"}
LOSSES = {
    "loss": "Total",
    "contrast": "Contrastive",
    "query": "F_CQ",
    "val_loss": "Total, held out",
}
WIDE, NARROW, PANEL = (860, 380), (400, 330), (330, 220)


def partial_leads(
    metrics: Mapping[str, Any], rows: Sequence[Mapping[str, str]], ratio: int
) -> dict[str, Markup]:
    """The curve of Fig. 6 with its intervals, in a wide and in a narrow drawing.

    Args:
        metrics: metrics/partial_leads.json.
        rows: plots/partial_leads.csv. Drawn are the counts of the first order.
        ratio: per cent of the training records behind the probe.
    """
    added = _added_leads(rows)
    titles = PROTOCOLS | {"linear_probe": f"{PROTOCOLS['linear_probe']}, {ratio} %"}
    curves = [
        _by_count(title, {k: row for k, row in metrics[protocol].items() if k.isdigit()}, style)
        for style, (protocol, title) in enumerate(titles.items())
    ]
    known = tables.published()["zero_shot"]["average"]
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
    """Loss terms over the epochs of pretraining; a column that is missing has no curve."""
    kept = [rows[k] for k in figures.thinned(range(len(rows)), 200)]
    epochs = [_float(row["epoch"]) or 0.0 for row in kept]

    def series(column: str, style: int) -> list[Series]:
        if not kept or column not in kept[0]:
            return []
        return [Series(LOSSES[column], epochs, [_float(r[column]) for r in kept], style=style)]

    def chart(title: str, many: list[Series]) -> tuple[str, Markup]:
        return title, figures.line_chart(Axes(title, "Epoch", "Loss"), many, *PANEL)

    return [
        chart("Total loss: training (circles), held out (squares)", [
            *series("loss", 0), *series("val_loss", 1),
        ]),
        chart("Contrastive loss (Eq. 2)", series("contrast", 0)),
        chart("Query loss of F_CQ (Eq. 3)", series("query", 0)),
    ]  # fmt: skip


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
