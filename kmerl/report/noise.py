"""What rounding alone makes of a number: the noise floor, below which nothing is ranked.

The experiments of table `noise` are one training, but for the last bit of one initial weight
(`pretrain.nudge`), which another processor's rounding changes as well. The deviation of a metric
over them is its floor, printed below the rows of every table at that scale.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt
from statistics import mean, variance

from kmerl.experiments.catalogue import Catalogue, Table
from kmerl.experiments.runs import Run
from kmerl.report.grid import Behind, Cell, Row

TABLE = "noise"


@dataclass(frozen=True)
class Floor:
    """The deviation of each metric, in per cent, of so many trainings."""

    deviations: Mapping[str, float]
    behind: Behind

    def words(self) -> str:
        """What it is, and what it forbids; the one place that says so to a reader."""
        return (
            f"Noise floor: the deviation over {self.behind.seeds} trainings of K-MERL, recommended,"
            " that differ in one bit of one initial weight. Two single trainings are ranked where "
            "they differ by more than 2.8 times as much, means over k seeds by more than 2.8/"
            "\N{SQUARE ROOT}k."
        )

    def row(self, table: Table) -> Row | None:
        """The line below a table's rows; None where no column has a floor."""
        found = [self.deviations.get(metric) for metric in table.columns.values()]
        cells = [Cell(sd=one, seeds=0 if one is None else self.behind.seeds) for one in found]
        return (
            Row("Noise floor", cells, behind=self.behind) if any(c.seeds for c in cells) else None
        )


def floors(catalogue: Catalogue, runs: Iterable[Run]) -> dict[str, Floor]:
    """The floor at each scale at which two of the trainings or more have ended.

    Trainings of one seed and one wording of the scale are compared; of several such sets the mean
    variance counts.
    """
    names = {one.name for one in catalogue.of(TABLE)} if TABLE in catalogue.tables else set()
    here = sorted((run for run in runs if run.experiment in names), key=lambda run: run.scale)
    found = {scale: _floor(list(same)) for scale, same in groupby(here, lambda run: run.scale)}
    return {scale: floor for scale, floor in found.items() if floor.deviations}


def _floor(runs: Sequence[Run]) -> Floor:
    sets: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        sets.setdefault((run.words, run.seed), []).append(run)
    deviations = {}
    for metric in dict.fromkeys(metric for run in runs for metric in run.values):
        points = [[100 * p for p in _points(same, metric)] for same in sets.values()]
        variances = [variance(some) for some in points if len(some) > 1]
        if variances:
            deviations[metric] = sqrt(mean(variances))
    commits = tuple(dict.fromkeys(run.commit for run in runs))
    first = runs[0]
    return Floor(deviations, Behind(TABLE, len(runs), first.scale, commits, first.words))


def _points(runs: Iterable[Run], metric: str) -> list[float]:
    found = [run.values[metric].value for run in runs if metric in run.values]
    return [value for value in found if value is not None]
