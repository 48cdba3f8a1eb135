"""A chart: curves and what surrounds them, for a page (writers/svg.py) and a manuscript."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """One curve. `lo` and `hi` bound its interval; points whose y is None are left out.

    `style` is a colour and a mark. Where it is not `joined`, each point has its interval as a line
    of its own.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    lo: Sequence[float | None] = ()
    hi: Sequence[float | None] = ()
    style: int = 0
    joined: bool = True

    @property
    def known(self) -> list[int]:
        """Positions of the points that have a y."""
        return [k for k, y in enumerate(self.y) if y is not None]

    @property
    def bounds(self) -> dict[int, tuple[float, float]]:
        """The interval of each point that has one, by position."""
        pairs = enumerate(zip(self.lo, self.hi, strict=True))
        return {k: (lo, hi) for k, (lo, hi) in pairs if lo is not None and hi is not None}


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
