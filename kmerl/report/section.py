"""The report page's section "The paper's tables and figures": tables and charts of results."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from kmerl.experiments import catalogue as catalogues
from kmerl.experiments.catalogue import NEEDS, Catalogue
from kmerl.report import figures
from kmerl.report.figures import STYLES, Axes, Series
from kmerl.report.layout import Block, blocks, commits, deviation, interval, ours, paper
from kmerl.report.panels import Panel, Points, panels
from kmerl.report.results import Line, Result, comparing
from kmerl.report.tables import Cell, Group, Table, count, name

SIZE = (460, 320)
LONG = 12
"""Rows beyond which a table is folded."""


def section(catalogue: Catalogue, results: Sequence[Result]) -> dict[str, Any]:
    """What the template shows: tables of which rows can be compared, and a list of the others."""
    shown = comparing(results)
    names = {result.table.name for result in shown}
    return {
        "ran": [_shown(result) for result in shown],
        "missing": _missing(catalogue, [one for one in catalogue.tables if one not in names]),
    }


def _shown(result: Result) -> dict[str, Any]:
    found = panels(result)
    table = _table(result)
    return {
        "id": f"paper-{result.table.name}-{result.scale}",
        "name": result.table.name,
        "title": _title(result.table),
        "measured": result.measured(),
        "remarks": [*result.remarks(), *([result.table.note] if result.table.note else [])],
        "table": table,
        "charts": [(panel.title, _chart(panel)) for panel in found],
        "legend": _legend(found),
        "folded": bool(found) or sum(len(group.rows) for group in table.groups) > LONG,
        "rows": f"{sum(bool(line.seeds) for line in result.lines)} of {len(result.lines)} rows",
        "scale": result.scale,
    }


def _title(table: catalogues.Table) -> str:
    return f"{table.source[:1].upper()}{table.source[1:]}: {table.caption}"


def _table(result: Result) -> Table:
    """Tasks below each other where all have the same columns, rows in their groups elsewhere."""
    found = blocks(result)
    shorts = [list(block.columns.values()) for block in found]
    if found[0].heading and all(one == shorts[0] for one in shorts):
        first = found[0]
        groups = [
            Group(
                [_cells(result, line, list(block.columns)) for line in result.lines], block.heading
            )
            for block in found
        ]
    else:
        first = Block("", {column: column for column in result.table.columns})
        by_group: dict[str, list[Line]] = {}
        for line in result.lines:
            by_group.setdefault(line.row.group, []).append(line)
        groups = [
            Group([_cells(result, line, list(first.columns)) for line in lines], title)
            for title, lines in by_group.items()
        ]
    sides = ("paper", "ours") if result.printed else ("ours",)
    heads = [f"{short}: {side}" for short in first.columns.values() for side in sides]
    columns = ("Row", *heads, "Seeds", "Experiment", "Commit")
    caption = f"{_title(result.table)}, in per cent, scale {result.scale}"
    return Table(caption, columns, groups)


def _cells(result: Result, line: Line, columns: Sequence[str]) -> list[Cell]:
    cells = [name(line.row.label)]
    for column in columns:
        if result.printed:
            cells.append(Cell(paper(result, line, column)))
        cells.append(_ours(result, line, column))
    behind = [count(line.seeds), name(line.row.experiment), name(commits(line))]
    return [*cells, *behind]


def _ours(result: Result, line: Line, column: str) -> Cell:
    value = line.ours.get(column)
    if value is None:
        return Cell("none" if line.seeds else "not run", kind="none")
    detail = " ".join(part for part in (interval(value), deviation(value)) if part)
    return Cell(ours(result, value), detail)


def _missing(catalogue: Catalogue, names: Sequence[str]) -> Table | None:
    """Tables of which nothing can be compared yet, and what their experiments need."""
    rows = []
    for one in names:
        table, experiments = catalogue.tables[one], catalogue.of(one)
        needs = dict.fromkeys(need for experiment in experiments for need in experiment.needs)
        rows.append(
            [
                name(one),
                name(_title(table)),
                count(len(experiments)),
                name("; ".join(NEEDS[need] for need in needs)),
            ]
        )
    heads = ("Name", "What it is", "Experiments", "What some of them do")
    return Table("Not run yet", heads, [Group(rows)]) if rows else None


def _chart(panel: Panel) -> Markup:
    axes = Axes(
        panel.title,
        panel.x_label,
        panel.y_label,
        x_ticks=panel.ticks,
        x_words=panel.words,
        digits=panel.digits,
    )
    return figures.line_chart(axes, [_series(points) for points in panel.points], *SIZE)


def _series(points: Points) -> Series:
    style = points.style % STYLES
    return Series(points.name, points.x, points.y, points.lo, points.hi, style, not points.joined)


def _legend(found: Sequence[Panel]) -> Markup:
    """A switch for each curve of the panels; it needs no script (report.css)."""
    drawn: Mapping[str, Points] = {
        points.name: points
        for panel in found
        for points in panel.points
        if any(y is not None for y in points.y)
    }
    entry = Markup(
        '<li><label class="k{}"><input type="checkbox" checked autocomplete="off">{}{}</label></li>'
    )
    return Markup("").join(
        entry.format(points.style % STYLES, figures.key(_series(points)), label)
        for label, points in drawn.items()
    )
