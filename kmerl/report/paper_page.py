"""The page of the paper's tables and figures, report/paper.html: its values beside ours."""

from collections.abc import Sequence
from typing import Any

from kmerl.experiments.catalogue import Catalogue, Table
from kmerl.report import paper_charts, paper_tables
from kmerl.report.grid import Grid
from kmerl.report.results import Result
from kmerl.report.writers import html, svg

LONG = 12
"""Rows beyond which a table is folded."""


def render(
    catalogue: Catalogue,
    shown: Sequence[Result],
    others: Sequence[Table] = (),
    computed: Sequence[Grid] = (),
) -> str:
    """The results that are `shown`, below what is `computed`, and a list of the other tables.

    The page leads back to index.html beside it, the page of the run.
    """
    sections = [*map(_computed, computed), *map(_shown, shown)]
    contents: dict[str, list[dict[str, Any]]] = {}
    for section in sections:
        contents.setdefault(section["title"], []).append(section)
    return html.rendered(
        "paper.html",
        drawn=svg.drawn,
        contents=contents,
        shown=sections,
        long=LONG,
        missing=paper_tables.not_run(catalogue, others),
    )


def _shown(result: Result) -> dict[str, Any]:
    """A table or figure for the template: what heads it, its charts and its grid."""
    charts = paper_charts.charts(result)
    drawn = {one.name: one for chart in charts for one in chart.drawn}
    return {
        **_computed(paper_tables.grid(result)),
        "charts": {chart.title: chart for chart in charts},
        "series": drawn.values(),
        "counted": f"{result.scale or 'not run'}, {result.count()}",
        "said": f"{result.table.name}, {result.count()} at scale {result.scale or 'any'}",
    }


def _computed(grid: Grid) -> dict[str, Any]:
    """A table without charts."""
    return {
        "id": "-".join(filter(None, (grid.name, grid.scale))),
        "title": paper_tables.title(grid),
        "grid": paper_tables.stacked(grid),
        "notes": [*grid.remarks, *([grid.note] if grid.note else [])],
        "measured": grid.measured,
        "charts": {},
        "series": (),
        "counted": grid.scale or "this run",
        "said": f"{grid.name} at scale {grid.scale}" if grid.scale else grid.name,
    }
