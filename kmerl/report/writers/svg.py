"""Charts as SVG for a page: sizes in pixels, colours from the page's own variables.

Own markup instead of a plotting library, so that a chart follows the reader's light or dark
theme, keeps its text selectable, and is the same bytes for the same numbers.
"""

import math
from collections.abc import Sequence
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
    shown = [series for series in chart.series if series.known]
    if not shown:
        return Markup('<p class="none">no records</p>')
    frame = _frame(chart, shown, width, height)
    return rendered(
        "chart.svg",
        chart=chart,
        size=(width, height),
        frame=frame,
        spoken=_spoken(chart, shown),
        x_ticks=chart.x_ticks or ticks(*frame.x, about=4),
        y_ticks=ticks(*frame.y),
        number=number,
        curves=[_curve(chart, frame, series) for series in shown],
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
        pixels = (
            self.left + across * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        )
        return round(pixels[0], 1), round(pixels[1], 1)


def _frame(chart: Chart, shown: Sequence[Series], width: int, height: int) -> _Frame:
    xs = [x for series in shown for x in series.x]
    x_low, x_high = min(xs), max(xs)
    if x_low == x_high:
        x_low, x_high = x_low - 1, x_high + 1
    margin = 0.03 * (x_high - x_low)
    staggered = LETTER * sum(len(word) + 2 for word in chart.x_words) > width - 58
    label = 44 if chart.x_names or staggered else 31
    return _Frame(
        left=46,
        top=14,
        right=width - 12,
        bottom=height - label - 4,
        x=(x_low - margin, x_high + margin),
        y=chart.y_limits or _limits(shown),
        staggered=staggered,
        label=label,
    )


def _limits(shown: Sequence[Series]) -> tuple[float, float]:
    values = [v for one in shown for v in (*one.y, *one.lo, *one.hi) if v is not None]
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5
    pad = 0.06 * (high - low)
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


def _curve(chart: Chart, frame: _Frame, series: Series) -> dict[str, Any]:
    """Paths of a curve, its band or whiskers, and its marks, for the template."""
    known, bounds, style = series.known, series.bounds, series.style % len(SHAPES)
    points = {k: frame.at(series.x[k], series.y[k] or 0.0) for k in known}
    low = [frame.at(series.x[k], lo) for k, (lo, _) in bounds.items()]
    high = [frame.at(series.x[k], hi) for k, (_, hi) in bounds.items()]
    banded = series.joined and len(bounds) > 1
    marked = known if len(known) <= MARKS else []
    return {
        "style": style,
        "shape": SHAPES[style],
        "band": f"{_path([*high, *reversed(low)])}Z" if banded else "",
        "whiskers": "" if banded else "".join(map(_path, zip(low, high, strict=True))),
        "line": _path(points.values()) if series.joined and len(known) > 1 else "",
        "marks": [(*points[k], _tooltip(chart, series, k)) for k in marked],
    }


def _path(points: Any) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _tooltip(chart: Chart, series: Series, k: int) -> str:
    between, digits = "", chart.digits
    if k in series.bounds:
        lo, hi = series.bounds[k]
        between = f" ({lo:.{digits}f} to {hi:.{digits}f})"
    return f"{series.name}, {_place(chart, series, k)}: {series.y[k]:.{digits}f}{between}"


def _place(chart: Chart, series: Series, k: int) -> str:
    """Where a point stands on the x axis, in a sentence."""
    return chart.x_words[round(series.x[k])] if chart.x_words else number(series.x[k])


def _spoken(chart: Chart, shown: Sequence[Series]) -> str:
    """What a screen reader says: the title, then each curve from its first to its last value."""
    said = []
    for series in shown:
        first, last = (
            f"{series.y[k]:.{chart.digits}f} at {_place(chart, series, k)}"
            for k in (series.known[0], series.known[-1])
        )
        said.append(f"{series.name} from {first} to {last}")
    return f"{chart.title}: {'; '.join(said)}"
