"""What the experiments gave, beside the paper: a row an experiment, the mean over its seeds.

Runs at different scales, and runs that differ in the words for their scale, are never averaged:
each scale is a result of its own, and within a scale each wording is a row of its own. Rows of a
result are averaged over the same seeds, those that most of them ran with: in the demo each seed
draws another cohort, and more seeds of one row would compare cohorts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev

from kmerl.experiments.catalogue import NEEDS, Catalogue, Row, Table
from kmerl.experiments.runs import Run
from kmerl.params import ParamsError
from kmerl.report.grid import Behind, Cell
from kmerl.report.grid import Row as GridRow
from kmerl.report.noise import Floor, floors

PAPER = "pretrained on 771,693 records of MIMIC-IV-ECG for 50 epochs"
SCALES = {
    "demo": "the synthetic demo cohort",
    "ptbxl": "PTB-XL alone",
    "simulated": "simulated hearts alone, measured on real ones",
    "paper": "the paper's own scale and protocol",
    "paper-corrected": "the paper's own scale, our protocol",
    "own": "settings of one's own",
}
"""Profiles in plain words, in the order in which they are shown."""
NONE_OF_THIS = "ran, but measured none of this"


@dataclass(frozen=True)
class Line:
    """A row of a table with what its runs gave.

    `ours` is in per cent, the mean over seeds of a metric's value and of its interval's bounds; it
    lacks the columns that this method has no value for. `left_out` counts its runs with other seeds
    than most rows have.
    """

    row: Row
    ours: Mapping[str, Cell]
    behind: Behind
    left_out: int = 0


@dataclass(frozen=True)
class Result:
    """A table or figure at one scale; `scale` is empty where nothing ran at any.

    `words` is the commonest wording of the scale among its rows, of two as common that of the row
    which changes nothing; `seeds` are those that its rows are averaged over; `elsewhere` counts the
    runs at other scales that a choice of scale leaves out; `floor` is that of this scale.
    """

    table: Table
    scale: str
    words: str
    lines: Sequence[Line]
    elsewhere: Mapping[str, int]
    seeds: tuple[int, ...] = ()
    floor: Floor | None = None

    @property
    def rows_ran(self) -> int:
        return sum(bool(line.behind.seeds) for line in self.lines)

    @property
    def ran(self) -> bool:
        return self.rows_ran > 0

    def count(self) -> str:
        """How many of its rows ran: "3 of 6 rows"."""
        return f"{self.rows_ran} of {len(self.lines)} rows"

    @property
    def compares(self) -> bool:
        """Whether two rows ran, or all there are: one row that every table has says nothing."""
        return self.rows_ran >= min(2, len(self.lines))

    @property
    def printed(self) -> bool:
        """Whether the paper's text gives any number of this table."""
        return any(line.row.paper for line in self.lines)

    def measured(self) -> str:
        """What was measured on what, in words: ours is not the paper's measurement."""
        paper = f"Paper: {PAPER}." if self.printed else "Paper: no numbers in its text."
        paper = "Not in the paper." if self.table.source == "ours" else paper
        apart = ", not the paper's measurement" if self.printed and self.ran else ""
        return f"{paper} Ours: {self.where()}{apart}."

    def where(self) -> str:
        """The scale of ours, in words."""
        if not self.ran:
            return f"not run{f' at scale {self.scale}' if self.scale else ''}"
        scale = SCALES.get(self.scale, "a profile of its own")
        return f"scale {self.scale}, {scale} ({self.words})"

    def floor_row(self) -> GridRow | None:
        """The line below the rows, where any ran and any column has a floor."""
        return self.floor.row(self.table) if self.floor and self.ran else None

    def remarks(self) -> list[str]:
        """Rows measured on something else than `words`, other seeds, and runs not shown."""
        by_words: dict[str, list[str]] = {}
        for line in self.lines:
            if line.behind.words not in ("", self.words):
                by_words.setdefault(line.behind.words, []).append(line.row.label)
        more = [line.row.label for line in self.lines if line.left_out]
        fewer = [line.row.label for line in self.lines if 0 < line.behind.seeds < len(self.seeds)]
        seeds = f"seed{'s' * (len(self.seeds) > 1)} {', '.join(map(str, self.seeds))}"
        return [
            *(f"On {words}: {', '.join(labels)}." for words, labels in by_words.items()),
            *([f"Only {seeds}, as most rows ran with, of {', '.join(more)}."] if more else []),
            *([f"Fewer seeds than most rows have: {', '.join(fewer)}."] if fewer else []),
            *(
                f"Not shown: {count} run{'s' * (count > 1)} at scale {scale}."
                for scale, count in self.elsewhere.items()
            ),
            *([self.floor.words()] if self.floor and self.floor_row() else []),
        ]

    def decimals(self) -> int:
        """Decimals that the paper prints in this table, 1 or 2."""
        printed = [f"{value:g}" for line in self.lines for value in line.row.paper.values()]
        return 2 if any(len(text.partition(".")[2]) > 1 for text in printed) or not printed else 1


