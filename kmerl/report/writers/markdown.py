"""Tables as Markdown, for docs/results.md, and for an issue or a pull request."""

from collections.abc import Sequence

from kmerl.report.grid import Grid, Row

WIDEST = 6
"""Columns of metrics that one table holds; a heading's columns stay together."""


def as_markdown(grids: Sequence[Grid]) -> str:
    """A section a table: what was measured, its parts, what a reader must know of rows."""
    return "\n".join(_section(grid) for grid in grids)


def _section(grid: Grid) -> str:
    parts = [f"## {grid.caption} ({grid.source})", grid.measured]
    for heading, places in grid.headings():
        for start in range(0, len(places), WIDEST):
            parts.append(_table(grid, heading, places[start : start + WIDEST]))
    parts.append(" ".join(text for text in (*grid.remarks, grid.note) if text))
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(grid: Grid, heading: str, places: Sequence[int]) -> str:
    titles = [heading]
    for k in places:
        title = grid.columns[k].title
        titles += [f"{title}: paper", "ours"] if grid.printed[k] else [title]
    titles += grid.rows[0].behind.shown() if grid.behind else []
    lines = []
    for group in grid.groups:
        if group.title or group is not grid.groups[0]:
            title = f"*{_escaped(group.title)}*" if group.title else ""
            lines.append([title, *[""] * (len(titles) - 1)])
        lines += [_cells(grid, row, places) for row in group.rows]
    head, *rows = (f"| {' | '.join(cells)} |" for cells in (titles, *lines))
    return "\n".join([head, "|" + "---|" * len(titles), *rows])


def _cells(grid: Grid, row: Row, places: Sequence[int]) -> list[str]:
    cells = [_escaped(row.label)]
    for k in places:
        cells += [row.cells[k].printed()] if grid.printed[k] else []
        cells.append(row.cells[k].whole())
    behind = row.behind.shown()
    behind["experiment"] = f"`{behind['experiment']}`"
    return [*cells, *(behind.values() if grid.behind else [])]


def _escaped(text: str) -> str:
    """A label whose bars, stars and underscores stay characters."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
