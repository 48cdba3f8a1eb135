"""What the probes of one ratio come to: rows of metrics, and what validation chose."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.linear_probe import RANDOM, ProbedTask
from kmerl.evaluation.metric_rows import (
    Evaluation,
    Evaluations,
    Row,
    draw_weights,
    evaluate,
    mean,
    metric_table,
    over_seeds,
)
from kmerl.evaluation.paired_rows import Ranking, auroc_row, rankings, reference_row

CHOICE_COLUMNS = (
    "ratio", "task", "leads", "seed", "epoch", "val_auroc",
    "weight_decay", "tuned_epoch", "tuned_val_auroc",
)  # fmt: skip
DECAY_COLUMNS = ("ratio", "task", "weight_decay", "chosen")


def table(
    probed: Sequence[ProbedTask],
    by_seed: Sequence[Evaluations],
    statistics: Statistics,
    seed: int,
) -> dict[str, dict[str, Row]]:
    """{task: {leads: row}} of one ratio, task "average" last.

    Metrics are means over the seeds, and so are their intervals. Beside them stand `auroc_sd`, the
    deviation of the AUROC over `seeds`; the AUROC of the other probes; `above_random`, paired;
    `auroc_merl_max_test` where it was asked for; what was trained on (`train_records`,
    `train_classes`); and, of a single task, the chosen `epoch`, mean over seeds.

    Args:
        by_seed: evaluations of `probed[...].scores`.
        seed: of params.yaml, which draws the patients.
    """
    evaluations, others = over_seeds(by_seed), _others(probed, statistics, seed)
    probed_task = {one.scores[0].task: one for one in probed}

    def more(tasks: list[str], leads: str) -> Row:
        mine = [evaluations[task][leads] for task in tasks]
        beside = [others[task] for task in tasks]
        return (
            _spread([[one[task][leads] for task in tasks] for one in by_seed])
            | _rows_of_others(mine, beside, leads, statistics.level)
            | _behind([probed_task[task] for task in tasks], leads)
        )

    return metric_table(evaluations, statistics, more)


def evaluate_seeds(
    probed: Sequence[ProbedTask], statistics: Statistics, seed: int
) -> list[Evaluations]:
    """Of the scores of each seed, all from the same draws of patients."""
    by_seed = zip(*(one.scores for one in probed), strict=True)
    return [evaluate(scores, statistics, seed) for scores in by_seed]


def choice_rows(probed: Sequence[ProbedTask], ratio: int) -> list[list[object]]:
    """Rows of `CHOICE_COLUMNS`."""
    chosen = CHOICE_COLUMNS[4:]
    return [
        [ratio, one.scores[0].task, leads, number, *(getattr(choice, name) for name in chosen)]
        for one in probed
        for leads, choices in one.choices.items()
        for number, choice in enumerate(choices)
    ]


def decay_rows(
    probed: Sequence[ProbedTask], ratio: int, decays: Sequence[float]
) -> list[list[object]]:
    """Rows of `DECAY_COLUMNS`: for how many lead sets and seeds a weight decay was the best."""
    rows: list[list[object]] = []
    for one in probed:
        chosen = Counter(c.weight_decay for choices in one.choices.values() for c in choices)
        rows += [[ratio, one.scores[0].task, decay, chosen[decay]] for decay in decays]
    return rows


def _others(
    probed: Sequence[ProbedTask], statistics: Statistics, seed: int
) -> dict[str, dict[str, dict[str, Ranking]]]:
    """By task, probe and lead set, from the draws that the evaluations have."""
    scores = [one.scores[0] for one in probed]
    weights = draw_weights(scores, statistics.replicates, seed)
    return {
        mine.task: {
            name: rankings(mine.truth, by_leads, weights[mine.task])
            for name, by_leads in one.others.items()
            if by_leads
        }
        for mine, one in zip(scores, probed, strict=True)
    }


def _rows_of_others(
    tasks: Sequence[Evaluation],
    others: Sequence[dict[str, dict[str, Ranking]]],
    leads: str,
    level: float,
) -> Row:
    row: Row = {}
    for name in others[0]:
        if leads in others[0][name]:
            found = [one[name][leads] for one in others]
            beside = reference_row("random", tasks, found, level)
            row |= beside if name == RANDOM else auroc_row(name, found, level)
    return row


def _spread(by_seed: Sequence[Sequence[Evaluation]]) -> Row:
    """The sample deviation over seeds of the mean over tasks; of one seed there is none."""
    values = [mean(one.auroc for one in tasks) for tasks in by_seed]
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"auroc_sd": deviation, "seeds": len(values)}


def _behind(members: Sequence[ProbedTask], leads: str) -> Row:
    row: Row = {
        "train_records": sum(one.train_records for one in members),
        "train_classes": sum(one.train_classes for one in members),
    }
    chosen = [one.choices[leads] for one in members if one.choices[leads]]
    highest = [float(np.mean([choice.test_auroc for choice in task])) for task in chosen]
    if not all(np.isnan(highest)):
        row["auroc_merl_max_test"] = float(np.nanmean(highest))
    if len(members) == 1:
        epochs = [choice.epoch for choice in members[0].choices[leads]]
        row["epoch"] = float(np.mean(epochs)) if epochs else None
    return row
