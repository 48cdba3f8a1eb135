"""Charts as SVG text: sizes in pixels, colours from the page's own variables.

Own markup instead of a plotting library, so that a chart follows the reader's light or dark
theme, keeps its text selectable, and is the same bytes for the same numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

INTERVAL_OPACITY = 0.16
TICK_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
STYLES = 6
LETTER = 6.6
"""About the width of a letter, for names that must not run into each other."""


@dataclass(frozen=True)
class Series:
    """One curve. `lo` and `hi` bound its interval; points whose y is None are left out.

    `style` is a colour and a mark, of which there are `STYLES`. With `marks_only` each point has
    its interval as a line of its own.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    lo: Sequence[float | None] = ()
    hi: Sequence[float | None] = ()
    style: int = 0
    marks_only: bool = False


@dataclass(frozen=True)
class Axes:
    """What surrounds the curves: labels, the x ticks and their names, optional y limits.

    `x_words` stand in place of the numbers of `x_ticks`; `digits` are those of a tooltip.
    """

    title: str
    x_label: str
    y_label: str
    x_ticks: Sequence[float] = ()
    x_names: Sequence[str] = ()
    y_limits: tuple[float, float] | None = None
    y_rule: float | None = None
    x_words: Sequence[str] = ()
    digits: int = 3


def line_chart(axes: Axes, series: Sequence[Series], width: int, height: int) -> Markup:
    """Curves with interval bands; every point carries its numbers as a tooltip.

    Returns a figure without any value as a sentence, not as empty axes.
    """
    shown = [one for one in series if any(y is not None for y in one.y)]
    if not shown:
        return Markup('<p class="none">no records</p>')
    frame = _frame(axes, shown, width, height)
    body = Markup("").join(
        [
            _grid(frame, axes),
            *(_band(frame, one) for one in shown),
            *(_curve(frame, axes, one) for one in shown),
        ]
    )
    return Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}" class="chart">{}</svg>'
    ).format(width, height, _spoken(axes, shown), body)


@dataclass(frozen=True)
class _Frame:
    left: float
    top: float
    right: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point in data units."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            self.left + across * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        )


def _frame(axes: Axes, series: Sequence[Series], width: int, height: int) -> _Frame:
    xs = [x for one in series for x in one.x]
    x_low, x_high = min(xs), max(xs)
    if x_low == x_high:
        x_low, x_high = x_low - 1, x_high + 1
    margin = 0.03 * (x_high - x_low)
    named_below = 26 if axes.x_names or _staggered(axes, width) else 16
    return _Frame(
        left=46,
        top=14,
        right=width - 12,
        bottom=height - named_below - 20,
        x=(x_low - margin, x_high + margin),
        y=axes.y_limits or _limits(series),
    )


def _staggered(axes: Axes, width: float) -> bool:
    """Whether words below the axis need two lines, turn about."""
    return LETTER * sum(len(word) + 2 for word in axes.x_words) > width - 58


def _limits(series: Sequence[Series]) -> tuple[float, float]:
    values = [v for one in series for v in (*one.y, *one.lo, *one.hi) if v is not None]
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


def _grid(frame: _Frame, axes: Axes) -> Markup:
    lines = [_y_tick(frame, value) for value in ticks(*frame.y)]
    if axes.y_rule is not None and frame.y[0] <= axes.y_rule <= frame.y[1]:
        _, y = frame.at(frame.x[0], axes.y_rule)
        lines.append(_line("rule", frame.left, y, frame.right, y))
    names = list(axes.x_names)
    x_values = list(axes.x_ticks) or ticks(*frame.x, about=4)
    staggered = _staggered(axes, frame.right + 12)
    for k, value in enumerate(x_values):
        x, _ = frame.at(value, frame.y[0])
        shown = axes.x_words[k] if axes.x_words else number(value)
        lower = 13 if staggered and k % 2 else 0
        lines.append(_text("tick", x, frame.bottom + 15 + lower, shown, "middle"))
        if names:
            lines.append(_text("name", x, frame.bottom + 28, names[k], "middle"))
    lines.append(_line("axis", frame.left, frame.bottom, frame.right, frame.bottom))
    middle = (frame.left + frame.right) / 2
    below = frame.bottom + (44 if names or staggered else 31)
    lines.append(_text("label", middle, below, axes.x_label, "middle"))
    lines.append(_text("label", frame.left - 38, frame.top - 3, axes.y_label, "start"))
    return Markup("").join(lines)


def _y_tick(frame: _Frame, value: float) -> Markup:
    _, y = frame.at(frame.x[0], value)
    return _line("grid", frame.left, y, frame.right, y) + _text(
        "tick", frame.left - 6, y + 4, number(value), "end"
    )


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<path class="{}" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>').format(
        kind, x1, y1, x2, y2
    )


def _text(kind: str, x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, text
    )


