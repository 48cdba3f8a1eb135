"""Tables as LaTeX for a manuscript, with package booktabs and no other."""

import re
from collections.abc import Callable, Sequence

from kmerl.report.grid import Cell, Grid, Row

FEW = 4
"""Columns of metrics up to which the paper's value and ours stand beside each other."""
SMALL, TINY = (
    [r"\footnotesize", r"\setlength{\tabcolsep}{3pt}"], [r"\tiny", r"\setlength{\tabcolsep}{1pt}"]
)  # fmt: skip
ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "\N{EN DASH}": "--", "\N{PLUS-MINUS SIGN}": r"$\pm$", "<": r"$<$", ">": r"$>$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$", "\N{MULTIPLICATION SIGN}": r"$\times$",
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


def _table(grid: Grid) -> str:
    wide = len(grid.columns) > FEW
    spec, head, body = (_stacked if wide else _beside)(grid)
    caption = [f"{grid.caption} ({grid.source}).", grid.measured, _key(grid, wide)]
    caption += [*grid.remarks, grid.note]
    names = sorted({row.behind.experiment for row in grid.rows if row.behind.seeds})
    lines = [
        f"% {grid.name}: kmerl tables {grid.name} --format latex",
        *([f"% experiments: {', '.join(names)}"] if names else []),
        *([f"% commits: {', '.join(grid.commits)}"] if grid.commits else []),
        r"\begin{table*}",
        r"\centering",
        *(TINY if wide else SMALL),
        rf"\caption{{{escaped(' '.join(part for part in caption if part))}}}",
        rf"\label{{tab:{grid.name}{f'-{grid.scale}' if grid.scale else ''}}}",
        rf"\begin{{tabular}}{{{spec}}}",
        r"\toprule",
        *head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
        "",
    ]
    return "\n".join(lines)


def _key(grid: Grid, wide: bool) -> str:
    if not grid.ran:
        return "AUROC in per cent. Bold: the largest value of a column."
    bounds = "Intervals are in the CSV." if wide else "Brackets: interval over patients."
    seeds = sorted({row.behind.seeds for row in grid.rows if row.behind.seeds})
    counted = " or ".join(map(str, seeds))
    return (
        f"In per cent; ours is the mean of {counted} seed{'s' * (seeds != [1])}. {bounds} "
        "Bold: the largest value of a column, the paper's and ours apart."
    )


def _beside(grid: Grid) -> tuple[str, list[str], list[str]]:
    """The paper's value, where it prints any, and ours in columns beside each other; the seeds."""
    printed = grid.printed

    def lines(row: Row) -> list[str]:
        cells = []
        for k, both in enumerate(printed):
            cells += [_paper(grid, row, k)] if both else []
            cells.append(_ours(grid, row, k) + _bounds(row.cells[k]))
        return [_line([escaped(row.label), *cells, str(row.behind.seeds or "--")])]

    spans = [(c.name, 1 + both) for c, both in zip(grid.columns, printed, strict=True)]
    kinds = ["paper & ours" if both else "ours" for both in printed]
    head = [*_spanning(spans, before=1, after=1), _line(["", *kinds, "seeds"])]
    spec = f"l{''.join('rl' if both else 'l' for both in printed)}r"
    return spec, head, _body(grid, len(spec), lines)


def _stacked(grid: Grid) -> tuple[str, list[str], list[str]]:
    """Many columns: the paper's values on a line, ours on the line below it."""
    places = range(len(grid.columns))

    def lines(row: Row) -> list[str]:
        theirs = ["paper", *(_paper(grid, row, k) for k in places)]
        ours = ["ours", *(_ours(grid, row, k) for k in places)]
        shown = [theirs] if any(theirs[1:]) or not row.behind.seeds else []
        shown += [ours] if row.behind.seeds else []
        labels = [escaped(row.label), ""]
        return [_line([label, *cells]) for label, cells in zip(labels, shown, strict=False)]

    spans = [(heading, len(below)) for heading, below in grid.headings()]
    head = _spanning(spans, before=2, after=0) if any(heading for heading, _ in spans) else []
    head.append(_line(["", "", *(escaped(column.title) for column in grid.columns)]))
    spec = "ll" + "r" * len(places)
    return spec, head, _body(grid, len(spec), lines)


def _body(grid: Grid, width: int, lines: Callable[[Row], list[str]]) -> list[str]:
    """The lines of each row, and before the first of each group its heading."""
    body = []
    for k, group in enumerate(grid.groups):
        body += [r"\midrule"] if k else []
        if group.title:
            body.append(rf"\multicolumn{{{width}}}{{l}}{{\textit{{{escaped(group.title)}}}}} \\")
        body += [line for row in group.rows for line in lines(row)]
    return body


def _spanning(spans: Sequence[tuple[str, int]], before: int, after: int) -> list[str]:
    """A line of headings over so many columns each, and the rules below those that say anything."""
    rules, place = "", before + 1
    for heading, width in spans:
        rules += rf"\cmidrule(lr){{{place}-{place + width - 1}}}" if heading else ""
        place += width
    titles = [rf"\multicolumn{{{width}}}{{c}}{{{escaped(heading)}}}" for heading, width in spans]
    return [_line([*[""] * before, *titles, *[""] * after]), rules]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _paper(grid: Grid, row: Row, k: int) -> str:
    return _bold(row.cells[k].printed(), row.cells[k].paper, [r.cells[k].paper for r in grid.rows])


def _ours(grid: Grid, row: Row, k: int) -> str:
    cell = row.cells[k]
    if cell.value is None:
        return "--"
    return _bold(cell.shown(), cell.value, [r.cells[k].value for r in grid.rows])


def _bounds(cell: Cell) -> str:
    return rf" {{\scriptsize [{cell.interval(', ')}]}}" if cell.interval() else ""


def _bold(text: str, value: float | None, column: Sequence[float | None]) -> str:
    """In bold where it is the largest of two or more."""
    known = [one for one in column if one is not None]
    best = len(known) > 1 and value == max(known)
    return rf"\textbf{{{text}}}" if best else text
