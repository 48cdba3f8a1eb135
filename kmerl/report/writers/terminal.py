"""Tables as text for a terminal: paper and ours side by side."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable

from kmerl.report.grid import NOT_RUN, Cell, Grid

WIDTH, LEAST = 110, 80
LABEL = 36
LEGEND = (
    "In per cent. ours: mean over seeds [interval over patients, mean of its bounds over seeds] "
    "\N{PLUS-MINUS SIGN}deviation over seeds"
)
OTHERS = "Of these no row has run, or K-MERL's alone:"
HOW = "  kmerl tables NAME shows the paper's values, kmerl experiments queue NAME runs it"


@dataclass(frozen=True)
class _Column:
    """A printed column: three lines that head it, and a text for each row of the grid."""

    heading: str
    title: str
    side: str
    texts: Sequence[str]


def pages(grids: Sequence[Grid], others: dict[str, str], width: int, wide: bool) -> str:
    """Tables one after another, then the names and captions of `others`."""
    texts = [as_text(grid, width, wide) for grid in grids]
    if others:
        longest = max(map(len, others))
        rows = [f"  {name:{longest}}  {caption}" for name, caption in others.items()]
        texts.append("\n".join([OTHERS, *rows, HOW]))
    return "\n\n\n".join(texts)


def as_text(grid: Grid, width: int = WIDTH, wide: bool = False) -> str:
    """A table as lines of at most `width` characters; `wide` puts all columns in one block.

    Where the columns do not fit they stand in blocks below each other, and what stands behind the
    rows in the last.
    """
    above = [f"{grid.name}  {grid.caption} ({grid.source})", grid.measured]
    above += [LEGEND] if grid.ran else []
    below = [*grid.remarks, *_absent(grid), *([grid.note] if grid.note else [])]
    blocks = [_block(grid, columns) for columns in _blocks(grid, width, wide)]
    texts = [_wrapped(above, width), *blocks, *([_wrapped(below, width)] if below else [])]
    return "\n\n".join(texts)


def _blocks(grid: Grid, width: int, wide: bool) -> Iterator[list[_Column]]:
    """As many columns beside each other as fit; those of a metric stay together."""
    block: list[_Column] = []
    for some in [*(_metric(grid, k) for k in range(len(grid.columns))), _behind(grid)]:
        heads, columns = _heads([*block, *some]), [*block, *some]
        widths = [
            2 + max(map(len, (*head, *c.texts))) for head, c in zip(heads, columns, strict=True)
        ]
        if block and not wide and _label(grid) + sum(widths) > width:
            yield block
            block = []
        block += some
    yield block


def _heads(columns: Sequence[_Column]) -> list[list[str]]:
    """The lines above each column, a heading once, without those that say nothing of any."""
    before = ["", *(column.heading for column in columns)]
    lines = [
        ["" if column.heading == last else column.heading, column.title, column.side]
        for column, last in zip(columns, before, strict=False)
    ]
    empty = next(k for k in range(3) if any(line[k] for line in lines))
    return [line[empty:] for line in lines]


def _label(grid: Grid) -> int:
    """Width of the rows' names; those of a group are indented by two."""
    return min(
        LABEL, max(len(row.label) + 2 * bool(g.title) for g in grid.groups for row in g.rows)
    )


def _metric(grid: Grid, k: int) -> list[_Column]:
    """The paper's values, where it prints any or nothing ran, and ours, where any ran."""
    column, cells = grid.columns[k], [row.cells[k] for row in grid.rows]
    found = []
    if grid.printed[k] or not grid.ran:
        theirs = [cell.printed() for cell in cells]
        found.append(_Column(column.heading, column.title, "paper", theirs))
    if grid.ran:
        title = "" if found else column.title
        found.append(_Column(column.heading, title, "ours", [_ours(cell) for cell in cells]))
    return found


def _ours(cell: Cell) -> str:
    return "-" if cell.text == NOT_RUN else cell.whole()


def _behind(grid: Grid) -> list[_Column]:
    """What stands behind a row: seeds, the experiment's name, its commit."""
    shown = [row.behind.shown() for row in grid.rows]
    names = shown[0] if grid.ran else ["experiment"]
    return [_Column("", "", name, [one[name] or "-" for one in shown]) for name in names]


def _block(grid: Grid, columns: Sequence[_Column]) -> str:
    """The rows below their groups' titles."""
    table = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(width=_label(grid))
    for head, column in zip(_heads(columns), columns, strict=True):
        right = column.side in ("paper", "seeds")
        table.add_column("\n".join(head), justify="right" if right else "left", no_wrap=True)
    texts = zip(*(column.texts for column in columns), strict=True)
    for group in grid.groups:
        if group.title:
            table.add_row(group.title)
        for row in group.rows:
            table.add_row(Padding(row.label, (0, 0, 0, 2 * bool(group.title))), *next(texts))
    console = Console(file=io.StringIO(), width=10_000, markup=False, emoji=False, highlight=False)
    with console.capture() as printed:
        console.print(table)
    return "\n".join(line.rstrip() for line in printed.get().splitlines())


def _absent(grid: Grid) -> list[str]:
    """Why rows have no run, each reason once, and how to run them."""
    by_reason: dict[str, list[str]] = {}
    for row in grid.rows:
        if row.behind.absent:
            by_reason.setdefault(row.behind.absent, []).append(row.behind.experiment)
    found = [
        f"{reason[0].upper()}{reason[1:]}: {', '.join(dict.fromkeys(names))}."
        for reason, names in by_reason.items()
    ]
    return [*found, f"To run them: kmerl experiments queue {grid.name}"] if found else []


def _wrapped(texts: Sequence[str], width: int) -> str:
    return "\n".join(
        textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False) for text in texts
    )
