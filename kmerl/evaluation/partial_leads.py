"""Performance from one lead to all twelve (Sec. 4.5, Fig. 6), and what leads left out cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kmerl.evaluation.metric_rows import Evaluations, Row
from kmerl.evaluation.paired_rows import auroc_row, difference_row
from kmerl.leads import LEADS, ORDERS, parse_leads
from kmerl.params import checked
from kmerl.tasks.classes import averaged
from kmerl.tasks.subsets import Ratio

COUNTS = tuple(str(count) for count in range(1, len(LEADS) + 1))
"""Keys of the lead sets that grow by one lead at a time; the last has all leads."""

COLUMNS = (
    "protocol", "order", "key", "leads", "count", "task", "auroc", "auroc_lo", "auroc_hi",
)  # fmt: skip
"""Of plots/partial_leads.csv; `order` is empty in the rows of a named set."""


@checked
class PartialLeads:
    """The `partial_leads` section of params.yaml."""

    ratio: Ratio


@dataclass(frozen=True)
class Point:
    """A lead set of the curves: its key in the metrics, and the key that its scores have.

    `order` is empty for a named set. Orders share most of their sets, which are scored once.
    """

    key: str
    order: str
    leads: tuple[str, ...]
    scored: str


def points(lead_sets: Mapping[str, tuple[str, ...]]) -> list[Point]:
    """The counts of the first order, the named sets, and the counts of the further orders.

    A further order ("mimic:1" .. "mimic:12") is there when each of its sets was encoded.

    Raises:
        ValueError: the counts follow none of the known orders.
    """
    scored = {leads: key for key, leads in reversed(list(lead_sets.items()))}
    steps = {
        order: [parse_leads(count, order) for count in COUNTS]
        for order in ORDERS
        if all(parse_leads(count, order) in scored for count in COUNTS)
    }
    counted = [lead_sets[count] for count in COUNTS]
    first = next((order for order, leads in steps.items() if leads == counted), None)
    if first is None:
        raise ValueError(f"leads 1 to {len(LEADS)} follow none of the orders {', '.join(ORDERS)}")
    named = [key for key in lead_sets if not key.isdigit() and ":" not in key]
    return [
        *(Point(count, first, lead_sets[count], count) for count in COUNTS),
        *(Point(key, "", lead_sets[key], scored[lead_sets[key]]) for key in named),
        *(
            Point(f"{order}:{count}", order, leads, scored[leads])
            for order, grown in steps.items()
            if order != first
            for count, leads in zip(COUNTS, grown, strict=True)
        ),
    ]


def curve(evaluations: Evaluations, wanted: Sequence[Point], level: float) -> dict[str, Row]:
    """{key: row}: AUROC as mean over tasks, and how far it is below that with all leads.

    `below_full` is paired: both scores of a replicate come from the same patients.
    """
    tasks = [evaluations[task] for task in averaged(evaluations)]
    full = [by_leads[COUNTS[-1]] for by_leads in tasks]
    rows = {}
    for point in wanted:
        part = [by_leads[point.scored] for by_leads in tasks]
        rows[point.key] = auroc_row("auroc", part, level) | difference_row(
            "below_full", full, part, level
        )
    return rows


def curve_rows(
    protocol: str, evaluations: Evaluations, wanted: Sequence[Point], level: float
) -> list[list[object]]:
    """Rows of `COLUMNS`: each task and their "average", sorted by task, then as `wanted`."""
    groups = {task: [by_leads] for task, by_leads in evaluations.items()}
    groups["average"] = [evaluations[task] for task in averaged(evaluations)]
    rows: list[list[object]] = []
    for task, members in sorted(groups.items()):
        for point in wanted:
            values = auroc_row("auroc", [by_leads[point.scored] for by_leads in members], level)
            leads = "+".join(point.leads)
            place = [protocol, point.order, point.key, leads, len(point.leads)]
            rows.append([*place, task, *values.values()])
    return rows


def side_by_side(curves: Mapping[str, Mapping[str, Row]]) -> list[list[object]]:
    """A row a count of the first order: the count, then the mean AUROC of each protocol."""
    return [[int(count), *(rows[count]["auroc"] for rows in curves.values())] for count in COUNTS]
