"""Results as text for a terminal: paper and ours side by side."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kmerl.report.layout import blocks, bounded, commits, paper
from kmerl.report.results import Line, Result, comparing

WIDTH, LEAST = 110, 80
LABEL = 36
LEGEND = (
    "In per cent. ours: mean over seeds [interval over patients, mean of its bounds over seeds]"
)
SPREAD = " \N{PLUS-MINUS SIGN}deviation over seeds"
SPREAD_ELSEWHERE = "; deviations over seeds: --wide, or --format csv"


@dataclass(frozen=True)
class _Column:
    """Cells of one column; `head` has three lines, `right` sets numbers to the right."""

    head: tuple[str, str, str]
    cells: Sequence[str]
    right: bool = False

    @property
    def width(self) -> int:
        return max(map(len, (*self.head[1:], *self.cells)))


_Group = list[_Column]


def pages(results: Sequence[Result], named: bool, width: int = WIDTH, wide: bool = False) -> str:
    """Results one after another; unless they were `named`, those that compare nothing yet are
    listed last."""
    shown = list(results) if named else comparing(results)
    texts = [as_text(result, width, wide) for result in shown]
    names = {result.table.name for result in shown}
    others = {one.table.name: one.table for one in results if one.table.name not in names}
    if others:
        longest = max(map(len, others))
        rows = [
            f"  {name:{longest}}  {table.caption} ({table.source})"
            for name, table in others.items()
        ]
        head = "Of these no row has run, or K-MERL's alone:"
        how = "  kmerl tables NAME shows the paper's values, kmerl experiments queue NAME runs it"
        texts.append("\n".join([head, *rows, how]))
    return "\n\n\n".join(texts)


def as_text(result: Result, width: int = WIDTH, wide: bool = False) -> str:
    """A result as lines of at most `width` characters; `wide` puts all columns in one block.

    Where the columns do not fit they stand in blocks below each other, a task each where the
    columns have tasks, and the names of the experiments in a last block.
    """
    table = result.table
    spread = wide or _fit(result, width)
    title = f"{table.name}  {table.caption} ({table.source})"
    parts = [*_wrapped(title, width), *_wrapped(result.measured(), width)]
    if result.ran:
        parts += _wrapped(LEGEND + (SPREAD if spread else SPREAD_ELSEWHERE), width)
    for group in _packed(result, width, wide, spread):
        parts += ["", *_grid(result, group)]
    closing = [*result.remarks(), *_absent(result), *([table.note] if table.note else [])]
    parts += ["", *(line for text in closing for line in _wrapped(text, width))] if closing else []
    return "\n".join(parts)


def _fit(result: Result, width: int) -> bool:
    """Whether each task's columns fit beside each other with their deviations."""
    groups = _groups(result, spread=True)
    titled = [group for group in groups if group[0].head[0]]
    return all(_width(result, group) <= width for group in titled)


def _packed(result: Result, width: int, wide: bool, spread: bool) -> Iterator[_Group]:
    """Columns block by block, as many whole groups beside each other as fit."""
    groups = [*_groups(result, spread), _behind(result)]
    taken: _Group = []
    for group in groups:
        whole = [group] if _width(result, group) <= width or wide else _metrics_of(group)
        for some in whole:
            if taken and not wide and _width(result, [*taken, *some]) > width:
                yield taken
                taken = []
            taken += some
    yield taken


def _groups(result: Result, spread: bool) -> list[_Group]:
    """The columns of each heading; a column without a heading is a group of its own."""
    found: list[_Group] = []
    for block in blocks(result):
        columns = [_metric(result, name, short, spread) for name, short in block.columns.items()]
        if not block.heading:
            found += columns
            continue
        first, *others = [column for group in columns for column in group]
        head = (block.heading, *first.head[1:])
        found.append([_Column(head, first.cells, first.right), *others])
    return found


def _metric(result: Result, name: str, short: str, spread: bool) -> _Group:
    """A metric's columns: the paper's values, where it prints any, and ours, where any ran."""
    theirs = [paper(result, line, name) for line in result.lines]
    mine = [_ours(result, line, name, spread) for line in result.lines]
    kept = []
    if any(theirs) or not result.ran:
        kept.append(_Column(("", short, "paper"), theirs, right=True))
    if result.ran:
        kept.append(_Column(("", "" if kept else short, "ours"), mine))
    return kept


def _metrics_of(group: _Group) -> list[_Group]:
    """A group cut before each column that names a metric."""
    found: list[_Group] = []
    for column in group:
        if column.head[1] or not found:
            found.append([])
        found[-1].append(column)
    return found


def _ours(result: Result, line: Line, name: str, spread: bool) -> str:
    value = line.ours.get(name)
    if value is None:
        return "none" if line.seeds else "-"
    return bounded(result, value, spread)


def _behind(result: Result) -> _Group:
    """What stands behind a row: seeds, the experiment's name, its commit."""
    names = [line.row.experiment for line in result.lines]
    named = _Column(("", "", "experiment"), names)
    if not result.ran:
        return [named]
    seeds = [str(line.seeds) if line.seeds else "-" for line in result.lines]
    hashes = [commits(line) or "-" for line in result.lines]
    return [
        _Column(("", "", "seeds"), seeds, right=True), named, _Column(("", "", "commit"), hashes)
    ]  # fmt: skip


def _width(result: Result, columns: Sequence[_Column]) -> int:
    return _label(result) + sum(2 + column.width for column in columns)


def _label(result: Result) -> int:
    """Width of the first column; rows of a group are indented by two."""
    return min(LABEL, max(len(_indented(line)) for line in result.lines))


def _indented(line: Line) -> str:
    return f"  {line.row.label}" if line.row.group else line.row.label


def _grid(result: Result, columns: Sequence[_Column]) -> list[str]:
    heads = [
        _joined(result, "", columns, [c.head[k] for c in columns], level=k < 2) for k in range(3)
    ]
    body, group = [], ""
    for k, line in enumerate(result.lines):
        if line.row.group != group:
            group = line.row.group
            body += [group] if group else []
        *above, last = textwrap.wrap(
            _indented(line).strip(),
            _label(result),
            initial_indent="  " if line.row.group else "",
            subsequent_indent="    ",
        ) or [""]
        body += [*above, _joined(result, last, columns, [c.cells[k] for c in columns])]
    rule = "-" * max(map(len, [*heads, *body]))
    return [*(head for head in heads if head), rule, *body]


def _joined(
    result: Result, first: str, columns: Sequence[_Column], texts: list[str], level: bool = False
) -> str:
    """One line, all to the left where it is `level`; what is too wide runs into the next column."""
    line = first.ljust(_label(result))
    end = len(line)
    for column, text in zip(columns, texts, strict=True):
        start, end = end + 2, end + 2 + column.width
        line = line.ljust(start)
        line += text.rjust(column.width) if column.right and not level else text
    return line.rstrip()


def _absent(result: Result) -> list[str]:
    """Why rows have no run, each reason once, and how to run them."""
    by_reason: dict[str, list[str]] = {}
    for line in result.lines:
        if line.absent:
            by_reason.setdefault(line.absent, []).append(line.row.experiment)
    found = [
        f"{reason[0].upper()}{reason[1:]}: {', '.join(dict.fromkeys(names))}."
        for reason, names in by_reason.items()
    ]
    return [*found, f"To run them: kmerl experiments queue {result.table.name}"] if found else []


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
