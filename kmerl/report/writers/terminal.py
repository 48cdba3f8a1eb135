"""Tables as text for a terminal: paper and ours side by side."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from kmerl.experiments.catalogue import Table
from kmerl.report.grid import NOT_RUN, Grid

WIDTH, LEAST = 110, 80
LABEL = 36
LEGEND = (
    "In per cent. ours: mean over seeds [interval over patients, mean of its bounds over seeds] "
    "\N{PLUS-MINUS SIGN}deviation over seeds"
)
OTHERS = "Of these no row has run, or K-MERL's alone:"
HOW = "  kmerl tables NAME shows the paper's values, kmerl experiments queue NAME runs it"


_Column = list[str]
"""The three lines that head a printed column, and its text in each row of the grid."""


def pages(grids: Iterable[Grid], others: Sequence[Table], width: int, wide: bool) -> str:
    """Tables one after another, then the names and captions of `others`."""
    texts = [as_text(grid, width, wide) for grid in grids]
    if others:
        longest = max(len(table.name) for table in others)
        rows = [f"  {one.name:{longest}}  {one.caption} ({one.source})" for one in others]
        texts.append("\n".join([OTHERS, *rows, HOW]))
    return "\n\n\n".join(texts)


def as_text(grid: Grid, width: int = WIDTH, wide: bool = False) -> str:
    """A table as lines of at most `width` characters; `wide` puts all columns in one block.

    Where the columns do not fit they stand in blocks below each other, and what stands behind the
    rows in the last.
    """
    above = [f"{grid.name}  {grid.caption} ({grid.source})", grid.measured]
    above += [LEGEND] if grid.ran and grid.ranked else []
    below = [*grid.remarks, *_absent(grid), *([grid.note] if grid.note else [])]
    blocks = ["\n".join(lines) for lines in _blocks(grid, width, wide)]
    texts = [_wrapped(above, width), *blocks, *([_wrapped(below, width)] if below else [])]
    return "\n\n".join(texts)


def _blocks(grid: Grid, width: int, wide: bool) -> Iterator[list[str]]:
    """As many columns beside each other as fit; those of a metric stay together."""
    block: list[_Column] = []
    for some in [*(_metric(grid, k) for k in range(len(grid.columns))), _behind(grid)]:
        if block and not wide and max(map(len, _lines(grid, [*block, *some]))) > width:
            yield _lines(grid, block)
            block = []
        block += some
    yield _lines(grid, block)


def _metric(grid: Grid, k: int) -> list[_Column]:
    """The paper's values, where it prints any or nothing ran, and ours, where any ran."""
    column, cells = grid.columns[k], [row.cells[k] for row in grid.rows]
    found = []
    if grid.printed[k] or not grid.ran:
        found.append([column.heading, column.title, "paper", *(cell.printed() for cell in cells)])
    if grid.ran:
        ours = ["-" if cell.text == NOT_RUN else cell.whole() for cell in cells]
        side = "" if column.words else "ours"
        found.append([column.heading, "" if found else column.title, side, *ours])
    return found


def _behind(grid: Grid) -> list[_Column]:
    """What stands behind a row: seeds, the experiment's name, its commit."""
    shown = [row.behind.shown() for row in grid.rows]
    if not grid.behind:
        return []
    names = shown[0] if grid.ran else ["experiment"]
    return [["", "", name, *(one[name] or "-" for one in shown)] for name in names]


def _lines(grid: Grid, columns: Sequence[_Column]) -> list[str]:
    """The columns' heads, a heading once, and the rows, indented below their groups' titles."""
    before = ["", *(column[0] for column in columns)]
    padded = []
    for last, (heading, *below) in zip(before, columns, strict=False):
        texts = ["" if heading == last else heading, *below]
        side = ">" if below[1] in ("paper", "seeds") else "<"
        padded.append([f"  {text:{side}{max(map(len, texts))}}" for text in texts])
    across = ["".join(texts) for texts in zip(*padded, strict=True)]
    labels = [f"{'  ' * bool(g.title)}{row.label}" for g in grid.groups for row in g.rows]
    width = min(LABEL, max(map(len, labels)))
    lines = [f"{'':{width}}{head}" for head in across[:3] if head.strip()]
    lines.append("-" * len(lines[0]))
    rows = iter(across[3:])
    for group in grid.groups:
        lines += [group.title] if group.title else []
        indent = "  " * bool(group.title)
        for row in group.rows:
            first, *rest = textwrap.wrap(
                row.label, width, initial_indent=indent, subsequent_indent=indent
            )
            lines += [f"{first:{width}}{next(rows)}", *rest]
    return [line.rstrip() for line in lines]


def _absent(grid: Grid) -> list[str]:
    """Why rows have no run, each reason once, and how to run them."""
    found = []
    for reason in dict.fromkeys(row.behind.absent for row in grid.rows if row.behind.absent):
        names = [row.behind.experiment for row in grid.rows if row.behind.absent == reason]
        found.append(f"{reason[0].upper()}{reason[1:]}: {', '.join(dict.fromkeys(names))}.")
    return [*found, f"To run them: kmerl experiments queue {grid.name}"] if found else []


def _wrapped(texts: Sequence[str], width: int) -> str:
    return "\n".join(
        textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False) for text in texts
    )
