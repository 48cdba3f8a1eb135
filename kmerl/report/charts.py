"""A chart: curves and what surrounds them, for a page (writers/svg.py) and a manuscript."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Point(NamedTuple):
    """A value and its interval, if it has one."""

    x: float
    y: float
    lo: float | None = None
    hi: float | None = None


@dataclass(frozen=True)
class Series:
    """One curve. `style` is a colour and a mark. Where it is not `joined`, each point has its
    interval as a line of its own."""

    name: str
    points: Sequence[Point]
    style: int = 0
    joined: bool = True

    @property
    def bounds(self) -> list[tuple[float, float, float]]:
        """x, lower and upper end of each point that has an interval."""
        return [(x, lo, hi) for x, _, lo, hi in self.points if lo is not None and hi is not None]

    @property
    def banded(self) -> bool:
        """Whether its intervals are a band, not a line each."""
        return self.joined and len(self.bounds) > 1


@dataclass(frozen=True)
class Chart:
    """Curves below a title, the x ticks and their names, optional y limits.

    `x_words` stand in place of the numbers of `x_ticks`, `x_names` below them; `digits` are those
    of a tooltip; `y_rule` is a line across.
    """

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    x_ticks: Sequence[float] = ()
    x_words: Sequence[str] = ()
    x_names: Sequence[str] = ()
    y_limits: tuple[float, float] | None = None
    y_rule: float | None = None
    digits: int = 3

    @property
    def drawn(self) -> list[Series]:
        """The curves that have a point."""
        return [series for series in self.series if series.points]
