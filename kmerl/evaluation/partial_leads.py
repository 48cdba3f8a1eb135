"""Performance from one lead to all twelve (Sec. 4.5, Fig. 6), and what leads left out cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from kmerl.evaluation.bootstrap import interval
from kmerl.evaluation.summary import Evaluation, Evaluations, Row, mean, mean_replicates
from kmerl.leads import LEADS

COUNTS = tuple(str(count) for count in range(1, len(LEADS) + 1))
"""Keys of the lead sets that grow by one lead at a time; the last has all leads."""

COLUMNS = ("protocol", "leads", "count", "task", "auroc", "auroc_lo", "auroc_hi")


@dataclass(frozen=True)
class PartialLeads:
    """The `partial_leads` section of params.yaml."""

    ratio: Literal[1, 10, 100]


def curve(evaluations: Evaluations, level: float) -> dict[str, Row]:
    """{count: row}: AUROC as mean over tasks, and how far it is below that with all leads.

    `below_full` is paired: both scores of a replicate come from the same patients.
    """
    full = [by_leads[COUNTS[-1]] for by_leads in evaluations.values()]
    rows = {}
    for count in COUNTS:
        part = [by_leads[count] for by_leads in evaluations.values()]
        rows[count] = _auroc(part, level) | _below(full, part, level)
    return rows


def curve_rows(
    protocol: str, evaluations: Evaluations, lead_sets: dict[str, tuple[str, ...]], level: float
) -> list[list[object]]:
    """Rows of `COLUMNS`: each task and their "average", sorted by task, then by count."""
    groups = {task: [by_leads] for task, by_leads in evaluations.items()}
    groups["average"] = list(evaluations.values())
    rows: list[list[object]] = []
    for task, members in sorted(groups.items()):
        for count in COUNTS:
            values = _auroc([by_leads[count] for by_leads in members], level)
            rows.append([protocol, "+".join(lead_sets[count]), int(count), task, *values.values()])
    return rows


def _auroc(tasks: list[Evaluation], level: float) -> Row:
    low, high = interval(mean_replicates(e.auroc_replicates for e in tasks), level)
    return {"auroc": mean(e.auroc for e in tasks), "auroc_lo": low, "auroc_hi": high}


def _below(full: Iterable[Evaluation], part: Iterable[Evaluation], level: float) -> Row:
    full, part = list(full), list(part)
    difference = mean(e.auroc for e in full) - mean(e.auroc for e in part)
    replicates = mean_replicates(e.auroc_replicates for e in full)
    replicates = replicates - mean_replicates(e.auroc_replicates for e in part)
    low, high = interval(replicates, level)
    return {"below_full": difference, "below_full_lo": low, "below_full_hi": high}
