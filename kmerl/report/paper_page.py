"""The page of the paper's tables and figures, report/paper.html: its values beside ours."""

from collections.abc import Sequence
from typing import Any

from kmerl.experiments.catalogue import Catalogue, Table
from kmerl.report import paper_charts, paper_tables
from kmerl.report.results import Result
from kmerl.report.writers import html, svg

LONG = 12
"""Rows beyond which a table is folded."""


def render(catalogue: Catalogue, shown: Sequence[Result], others: Sequence[Table] = ()) -> str:
    """The results that are `shown`, and a list of the other tables.

    The page leads back to index.html beside it, the page of the run.
    """
    contents: dict[str, list[Result]] = {}
    for result in shown:
        contents.setdefault(paper_tables.title(result.table), []).append(result)
    return html.rendered(
        "paper.html",
        drawn=svg.drawn,
        contents=contents,
        shown=[_shown(result) for result in shown],
        missing=paper_tables.not_run(catalogue, others),
    )


def _shown(result: Result) -> dict[str, Any]:
    """A table or figure for the template: what heads it, its charts and its grid."""
    grid, charts = paper_tables.grid(result), paper_charts.charts(result)
    stacked = paper_tables.stacked(grid)
    drawn = {one.name: one for chart in charts for one in chart.drawn}
    return {
        "id": f"{result.table.name}-{result.scale}",
        "title": paper_tables.title(grid),
        "grid": stacked,
        "notes": [*grid.remarks, *([grid.note] if grid.note else [])],
        "measured": grid.measured,
        "charts": {chart.title: chart for chart in charts},
        "series": drawn.values(),
        "folded": bool(charts) or len(stacked.rows) > LONG,
        "said": f"{grid.name}, {result.count()} at scale {grid.scale or 'any'}",
    }