def results(
    catalogue: Catalogue,
    runs: Iterable[Run],
    names: Iterable[str] = (),
    scale: str | None = None,
) -> list[Result]:
    """The tables called `names`, or all, one result for each scale that they ran at.

    Args:
        scale: show this one alone; the runs at others are counted in `Result.elsewhere`.

    Raises:
        ParamsError: there is no such table, or no run of any experiment has this scale.
    """
    runs = sorted(runs, key=lambda run: (_place(run.scale), run.words, run.seed))
    known = list(dict.fromkeys(run.scale for run in runs))
    if scale is not None and scale not in (*SCALES, *known):
        raise ParamsError(
            f"no experiment ran at scale {scale!r}; choose one of {', '.join(known or SCALES)}"
        )
    found, noise = [], floors(catalogue, runs)
    for name in list(names) or catalogue.tables:
        experiments = {experiment.name for experiment in catalogue.of(name)}
        here = [run for run in runs if run.experiment in experiments]
        counted = Counter(run.scale for run in here)
        shown = [scale] if scale is not None else list(counted) or [""]
        others = {other: count for other, count in counted.items() if other not in shown}
        for one in shown:
            at_scale = [run for run in here if run.scale == one]
            result = _result(catalogue, catalogue.tables[name], one, at_scale, others)
            found.append(replace(result, floor=noise.get(one)))
    return found


def comparing(results: Sequence[Result]) -> list[Result]:
    """The results that compare something; what they leave out of a table is counted in them."""
    found = []
    for result in results:
        alike = [one for one in results if one.table.name == result.table.name]
        alone = {
            one.scale: sum(line.behind.seeds for line in one.lines)
            for one in alike
            if one.ran and not one.compares
        }
        if result.compares:
            found.append(replace(result, elsewhere={**result.elsewhere, **alone}))
    return found


def left_out(results: Sequence[Result], shown: Sequence[Result]) -> list[Table]:
    """The tables of which no result is `shown`, each once."""
    names = {result.table.name for result in shown}
    return list({r.table.name: r.table for r in results if r.table.name not in names}.values())


def _result(
    catalogue: Catalogue, table: Table, scale: str, runs: list[Run], others: Mapping[str, int]
) -> Result:
    groups = [_by_words(table, row, runs) for row in table.rows]
    usual = _usual_seeds(same for group in groups for same in group.values())
    lines: list[Line] = []
    for row, group in zip(table.rows, groups, strict=True):
        lines += [_line(table, row, words, same, usual) for words, same in group.items()]
        if not group:
            ran = any(run.experiment == row.experiment for run in runs)
            needs = catalogue.experiments[row.experiment].needs
            where = f"not run at scale {scale}" if scale else "not run"
            why = NONE_OF_THIS if ran else "; ".join([where, *(NEEDS[need] for need in needs)])
            lines.append(Line(row, {}, Behind(row.experiment, absent=why)))
    first = sorted(lines, key=lambda line: bool(catalogue.experiments[line.row.experiment].set))
    words = Counter(line.behind.words for line in first if line.behind.words)
    commonest = max(words, key=words.__getitem__, default="")
    return Result(table, scale, commonest, lines, others, tuple(sorted(usual)))


def _by_words(table: Table, row: Row, runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of a row that measured any column, by the words for their scale, each seed once."""
    found: dict[str, list[Run]] = {}
    metrics = [table.metric(row, column) for column in table.columns]
    for run in runs:
        values = [run.values[metric].value for metric in metrics if metric in run.values]
        if run.experiment != row.experiment or all(value is None for value in values):
            continue
        same = found.setdefault(run.words, [])
        if same and same[-1].seed == run.seed:
            raise ParamsError(
                f"{row.experiment} holds seed {run.seed} twice at scale {run.scale!r} "
                f"({run.words}); keep one of them in experiments.json"
            )
        same.append(run)
    return found


def _usual_seeds(groups: Iterable[Sequence[Run]]) -> frozenset[int]:
    """The seeds that most rows ran with; of two that as many have, the fewer seeds."""
    counted = Counter(frozenset(run.seed for run in same) for same in groups)
    return min(counted, key=lambda seeds: (-counted[seeds], len(seeds)), default=frozenset())


def _line(table: Table, row: Row, words: str, every: Sequence[Run], usual: frozenset[int]) -> Line:
    """The runs of one wording of the scale, over the usual seeds where it has any of them."""
    same = [run for run in every if run.seed in usual] or every
    means = {column: _over_seeds(same, table.metric(row, column)) for column in table.columns}
    ours = {column: mean for column, mean in means.items() if mean is not None}
    commits = tuple(dict.fromkeys(run.commit for run in same))
    behind = Behind(row.experiment, len(same), same[0].scale, commits, words)
    return Line(row, ours, behind, len(every) - len(same))


def _over_seeds(runs: Sequence[Run], metric: str) -> Cell | None:
    """None where no seed has a value: the method has no such side, or the data no such class.

    There are no bounds where a seed has none, and no deviation (n - 1) of one seed.
    """
    values = [run.values[metric] for run in runs if metric in run.values]
    points = [100 * v.value for v in values if v.value is not None]
    if not points:
        return None
    bounds = [(100 * v.lo, 100 * v.hi) for v in values if v.lo is not None and v.hi is not None]
    lo, hi = map(mean, zip(*bounds, strict=True)) if len(bounds) == len(points) else (None, None)
    sd = stdev(points) if len(points) > 1 else None
    return Cell(mean(points), lo, hi, sd, len(points))


def _place(scale: str) -> tuple[int, str]:
    order = list(SCALES)
    return (order.index(scale) if scale in order else len(order), scale)