def _band(frame: _Frame, one: Series) -> Markup:
    whole = [
        (x, lo, hi)
        for x, lo, hi in zip(one.x, one.lo, one.hi, strict=False)
        if lo is not None and hi is not None
    ]
    if one.marks_only or len(whole) < 2:
        ends = [(frame.at(x, lo), frame.at(x, hi)) for x, lo, hi in whole]
        drawn = Markup("").join(_path(pair) for pair in ends)
        whiskers = Markup('<path class="s{} whisker" d="{}"/>').format(one.style, drawn)
        return whiskers if ends else Markup("")
    outline = [frame.at(x, hi) for x, _, hi in whole]
    outline += [frame.at(x, lo) for x, lo, _ in reversed(whole)]
    return Markup('<path class="s{} band" d="{}Z"/>').format(one.style, _path(outline))


def _curve(frame: _Frame, axes: Axes, one: Series) -> Markup:
    points = [(k, x, y) for k, (x, y) in enumerate(zip(one.x, one.y, strict=True)) if y is not None]
    pixels = [frame.at(x, y) for _, x, y in points]
    line = Markup("")
    if not one.marks_only and len(pixels) > 1:
        line = Markup('<path class="s{} curve" d="{}"/>').format(one.style, _path(pixels))
    if len(points) > 60:
        return line
    marks = [
        _mark(one, pixel, _tooltip(axes, one, k, x, y))
        for (k, x, y), pixel in zip(points, pixels, strict=True)
    ]
    return line + Markup("").join(marks)


SHAPES = (
    '<circle cx="{x:.1f}" cy="{y:.1f}" r="3.4">{title}</circle>',
    '<rect x="{left:.1f}" y="{top:.1f}" width="6.4" height="6.4">{title}</rect>',
    '<rect x="{left:.1f}" y="{top:.1f}" width="6.4" height="6.4"'
    ' transform="rotate(45 {x:.1f} {y:.1f})">{title}</rect>',
    '<path d="M{x:.1f} {top:.1f}l4.2 7.2h-8.4Z">{title}</path>',
    '<path d="M{x:.1f} {bottom:.1f}l4.2 -7.2h-8.4Z">{title}</path>',
    '<path d="M{left:.1f} {y:.1f}h2.2v-3.4h2v3.4h2.2v2h-2.2v3.4h-2v-3.4h-2.2Z">{title}</path>',
)
"""A circle, a square, a diamond, triangles, a cross: series differ by more than their colour."""


def _mark(one: Series, pixel: tuple[float, float], tooltip: str) -> Markup:
    x, y = pixel
    title = Markup("<title>{}</title>").format(tooltip)
    shape = Markup(SHAPES[one.style]).format(
        x=x, y=y, left=x - 3.2, top=y - 3.2, bottom=y + 3.2, title=title
    )
    return Markup('<g class="s{} mark">{}</g>').format(one.style, shape)


def _tooltip(axes: Axes, one: Series, k: int, x: float, y: float) -> str:
    interval, digits = "", axes.digits
    if k < len(one.lo) and k < len(one.hi):
        lo, hi = one.lo[k], one.hi[k]
        if lo is not None and hi is not None:
            interval = f" ({lo:.{digits}f} to {hi:.{digits}f})"
    return f"{one.name}, {_named(axes, x)}: {y:.{digits}f}{interval}"


def _named(axes: Axes, x: float) -> str:
    """A place on the x axis in a sentence."""
    return axes.x_words[round(x)] if axes.x_words else number(x)


def _path(points: Sequence[tuple[float, float]]) -> Markup:
    return Markup("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points))


def _spoken(axes: Axes, series: Sequence[Series]) -> str:
    """What a screen reader says: the title, then each curve from its first to its last value."""
    said = []
    for one in series:
        known = [(x, y) for x, y in zip(one.x, one.y, strict=True) if y is not None]
        ends = [f"{y:.{axes.digits}f} at {_named(axes, x)}" for x, y in (known[0], known[-1])]
        said.append(f"{one.name} from {ends[0]} to {ends[1]}")
    return f"{axes.title}: {'; '.join(said)}"


def legend(series: Sequence[Series]) -> Markup:
    """The names of the curves, each beside its own line and mark."""
    entry = Markup("<li>{}{}</li>")
    return Markup('<ul class="legend">{}</ul>').format(
        Markup("").join(entry.format(key(one), one.name) for one in series)
    )


def key(one: Series) -> Markup:
    """The line and mark of a curve, as its legend shows them."""
    line = Markup('<path class="s{} curve" d="M2 6L32 6"/>').format(one.style)
    return Markup('<svg viewBox="0 0 34 12" aria-hidden="true">{}{}</svg>').format(
        Markup("") if one.marks_only else line, _mark(one, (17, 6), one.name)
    )


def thinned(values: Sequence[float], most: int) -> list[int]:
    """Positions of at most `most` evenly spaced values, the first and the last among them."""
    count = len(values)
    if count <= most:
        return list(range(count))
    return sorted({round(k * (count - 1) / (most - 1)) for k in range(most)})
