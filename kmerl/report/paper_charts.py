"""A figure's charts: the paper's points in one, ours in another, never on one scale."""

import re
from collections.abc import Callable, Iterator, Sequence

from kmerl.report.charts import Chart, Series
from kmerl.report.results import Line, Result

DODGE = 0.5
"""Of the distance between two categories, the part over which the marks of one are spread."""
NUMBER = re.compile(r"\d+(\.\d+)?")

_Value = Callable[[Line, str], tuple[float | None, float | None, float | None]]


def charts(result: Result) -> list[Chart]:
    """The paper's chart where it prints two numbers or more, and ours where something ran; a pair
    a column where a figure shows points. A table has none."""
    table = result.table
    if table.kind == "table":
        return []
    sides: list[tuple[str, _Value, int]] = [
        (f"Paper, {table.source}", _paper, 2),
        (f"Ours, scale {result.scale}", _ours, 1),
    ]
    found = []
    for column in table.columns if table.kind == "points" else [""]:
        several = len(table.columns) > 1 and column
        for title, value, least in sides:
            chart = _chart(result, column, f"{title}: {column}" if several else title, value)
            if sum(len(series.known) for series in chart.series) >= least:
                found.append(chart)
    return found


def _chart(result: Result, column: str, title: str, value: _Value) -> Chart:
    table = result.table
    if table.kind == "points":
        ticks, words = _axis([line.row.x for line in result.lines if line.row.x is not None])
        series = list(_by_group(result, column, value, ticks, words))
    else:
        names = list(table.columns)
        ticks, words = _axis(_numbers(names) if table.kind == "curves" else names)
        series = list(_by_line(result, value, ticks, bool(words)))
    label = f"{table.y_label}, %"
    return Chart(title, table.x_label, label, series, ticks, words, digits=result.decimals())


def _numbers(columns: list[str]) -> list[float | str]:
    """The numbers in the columns' names ("9 leads"), or the names where they hold none."""
    found = [NUMBER.match(name) for name in columns]
    if any(match is None for match in found):
        return list(columns)
    return [float(match[0]) for match in found if match is not None]


def _axis(places: Sequence[float | str]) -> tuple[list[float], list[str]]:
    """Where the ticks are and, for words, what they say; words keep their order."""
    if all(not isinstance(place, str) for place in places):
        return sorted({float(place) for place in places}), []
    words = list(dict.fromkeys(map(str, places)))
    return [float(k) for k in range(len(words))], words


def _by_line(
    result: Result, value: _Value, ticks: Sequence[float], by_words: bool
) -> Iterator[Series]:
    """A curve a row over numbered columns, marks a row beside each other over named ones."""
    columns, lines = list(result.table.columns), result.lines
    places = ticks if by_words else [float(x) for x in _numbers(columns)]
    for style, line in enumerate(lines):
        shift = DODGE * ((style + 0.5) / len(lines) - 0.5) if by_words else 0.0
        bounded = [value(line, column) for column in columns]
        x = [place + shift for place in places]
        yield _series(_name(result, line), style, x, bounded, joined=not by_words)


def _by_group(
    result: Result, column: str, value: _Value, ticks: Sequence[float], words: Sequence[str]
) -> Iterator[Series]:
    """A curve a group over the rows' x; a row without x is a level from end to end."""
    groups: dict[str, list[tuple[float, Line]]] = {}
    for line in result.lines:
        if line.row.x is not None:
            x = float(words.index(str(line.row.x)) if words else line.row.x)
            groups.setdefault(line.row.group or column, []).append((x, line))
    for style, (name, points) in enumerate(groups.items()):
        ordered = sorted(points, key=lambda point: point[0])
        bounded = [value(line, column) for _, line in ordered]
        yield _series(name, style, [x for x, _ in ordered], bounded)
    levels = [line for line in result.lines if line.row.x is None and ticks]
    for style, line in enumerate(levels, start=len(groups)):
        ends = [ticks[0], ticks[-1]]
        yield _series(_name(result, line), style, ends, [value(line, column)] * 2)


def _series(
    name: str,
    style: int,
    x: Sequence[float],
    bounded: Sequence[tuple[float | None, float | None, float | None]],
    joined: bool = True,
) -> Series:
    """A curve without a gap is joined, one with gaps is marks alone."""
    y, lo, hi = zip(*bounded, strict=True)
    return Series(name, x, y, lo, hi, style, joined and None not in y)


def _name(result: Result, line: Line) -> str:
    differs = line.words not in ("", result.words)
    return f"{line.row.label} ({line.words})" if differs else line.row.label


def _paper(line: Line, column: str) -> tuple[float | None, None, None]:
    return line.row.paper.get(column), None, None


def _ours(line: Line, column: str) -> tuple[float | None, float | None, float | None]:
    value = line.ours.get(column)
    return (None, None, None) if value is None else (value.value, value.lo, value.hi)
