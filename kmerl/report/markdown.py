"""Results as Markdown, for docs/results.md and for an issue or a pull request."""

from collections.abc import Iterator, Sequence

from kmerl.report.layout import blocks, bounded, commits, paper
from kmerl.report.results import Line, Result

WIDEST = 6
"""Columns of metrics that one table holds; a heading's columns stay together."""


def as_markdown(results: Sequence[Result]) -> str:
    """A section a result: what was measured, its tables, what a reader must know of rows."""
    return "\n".join(_section(result) for result in results)


def _section(result: Result) -> str:
    table = result.table
    parts = [f"## {table.caption} ({table.source})", result.measured()]
    for heading, columns in _parts(result):
        parts.append("\n".join(_table(result, heading, columns)))
    parts.append(" ".join(text for text in (*result.remarks(), table.note) if text))
    return "\n\n".join(part for part in parts if part) + "\n"


def _parts(result: Result) -> Iterator[tuple[str, dict[str, str]]]:
    """The columns of each table by name, with what they are called, and their heading."""
    for block in blocks(result):
        names = list(block.columns)
        for start in range(0, len(names), WIDEST):
            some = names[start : start + WIDEST]
            yield block.heading, {name: block.columns[name] for name in some}


def _table(result: Result, heading: str, columns: dict[str, str]) -> Iterator[str]:
    printed = [name for name in columns if result.prints(name)]
    titles = [heading]
    for name, short in columns.items():
        titles += [f"{short}: paper", "ours"] if name in printed else [short]
    titles += ["seeds", "experiment", "commit"]
    yield _row(titles)
    yield "|" + "---|" * len(titles)
    group = ""
    for line in result.lines:
        if line.row.group != group:
            group = line.row.group
            yield _row([f"*{_escaped(group)}*" if group else "", *[""] * (len(titles) - 1)])
        cells = [_escaped(line.row.label)]
        for name in columns:
            cells += [paper(result, line, name)] if name in printed else []
            cells.append(_ours(result, line, name))
        seeds = str(line.seeds) if line.seeds else ""
        yield _row([*cells, seeds, f"`{line.row.experiment}`", commits(line)])


def _ours(result: Result, line: Line, name: str) -> str:
    value = line.ours.get(name)
    if value is None:
        return "none" if line.seeds else "not run"
    return bounded(result, value)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """A label whose bars, stars and underscores stay characters."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
