"""Tables as LaTeX for a manuscript, with package booktabs and no other."""

import re
from collections.abc import Sequence

from kmerl.report.grid import Grid, Row
from kmerl.report.writers import html

FEW = 4
"""Columns of metrics up to which the paper's value and ours stand beside each other."""
ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "\N{EN DASH}": "--", "\N{PLUS-MINUS SIGN}": r"$\pm$", "<": r"$<$", ">": r"$>$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$", "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{SQUARE ROOT}": r"$\surd$",
}  # fmt: skip


def as_latex(grids: Sequence[Grid]) -> str:
    """A table environment each, across both columns of a manuscript that has two."""
    return "\n".join(_table(grid) for grid in grids)


def escaped(text: str) -> str:
    """Text that LaTeX sets as it stands; $...$ is mathematics and left alone."""
    pieces = re.split(r"(\$[^$]+\$)", text)  # every other piece is mathematics
    return "".join(
        piece if k % 2 else "".join(ESCAPES.get(character, character) for character in piece)
        for k, piece in enumerate(pieces)
    )


ENVIRONMENT = html.ENVIRONMENT.overlay(  # braces are LaTeX's own
    block_start_string="<%",
    block_end_string="%>",
    variable_start_string="<<",
    variable_end_string=">>",
    keep_trailing_newline=True,
    autoescape=False,
)
ENVIRONMENT.filters["escaped"] = escaped


def _table(grid: Grid) -> str:
    """Few columns: the paper's value, where it prints any, and ours beside each other, then the
    seeds. Many: the paper's values on a line, ours on the line below it."""
    stacked, columns = len(grid.columns) > FEW, zip(grid.columns, grid.printed, strict=True)
    caption = [f"{grid.caption} ({grid.source}).", grid.measured, _key(grid, stacked)]
    if stacked:
        spec, before, after = "ll" + "r" * len(grid.columns), ["", ""], []
        spans = [(heading, len(below)) for heading, below in grid.headings()]
        titles = [escaped(column.title) for column in grid.columns]
    else:
        spec = f"l{''.join('rl' if both else 'l' for both in grid.printed)}{'r' * grid.behind}"
        before, after = [""], ["seeds"] * grid.behind
        spans = [(column.name, 1 + both) for column, both in columns]
        titles = ["paper & ours" if both else "ours" for both in grid.printed]
    headings, rules = _spanning(spans, len(before))
    return ENVIRONMENT.get_template("table.tex").render(
        grid=grid,
        stacked=stacked,
        caption=" ".join(filter(None, [*caption, *grid.remarks, grid.note])),
        experiments=sorted({row.behind.experiment for row in grid.results if row.behind.seeds}),
        spec=spec,
        headings=[*before, *headings, *[""] * len(after)] if rules else [],
        rules=rules,
        titles=[*before, *titles, *after],
        lines=_stacked if stacked else _beside,
    )


def _key(grid: Grid, stacked: bool) -> str:
    best = "Bold: the largest value of a column"
    if not grid.ranked or not grid.ran:
        return f"AUROC in per cent. {best}." if grid.ranked else ""
    bounds = "Intervals are in the CSV." if stacked else "Brackets: interval over patients."
    if any(group.floor for group in grid.groups):
        best += " and what is level with it by the noise floor"
    seeds = sorted({row.behind.seeds for row in grid.results if row.behind.seeds})
    counted = " or ".join(map(str, seeds))
    return (
        f"In per cent; ours is the mean of {counted} seed{'s' * (seeds != [1])}. {bounds} "
        f"{best}, the paper's and ours apart."
    )


def _spanning(spans: Sequence[tuple[str, int]], before: int) -> tuple[list[str], str]:
    """Headings over so many columns each, and the rules below those that say anything."""
    rules, place = "", before + 1
    for heading, width in spans:
        rules += rf"\cmidrule(lr){{{place}-{place + width - 1}}}" if heading else ""
        place += width
    return [rf"\multicolumn{{{width}}}{{c}}{{{escaped(title)}}}" for title, width in spans], rules


def _beside(grid: Grid, row: Row) -> list[list[str]]:
    cells = []
    for k, both in enumerate(grid.printed):
        cells += [_paper(grid, row, k)] if both else []
        cell, spread = row.cells[k], ""
        if cell.value is not None:  # without an interval the deviation over seeds, if any
            bounds = cell.interval(", ")
            spread = f"[{bounds}]" if bounds else escaped(cell.deviation())
        cells.append(_ours(grid, row, k) + (rf" {{\scriptsize {spread}}}" if spread else ""))
    seeds = [str(row.behind.seeds or "--")] if grid.behind else []
    return [[escaped(row.label), *cells, *seeds]]


def _stacked(grid: Grid, row: Row) -> list[list[str]]:
    theirs, ours = (
        [side(grid, row, k) for k in range(len(grid.columns))] for side in (_paper, _ours)
    )
    shown = [["paper", *theirs]] if any(theirs) or not row.behind.seeds else []
    shown += [["ours", *ours]] if row.behind.seeds else []
    return [["" if k else escaped(row.label), *cells] for k, cells in enumerate(shown)]


def _paper(grid: Grid, row: Row, k: int) -> str:
    """In bold where it is the largest of two or more."""
    known = [one for r in grid.rows if isinstance(one := r.cells[k].paper, float | int)]
    best = grid.ranked and len(known) > 1 and row.cells[k].paper == max(known)
    return _bold(escaped(row.cells[k].printed()), best)


def _ours(grid: Grid, row: Row, k: int) -> str:
    cell = row.cells[k]
    if cell.value is None:
        return escaped(cell.text if grid.columns[k].words else cell.deviation()) or "--"
    return _bold(cell.shown(), row in grid.best(k))


def _bold(text: str, best: bool) -> str:
    return rf"\textbf{{{text}}}" if best else text
