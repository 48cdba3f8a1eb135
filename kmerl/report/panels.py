"""A figure's panels: the paper's points in one, ours in another, never on one scale."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kmerl.report.results import Line, Result

DODGE = 0.5
"""Of the distance between two categories, the part over which the marks of one are spread."""
NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class Points:
    """One curve, or marks alone where it is not `joined`; per cent, None where unknown."""

    name: str
    style: int
    x: Sequence[float]
    y: Sequence[float | None]
    lo: Sequence[float | None]
    hi: Sequence[float | None]
    joined: bool


@dataclass(frozen=True)
class Panel:
    """Axes and what is drawn on them. `words` name the `ticks` where x is no number."""

    title: str
    x_label: str
    y_label: str
    ticks: Sequence[float]
    words: Sequence[str]
    points: Sequence[Points]
    digits: int


_Bounded = tuple[float | None, float | None, float | None]
_Value = Callable[[Line, str], _Bounded]


def panels(result: Result) -> list[Panel]:
    """The paper's panel where it prints two numbers or more, and ours where something ran; a pair
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
            panel = _panel(result, column, f"{title}: {column}" if several else title, value)
            known = [y for points in panel.points for y in points.y if y is not None]
            if len(known) >= least:
                found.append(panel)
    return found


def _panel(result: Result, column: str, title: str, value: _Value) -> Panel:
    table = result.table
    if table.kind == "points":
        ticks, words = _axis([line.row.x for line in result.lines if line.row.x is not None])
        points = list(_by_group(result, column, value, ticks, words))
    else:
        names = list(table.columns)
        ticks, words = _axis(_numbers(names) if table.kind == "curves" else names)
        points = list(_by_line(result, value, ticks, bool(words)))
    label = f"{table.y_label}, %"
    return Panel(title, table.x_label, label, ticks, words, points, result.decimals())


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
) -> Iterator[Points]:
    """A curve a row over numbered columns, marks a row beside each other over named ones."""
    columns, lines = list(result.table.columns), result.lines
    places = ticks if by_words else [float(x) for x in _numbers(columns)]
    for style, line in enumerate(lines):
        y, lo, hi = zip(*(value(line, column) for column in columns), strict=True)
        shift = DODGE * ((style + 0.5) / len(lines) - 0.5) if by_words else 0.0
        x = [place + shift for place in places]
        joined = not by_words and None not in y
        yield Points(_name(result, line), style, x, y, lo, hi, joined)


def _by_group(
    result: Result, column: str, value: _Value, ticks: Sequence[float], words: Sequence[str]
) -> Iterator[Points]:
    """A curve a group over the rows' x; a row without x is a level from end to end."""
    groups: dict[str, list[Line]] = {}
    for line in result.lines:
        if line.row.x is not None:
            groups.setdefault(line.row.group, []).append(line)
    style = 0
    for name, lines in groups.items():
        x = [_place(line.row.x, words) for line in lines]
        order = sorted(range(len(x)), key=lambda k: x[k])
        y, lo, hi = zip(*(value(lines[k], column) for k in order), strict=True)
        curve = name or column
        yield Points(curve, style, [x[k] for k in order], y, lo, hi, joined=None not in y)
        style += 1
    for line in result.lines:
        if line.row.x is None and ticks:
            level = [value(line, column)] * 2
            y, lo, hi = zip(*level, strict=True)
            yield Points(_name(result, line), style, [ticks[0], ticks[-1]], y, lo, hi, True)
            style += 1


def _place(x: float | str | None, words: Sequence[str]) -> float:
    return float(words.index(str(x))) if words else float(x or 0)


def _name(result: Result, line: Line) -> str:
    differs = line.words not in ("", result.words)
    return f"{line.row.label} ({line.words})" if differs else line.row.label


def _paper(line: Line, column: str) -> _Bounded:
    return line.row.paper.get(column), None, None


def _ours(line: Line, column: str) -> _Bounded:
    value = line.ours.get(column)
    return (None, None, None) if value is None else (value.value, value.lo, value.hi)
