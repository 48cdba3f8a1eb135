"""The paper's tables and figures as grids: its values beside what the experiments gave."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from kmerl.experiments.catalogue import NEEDS, Catalogue, Table
from kmerl.report.grid import NONE, NOT_RUN, Cell, Column, Grid, Group, Row
from kmerl.report.results import Line, Result


def grid(result: Result) -> Grid:
    """A result, a row a line; numbers in per cent with the decimals that the paper prints."""
    table, decimals = result.table, result.decimals()
    groups = [
        Group([_row(result, line, decimals) for line in lines], title)
        for title, lines in groupby(result.lines, lambda line: line.row.group)
    ]
    floor = result.floor_row()
    return Grid(
        caption=table.caption,
        columns=_columns(result),
        groups=[*groups, *([Group([floor], total=True, floor=True)] if floor else [])],
        note=table.note,
        name=table.name,
        source=table.source,
        scale=result.scale,
        measured=result.measured(),
        remarks=result.remarks(),
    )


def title(table: Table | Grid) -> str:
    """ "Table 2d: Masking strategy"."""
    return f"{table.source[:1].upper()}{table.source[1:]}: {table.caption}"


def not_run(catalogue: Catalogue, tables: Sequence[Table]) -> Grid:
    """Tables of which nothing can be compared yet, and what their experiments need."""
    rows = []
    for table in tables:
        experiments = catalogue.of(table.name)
        needs = dict.fromkeys(NEEDS[need] for one in experiments for need in one.needs)
        counted = Cell(len(experiments), decimals=0)
        cells = [Cell(text=title(table)), counted, Cell(text="; ".join(needs))]
        rows.append(Row(table.name, cells))
    what, how = Column("What it is", words=True), Column("What some of them do", words=True)
    return Grid("Not run yet", [what, Column("Experiments"), how], [Group(rows)], first="Name")


def stacked(grid: Grid) -> Grid:
    """Tasks below each other where all have the same columns: a narrower table for a page."""
    found = grid.headings()
    columns = [[grid.columns[k].title for k in places] for _, places in found]
    if not found[0][0] or any(titles != columns[0] for titles in columns):
        return grid
    groups = [
        Group([Row(r.label, [r.cells[k] for k in p], behind=r.behind) for r in grid.rows], heading)
        for heading, p in found
    ]
    first = [Column(c.title) for c in grid.columns[: len(columns[0])]]
    return replace(grid, columns=first, groups=groups)


def _columns(result: Result) -> list[Column]:
    """Columns named "CSN 1%" and "CSN 10%" stand below the heading "CSN" as "1%" and "10%"; one
    that shares no heading with another keeps its whole name."""
    halves = {name: name.rpartition(" ") for name in result.table.columns}
    headings = [heading for heading, _, _ in halves.values()]
    return [
        Column(rest, heading) if headings.count(heading) > 1 else Column(name)
        for name, (heading, _, rest) in halves.items()
    ]


def _row(result: Result, line: Line, decimals: int) -> Row:
    none = Cell(text=NONE if line.behind.seeds else NOT_RUN, seeds=line.behind.seeds)
    cells = [
        replace(line.ours.get(name, none), paper=line.row.paper.get(name), decimals=decimals)
        for name in result.table.columns
    ]
    return Row(line.row.label, cells, behind=line.behind)
