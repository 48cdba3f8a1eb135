"""A figure's charts: the paper's points in one, ours in another, never on one scale."""

import re
from collections.abc import Callable, Sequence

from kmerl.report.charts import Chart, Point, Series
from kmerl.report.grid import Cell
from kmerl.report.results import Line, Result

DODGE = 0.5
"""Of the distance between two categories, the part over which the marks of one are spread."""
NUMBER = re.compile(r"\d+(\.\d+)?")

_Place = float | str
_Side = Callable[[Line, str], Cell]
_Curves = list[tuple[str, list[tuple[_Place, Cell]]]]


def charts(result: Result) -> list[Chart]:
    """The paper's chart where it prints two numbers or more, and ours where something ran; a pair
    a column where a figure shows points. A table has none."""
    table = result.table
    if table.kind == "table":
        return []
    sides: list[tuple[str, _Side, int]] = [
        (f"Paper, {table.source}", lambda line, column: Cell(line.row.paper.get(column)), 2),
        (f"Ours, scale {result.scale}", lambda line, column: line.ours.get(column, Cell()), 1),
    ]
    found = []
    for column in table.columns if table.kind == "points" else [""]:
        several = len(table.columns) > 1 and column
        for title, side, least in sides:
            curves = _by_group(result, column, side) if column else _by_line(result, side)
            chart = _chart(result, f"{title}: {column}" if several else title, curves)
            if sum(len(series.points) for series in chart.series) >= least:
                found.append(chart)
    return found


def _by_line(result: Result, side: _Side) -> _Curves:
    """A curve a row over the columns: over the numbers in their names ("9 leads"), or the names."""
    columns = list(result.table.columns)
    numbers = [float(match[0]) for name in columns if (match := NUMBER.match(name))]
    numbered = result.table.kind == "curves" and len(numbers) == len(columns)
    places: Sequence[_Place] = numbers if numbered else columns
    return [
        (_name(result, line), [(x, side(line, c)) for x, c in zip(places, columns, strict=True)])
        for line in result.lines
    ]


def _by_group(result: Result, column: str, side: _Side) -> _Curves:
    """A curve a group over the rows' x; a row without x is a level from end to end."""
    groups: dict[str, list[tuple[_Place, Cell]]] = {}
    for line in result.lines:
        if line.row.x is not None:
            point = (line.row.x, side(line, column))
            groups.setdefault(line.row.group or column, []).append(point)
    ends = _ticks([place for points in groups.values() for place, _ in points])
    levels = [
        (_name(result, line), [(x, side(line, column)) for x in (ends[0], ends[-1])])
        for line in result.lines
        if line.row.x is None and ends
    ]
    return [*groups.items(), *levels]


def _chart(result: Result, title: str, curves: _Curves) -> Chart:
    """Over words the curves of named columns are marks beside each other; a curve with a gap is
    marks alone."""
    table = result.table
    ticks = _ticks([place for _, curve in curves for place, _ in curve])
    words = [tick for tick in ticks if isinstance(tick, str)]
    apart = bool(words) and table.kind != "points"
    series = []
    for style, (name, curve) in enumerate(curves):
        shift = DODGE * ((style + 0.5) / len(curves) - 0.5) if apart else 0.0
        points = [
            Point(
                (words.index(str(x)) if words else float(x)) + shift, cell.value, cell.lo, cell.hi
            )
            for x, cell in curve
            if cell.value is not None
        ]
        joined = not apart and len(points) == len(curve)
        series.append(Series(name, sorted(points, key=lambda point: point.x), style, joined))
    x_ticks = [float(k) if words else float(tick) for k, tick in enumerate(ticks)]
    label = f"{table.y_label}, %"
    return Chart(title, table.x_label, label, series, x_ticks, words, digits=result.decimals())


def _ticks(places: Sequence[_Place]) -> list[_Place]:
    """Numbers in their order, words in theirs."""
    if any(isinstance(place, str) for place in places):
        return list(dict.fromkeys(map(str, places)))
    return sorted({float(place) for place in places})


def _name(result: Result, line: Line) -> str:
    differs = line.behind.words not in ("", result.words)
    return f"{line.row.label} ({line.behind.words})" if differs else line.row.label
