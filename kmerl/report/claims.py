"""What the paper says of partial leads in a number, computed from the experiments' curves.

"An average improvement of 16% in AUC score on zero-shot classification" (abstract); on a single
lead above MERL on all twelve, and above it "across all lead combinations from 1 to 12" (Sec. 4.5).
The values of its Figure 6 are not in its text: whether its 16 % are a share or points is open.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from kmerl.experiments.catalogue import Catalogue, Table
from kmerl.experiments.runs import Run
from kmerl.report import data_tables
from kmerl.report.grid import NOT_RUN, Behind, Cell, Column, Grid, Group, Row, apart
from kmerl.report.noise import Floor
from kmerl.report.published import PUBLISHED
from kmerl.report.results import PAPER, Result, results

ZERO_SHOT, PROBE = "figure-6a", "figure-6b"
"""Tables whose columns are the mean AUROC of the tasks from one lead to all twelve."""
OURS = {"kmerl": "K-MERL", "kmerl-recommended": "recommended"}
MERL = ("merl-resnet", "merl-vit")
"""As the paper has it; the figures' further rows of MERL are trained with masked leads."""
NOTE = (
    "Points of macro AUROC, mean of the tasks, leads added in the paper's order. The gain is the "
    "mean over 1 to 11 leads against the best MERL on as many, the share relative to it; the paper "
    "does not say which its 16 % are. A number is taken of the curves of one seed, then the mean "
    "over the seeds that all curves have, and \N{PLUS-MINUS SIGN} their deviation; no interval is "
    "over patients. Ahead: at so many numbers of leads the mean difference is beyond the noise "
    "floor, or above zero where none was measured."
)
_Curves = Float[np.ndarray, "seed lead"]


@dataclass(frozen=True)
class _Compared:
    """Curves in per cent, seed by seed: ours, and the best MERL at each number of leads, with the
    noise floor there."""

    ours: _Curves
    best: _Curves
    floor: Sequence[float]

    def gain(self) -> Cell:
        return _over_seeds((self.ours - self.best)[:, :-1].mean(axis=1))

    def share(self) -> Cell:
        return _over_seeds(100 * (self.ours / self.best - 1)[:, :-1].mean(axis=1))

    def one_lead(self) -> Cell:
        return _over_seeds(self.ours[:, 0] - self.best[:, -1])

    def ahead(self) -> Cell:
        seeds, mean = len(self.ours), (self.ours - self.best).mean(axis=0)
        beyond = [d > apart(f, seeds, seeds) for d, f in zip(mean, self.floor, strict=True)]
        return Cell(int(sum(beyond)), seeds=seeds)


CLAIMS: Sequence[tuple[str, str, str, Callable[[_Compared], Cell], int]] = (
    ("Zero-shot: gain on 1 to 11, points", ZERO_SHOT, "gain", _Compared.gain, 1),
    ("Zero-shot: the same as a share, %", ZERO_SHOT, "gain", _Compared.share, 1),
    ("Zero-shot: 1 lead less MERL on 12", ZERO_SHOT, "one_lead", _Compared.one_lead, 1),
    ("Zero-shot: ahead, of 12 counts", ZERO_SHOT, "ahead", _Compared.ahead, 0),
    ("Probe, 1 %: 1 lead less MERL on 12", PROBE, "one_lead", _Compared.one_lead, 1),
    ("Probe, 1 %: ahead, of 12 counts", PROBE, "ahead", _Compared.ahead, 0),
)
"""Label, curves, key of what the paper says (published.yaml), how it is computed, decimals."""


def computed(
    catalogue: Catalogue, runs: Iterable[Run], scale: str | None = None, root: Path = Path()
) -> list[Grid]:
    """The claims at each scale that ran, or at one; and tables of the data of the run at `root`."""
    runs = list(runs)
    found = results(catalogue, runs, [ZERO_SHOT], scale)
    return [*(claims(catalogue, runs, one) for one in found), *data_tables.grids(root)]


def claims(catalogue: Catalogue, runs: Iterable[Run], result: Result) -> Grid:
    """The claims at the scale of a result of `ZERO_SHOT`, from runs of its commonest wording."""
    here = [run for run in runs if (run.scale, run.words) == (result.scale, result.words)]
    ran = {run.experiment for run in here}
    labels = {row.experiment: row.label for row in result.table.rows}
    masked = [name for name in labels if name not in (*OURS, *MERL) and name in ran]
    groups = [
        _group(catalogue, here, result, "Over the better of MERL (ResNet) and MERL (ViT)", MERL)
    ]
    if masked:
        title = "Over the best of them and of MERL trained with masked leads (ours)"
        groups.append(_group(catalogue, here, result, title, (*MERL, *masked)))
    return Grid(
        "K-MERL against the best MERL, from one lead to all twelve",
        [Column(title) for title in OURS.values()],
        groups,
        note=NOTE,
        name="claims",
        source="abstract, Sec. 4.5",
        scale=result.scale,
        measured=f"Paper: {PAPER}. Ours: {result.where()}.",
        remarks=[f"With masked leads: {', '.join(labels[name] for name in masked)}."]
        if masked
        else [],
        ranked=False,
    )


def _group(
    catalogue: Catalogue, runs: Sequence[Run], result: Result, title: str, merl: Sequence[str]
) -> Group:
    """All claims against some rows of MERL; beside the paper's where it has the same ones."""
    rows = []
    for label, figure, key, compute, decimals in CLAIMS:
        cells, seeds = [], 0
        for name in OURS:
            compared = _compared(catalogue.tables[figure], runs, result.floor, name, merl)
            cell = compute(compared) if compared else Cell(text=NOT_RUN)
            known = PUBLISHED["partial_leads"][key] if (name, merl) == ("kmerl", MERL) else None
            cells.append(replace(cell, paper=known, decimals=decimals))
            seeds = max(seeds, cell.seeds)
        commits = tuple(dict.fromkeys(run.commit for run in runs if run.experiment in OURS))
        behind = Behind(figure, seeds, result.scale, commits if seeds else (), result.words)
        rows.append(Row(label, cells, behind=behind))
    return Group(rows, title)


def _compared(
    table: Table, runs: Iterable[Run], floor: Floor | None, ours: str, merl: Sequence[str]
) -> _Compared | None:
    """None where no seed has every curve."""
    metrics, curves = list(table.columns.values()), {}
    for run in runs:
        points = [run.values[metric].value for metric in metrics if metric in run.values]
        if len(points) == len(metrics) and None not in points:
            curves[run.experiment, run.seed] = 100 * np.array(points)
    names = (ours, *merl)
    seeds = [seed for name, seed in curves if name == ours]
    seeds = sorted(seed for seed in seeds if all((name, seed) in curves for name in names))
    if not seeds:
        return None
    of_merl = np.array([[curves[name, seed] for seed in seeds] for name in merl])
    known = floor.deviations if floor else {}
    return _Compared(
        np.array([curves[ours, seed] for seed in seeds]),
        of_merl.max(axis=0),
        [known.get(metric, 0.0) for metric in metrics],
    )


def _over_seeds(values: Float[np.ndarray, " seed"]) -> Cell:
    sd = float(values.std(ddof=1)) if len(values) > 1 else None
    return Cell(float(values.mean()), sd=sd, seeds=len(values))
