"""A table: built once, of a run or of experiments beside the paper, and handed to any writer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

NOT_RUN, NONE = "not run", "none"
"""Why a cell has no value of ours: nothing ran, or what ran has no such value."""


@dataclass(frozen=True)
class Cell:
    """A value of ours with what is known of it, and the paper's; or `text` in place of a value.

    `lo` and `hi` bound `value`; `sd` is its deviation over `seeds` seeds, or without a value a
    deviation that is told for itself. The paper may say a thing in words.
    """

    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    sd: float | None = None
    seeds: int = 0
    paper: float | str | None = None
    text: str = ""
    decimals: int = 3

    def shown(self) -> str:
        """Ours, or the words in its place."""
        return self.text if self.value is None else f"{self.value:,.{self.decimals}f}"

    def printed(self) -> str:
        """The paper's value with its decimals, or its words; empty where it prints none."""
        if isinstance(self.paper, float | int):
            return f"{self.paper:,.{self.decimals}f}"
        return self.paper or ""

    def interval(self, between: str = "\N{EN DASH}") -> str:
        """The bounds with a decimal fewer; empty where one is not known."""
        if self.lo is None or self.hi is None:
            return ""
        decimals = max(1, self.decimals - 1)
        return f"{self.lo:.{decimals}f}{between}{self.hi:.{decimals}f}"

    def deviation(self) -> str:
        """The deviation over seeds, with its sign; empty for one seed."""
        decimals = 2 if self.value is None else 1
        return "" if self.sd is None else f"\N{PLUS-MINUS SIGN}{self.sd:.{decimals}f}"

    def whole(self) -> str:
        """Ours, its interval in brackets and its deviation: "71.00 [67.0, 74.5] ±1.4"."""
        between = self.interval(", ")
        words = (self.shown(), f"[{between}]" if between else "", self.deviation())
        return " ".join(word for word in words if word)


def level(one: Cell, other: Cell, floor: float) -> bool:
    """Whether rounding alone may part two values: they differ by no more than `apart`."""
    return abs((one.value or 0.0) - (other.value or 0.0)) <= apart(floor, one.seeds, other.seeds)


def apart(floor: float, *seeds: int) -> float:
    """What two means over so many seeds must differ by to be ranked: two deviations of their
    difference, where `floor` is the deviation of one training by rounding alone. Of two single
    trainings it is 2 sqrt(2), 2.8 times the floor."""
    return 2 * floor * math.sqrt(sum(1 / max(count, 1) for count in seeds))


@dataclass(frozen=True)
class Behind:
    """What stands behind a row of the paper's tables. `absent` says why nothing ran, if so."""

    experiment: str = ""
    seeds: int = 0
    scale: str = ""
    commits: tuple[str, ...] = ()
    words: str = ""
    absent: str = ""

    def shown(self) -> dict[str, str]:
        """The last columns of a table; commits are abbreviated as git does."""
        return {
            "seeds": str(self.seeds or ""),
            "experiment": self.experiment,
            "commit": ", ".join(commit[:7] for commit in self.commits),
        }


@dataclass(frozen=True)
class Row:
    """A row's name, its cells, a mark beside the name, and what stands behind it."""

    label: str
    cells: Sequence[Cell]
    mark: str = ""
    behind: Behind = field(default_factory=Behind)


@dataclass(frozen=True)
class Group:
    """Rows under a heading of their own, none where `title` is empty; `total` sums up the rest.

    `floor`: its one row is no result, but what rounding alone makes of the others' (report.noise).
    """

    rows: Sequence[Row]
    title: str = ""
    note: str = ""
    total: bool = False
    floor: bool = False


@dataclass(frozen=True)
class Column:
    """Its title, below the heading that neighbours share; `words`: it holds no numbers."""

    title: str
    heading: str = ""
    words: bool = False

    @property
    def name(self) -> str:
        return f"{self.heading} {self.title}".strip()


@dataclass(frozen=True)
class Grid:
    """A table. `first` heads the column of the rows' names, which are not among the `columns`.

    Those of the paper have a `name` and a `source`, what was `measured` on what at which `scale`,
    `remarks` on some of their rows, and experiments behind the rows. The rows are `ranked` where
    the larger value of a column is the better one.
    """

    caption: str
    columns: Sequence[Column]
    groups: Sequence[Group]
    note: str = ""
    first: str = ""
    name: str = ""
    source: str = ""
    scale: str = ""
    measured: str = ""
    remarks: Sequence[str] = ()
    ranked: bool = True

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group.rows]

    @property
    def results(self) -> list[Row]:
        """The rows without that of the noise floor."""
        return [row for group in self.groups if not group.floor for row in group.rows]

    @property
    def ran(self) -> bool:
        return any(cell.value is not None for row in self.results for cell in row.cells)

    @property
    def behind(self) -> bool:
        """Whether experiments stand behind its rows."""
        return any(row.behind.experiment for row in self.rows)

    @property
    def commits(self) -> list[str]:
        return list(dict.fromkeys(commit for row in self.rows for commit in row.behind.commits))

    @property
    def printed(self) -> list[bool]:
        """Of each column, whether the paper gives any value, and so has a column beside ours."""
        places = range(len(self.columns))
        return [any(row.cells[k].paper is not None for row in self.rows) for k in places]

    def best(self, k: int) -> list[Row]:
        """The rows that are best in a column, more than one where they are level with the largest;
        none where there is nothing to rank, or all are level."""
        rows = [row for row in self.results if row.cells[k].value is not None]
        floor = next((g.rows[0].cells[k].sd for g in self.groups if g.floor), None) or 0.0
        first = max(
            (row.cells[k] for row in rows), key=lambda cell: cell.value or 0.0, default=None
        )
        best = [row for row in rows if first and level(first, row.cells[k], floor)]
        return best if self.ranked and len(best) < len(rows) else []

    def headings(self) -> list[tuple[str, list[int]]]:
        """The places of columns that stand below one heading, which is empty where they share
        none."""
        places = range(len(self.columns))
        runs = groupby(places, lambda k: self.columns[k].heading)
        return [(heading, list(run)) for heading, run in runs]
