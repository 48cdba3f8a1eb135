"""Is A better than B? AUROC of two scorings of the same test records, from the same patients."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kmerl.evaluation.metric_rows import Row, draw_weights, mean
from kmerl.evaluation.metrics import Weights
from kmerl.evaluation.paired_rows import Ranked, Ranking, difference_row, differences, rankings
from kmerl.evaluation.scores import Scores, read_scores, read_seeds
from kmerl.tasks.classes import averaged, in_order


def ahead(a: Sequence[Ranked], b: Sequence[Ranked]) -> float:
    """Share of the replicates in which A is above B, ties by half; NaN where none is defined."""
    defined = differences(a, b)
    defined = defined[~np.isnan(defined)]
    wins = (defined > 0).sum() + (defined == 0).sum() / 2
    return float(wins / len(defined)) if len(defined) else float("nan")


def compare(
    a: Sequence[Sequence[Scores]],
    b: Sequence[Sequence[Scores]],
    leads: Sequence[str] | None,
    replicates: int,
    level: float,
    seed: int,
) -> dict[str, dict[str, Row]]:
    """{task: {leads: row}} with the mean over the tasks as "average".

    Rows hold `a`, `b`, `difference`, `difference_lo`, `difference_hi` and `ahead`.

    Args:
        a, b: by seed, then by task; scores of several seeds are averaged in AUROC.
        leads: keys of the lead sets; None takes those that both have.

    Raises:
        ValueError: the two do not score the same tasks, records, labels and leads.
    """
    first = a[0]
    keys = _common_leads(first[0], b[0][0]) if leads is None else list(leads)
    if not keys:
        raise ValueError("the two have no set of leads in common")
    for scores in (*a[1:], *b):
        tasks = [[one.task for one in side] for side in (first, scores)]
        if tasks[0] != tasks[1]:
            raise ValueError(f"one side has tasks {tasks[0]}, the other {tasks[1]}")
        for one, other in zip(first, scores, strict=True):
            _check(one, other, keys)
    weights = draw_weights(first, replicates, seed)
    sides = [[_ranked(task, keys, weights) for task in zip(*side, strict=True)] for side in (a, b)]
    table = {
        scores.task: {key: _row([x[key]], [y[key]], level) for key in keys}
        for scores, x, y in zip(first, *sides, strict=True)
    }
    names = averaged(table)
    kept = [[x for x, one in zip(side, first, strict=True) if one.task in names] for side in sides]
    means = ([[task[key] for task in side] for side in kept] for key in keys)
    average = {key: _row(x, y, level) for key, (x, y) in zip(keys, means, strict=True)}
    return table | {"average": average}


def as_text(table: Mapping[str, Mapping[str, Row]], level: float) -> str:
    """A line a task and lead set."""
    head = ("task", "leads", "A", "B", "A - B", f"{100 * level:g} % interval", "A ahead")
    lines = [head]
    for task, by_leads in table.items():
        for leads, row in by_leads.items():
            low, high = (_number(row[f"difference_{end}"], "+.3f") for end in ("lo", "hi"))
            a, b = (_number(row[side], ".3f") for side in ("a", "b"))
            difference, share = _number(row["difference"], "+.3f"), _number(row["ahead"], ".0%")
            lines.append((task, leads, a, b, difference, f"{low} to {high}", share))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def read_folder(directory: Path) -> list[list[Scores]]:
    """By seed, then by task: all that a folder of scores has, with or without a level of seeds.

    Raises:
        FileNotFoundError: the folder holds no scores of any task.
    """
    for folder in (directory, directory / "0"):
        tasks = in_order(path.stem for path in folder.glob("*.json"))
        if tasks and folder == directory:
            return [[read_scores(directory, task) for task in tasks]]
        if tasks:
            return read_seeds(directory, tasks)
    raise FileNotFoundError(
        f"{directory} holds no scores; name a folder such as data/zero_shot or "
        f"data/linear_probe/100"
    )


def _row(a: Sequence[Ranked], b: Sequence[Ranked], level: float) -> Row:
    values: Row = {"a": mean(e.auroc for e in a), "b": mean(e.auroc for e in b)}
    return values | difference_row("difference", a, b, level) | {"ahead": ahead(a, b)}


def _ranked(
    seeds: Sequence[Scores], keys: Sequence[str], weights: Mapping[str, Weights]
) -> dict[str, Ranking]:
    score = {key: np.stack([one.score[key] for one in seeds]) for key in keys}
    return rankings(seeds[0].truth, score, weights[seeds[0].task])


def _number(value: float | None, form: str) -> str:
    return "-" if value is None or np.isnan(value) else format(value, form)


def _common_leads(a: Scores, b: Scores) -> list[str]:
    return [key for key, leads in a.lead_sets.items() if b.lead_sets.get(key) == leads]


def _check(a: Scores, b: Scores, keys: Sequence[str]) -> None:
    """
    Raises:
        ValueError: what the two do not have in common, which a paired comparison needs.
    """
    try:
        "".join((a.corpus, *a.patients)).encode()  # they seed the draws
    except UnicodeEncodeError:
        raise ValueError(
            f"{a.task}: names of its corpus or patients hold half a character"
        ) from None
    for name in ("codes", "records", "patients"):
        if getattr(a, name) != getattr(b, name):
            raise ValueError(f"{a.task}: the two sides differ in their test {name}")
    if not np.array_equal(a.truth, b.truth):
        raise ValueError(f"{a.task}: the two sides differ in the labels of their test records")
    for key in keys:
        if key not in a.lead_sets or a.lead_sets[key] != b.lead_sets.get(key):
            known = ", ".join(_common_leads(a, b))
            raise ValueError(f"{a.task}: not both have leads {key!r}; both have {known}")
