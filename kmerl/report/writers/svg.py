"""Charts as SVG for a page: sizes in pixels, colours from the page's own variables.

Own markup instead of a plotting library, so that a chart follows the reader's light or dark
theme, keeps its text selectable, and is the same bytes for the same numbers.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from kmerl.report.charts import Chart, Series
from kmerl.report.writers.html import SHAPES, rendered

TICK_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
LETTER = 6.6
"""About the width of a letter, for names that must not run into each other."""
MARKS = 60
"""Points above which a curve has no marks."""


def drawn(chart: Chart, width: int, height: int) -> Markup:
    """Curves with interval bands; every point carries its numbers as a tooltip.

    A chart without any value is a sentence, not empty axes.
    """
    if not chart.drawn:
        return Markup('<p class="none">no records</p>')
    frame = _frame(chart, width, height)
    return rendered(
        "chart.svg",
        chart=chart,
        size=(width, height),
        frame=frame,
        x_ticks=chart.x_ticks or ticks(*frame.x, about=4),
        y_ticks=ticks(*frame.y),
        number=number,
        curves=[_curve(frame, series) for series in chart.drawn],
    )


@dataclass(frozen=True)
class _Frame:
    """Pixels of the axes' ends, the data's limits there, and how far below the x label stands."""

    left: int
    top: int
    right: int
    bottom: int
    x: tuple[float, float]
    y: tuple[float, float]
    staggered: bool
    label: int

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point in data units."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            round(self.left + across * (self.right - self.left), 1),
            round(self.bottom - up * (self.bottom - self.top), 1),
        )


def _frame(chart: Chart, width: int, height: int) -> _Frame:
    points = [point for series in chart.drawn for point in series.points]
    ys = [value for _, *three in points for value in three if value is not None]
    staggered = LETTER * sum(len(word) + 2 for word in chart.x_words) > width - 58
    label = 44 if chart.x_names or staggered else 31
    return _Frame(
        left=46,
        top=14,
        right=width - 12,
        bottom=height - label - 4,
        x=_limits([*chart.x_ticks, *(point.x for point in points)], least=1, margin=0.03),
        y=chart.y_limits or _limits(ys, least=0.5, margin=0.06),
        staggered=staggered,
        label=label,
    )


def _limits(values: list[float], least: float, margin: float) -> tuple[float, float]:
    """The ends of an axis: a margin about the values, `least` about what is one value."""
    low, high = min(values), max(values)
    if high - low < 1e-12:
        low, high = low - least, high + least
    pad = margin * (high - low)
    return low - pad, high + pad


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values from `low` to `high`, about `about` of them."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * s for s in TICK_STEPS if power * s >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def number(value: float) -> str:
    """A tick label: as few digits as the value needs, with a real minus sign."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def _curve(frame: _Frame, series: Series) -> dict[str, Any]:
    """Paths of a curve, its band or whiskers, and its marks, for the template."""
    style, points = series.style % len(SHAPES), [frame.at(p.x, p.y) for p in series.points]
    low = [frame.at(x, lo) for x, lo, _ in series.bounds]
    high = [frame.at(x, hi) for x, _, hi in series.bounds]
    whiskers = "" if series.banded else "".join(map(_path, zip(low, high, strict=True)))
    return {
        "name": series.name,
        "style": style,
        "shape": SHAPES[style],
        "band": f"{_path([*high, *reversed(low)])}Z" if series.banded else "",
        "whiskers": whiskers,
        "line": _path(points) if series.joined and len(points) > 1 else "",
        "marks": zip(points, series.points, strict=True) if len(points) <= MARKS else [],
    }


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
