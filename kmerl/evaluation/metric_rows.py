"""Scores to metrics: a row a task and lead set, their average over tasks, a row a class."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from kmerl.evaluation import metrics
from kmerl.evaluation.bootstrap import (
    Statistics,
    class_intervals,
    draw_patients,
    f1_replicates,
    interval,
)
from kmerl.evaluation.metrics import Replicates, Weights
from kmerl.evaluation.scores import Scores
from kmerl.progress import track
from kmerl.seeds import generator
from kmerl.tasks.classes import averaged

Row = dict[str, float | int | None]


@dataclass(frozen=True)
class Evaluation:
    """One task under one lead set: its metrics class by class, also in each replicate."""

    records: int
    positives: Int[np.ndarray, " class"]
    auroc: Float[np.ndarray, " class"]
    auprc: Float[np.ndarray, " class"]
    f1: Float[np.ndarray, " class"]
    f1_max: Float[np.ndarray, " class"]
    auroc_replicates: Replicates
    f1_replicates: Replicates


Evaluations = dict[str, dict[str, Evaluation]]
"""By task, then by lead set."""


def evaluate(
    scores: Sequence[Scores],
    statistics: Statistics,
    seed: int,
    lead_sets: Sequence[str] | None = None,
) -> Evaluations:
    """Every task under the given lead sets, or all, from one draw of patients a corpus.

    Raises:
        ValueError: a task was not scored under a lead set that is wanted.
    """
    wanted = list(lead_sets or scores[0].score)
    for task in scores:
        missing = sorted(set(wanted) - set(task.score))
        if missing:
            raise ValueError(f"{task.task} has no scores for leads {missing[0]!r}; encode it again")
    weights = draw_weights(scores, statistics.replicates, seed)
    return {
        task.task: _evaluate(task, wanted, weights[task.task])
        for task in track(scores, "metrics", unit="tasks")
    }


def draw_weights(scores: Sequence[Scores], replicates: int, seed: int) -> dict[str, Weights]:
    """By task: how often each test record counts, from one draw of patients a corpus."""
    weights: dict[str, Weights] = {}
    for corpus in sorted({task.corpus for task in scores}):
        members = [task for task in scores if task.corpus == corpus]
        patients = [patient for task in members for patient in task.patients]
        drawn = draw_patients(patients, replicates, generator(seed, "bootstrap", corpus))
        ends = np.cumsum([len(task.patients) for task in members])
        parts = zip(members, np.split(drawn, ends[:-1]), strict=True)
        weights |= {task.task: part for task, part in parts}
    return weights


def over_seeds(by_seed: Sequence[Evaluations]) -> Evaluations:
    """The mean over the seeds of each metric and replicate, of every task and lead set.

    Raises:
        ValueError: the seeds were not measured on the same test records.
    """
    return {
        task: {key: _mean_over_seeds([one[task][key] for one in by_seed]) for key in by_leads}
        for task, by_leads in by_seed[0].items()
    }


def _mean_over_seeds(evaluations: Sequence[Evaluation]) -> Evaluation:
    first = evaluations[0]
    for one in evaluations[1:]:
        if one.records != first.records or (one.positives != first.positives).any():
            raise ValueError("seeds to be averaged differ in their test records")
    averaged = ("auroc", "auprc", "f1", "f1_max", "auroc_replicates", "f1_replicates")
    means = {
        name: np.mean([getattr(one, name) for one in evaluations], axis=0) for name in averaged
    }
    return Evaluation(records=first.records, positives=first.positives, **means)


def metric_table(
    evaluations: Evaluations,
    statistics: Statistics,
    more: Callable[[list[str], str], Row] = lambda tasks, leads: {},
) -> dict[str, dict[str, Row]]:
    """{task: {leads: row}}, with the mean over the tasks (`averaged`) as task "average".

    Args:
        more: further keys of the row that stands for some tasks and a lead set.
    """
    groups = {task: [task] for task in evaluations} | {"average": averaged(evaluations)}
    return {
        name: {
            leads: summarise([evaluations[task][leads] for task in tasks], statistics)
            | more(tasks, leads)
            for leads in evaluations[tasks[0]]
        }
        for name, tasks in groups.items()
    }


def summarise(evaluations: Iterable[Evaluation], statistics: Statistics) -> Row:
    """Macro averages over classes, then the mean over tasks; tasks without data are left out.

    `auroc_common` is over the classes with `statistics.min_positives` positive records or more.
    `classes`, `common_classes` and `f1_classes` count the classes behind auroc, auroc_common and
    f1, `positives_min` the positive records of the rarest class.
    """
    tasks, level = list(evaluations), statistics.level
    often = [(e, e.positives >= statistics.min_positives) for e in tasks]
    common = [e.auroc[kept] for e, kept in often]
    drawn = {
        "auroc": mean_replicates(e.auroc_replicates for e in tasks),
        "auroc_common": mean_replicates(e.auroc_replicates[:, kept] for e, kept in often),
        "f1": mean_replicates(e.f1_replicates for e in tasks),
    }
    return {
        **with_interval("auroc", mean(e.auroc for e in tasks), drawn["auroc"], level),
        **with_interval("auroc_common", mean(common), drawn["auroc_common"], level),
        **with_interval("f1", mean(e.f1 for e in tasks), drawn["f1"], level),
        "auprc": mean(e.auprc for e in tasks),
        "f1_max": mean(e.f1_max for e in tasks),
        "records": sum(e.records for e in tasks),
        "classes": sum(int((~np.isnan(e.auroc)).sum()) for e in tasks),
        "common_classes": sum(int((~np.isnan(values)).sum()) for values in common),
        "f1_classes": sum(int((~np.isnan(e.f1)).sum()) for e in tasks),
        "positives_min": min((int(n) for e in tasks for n in e.positives if n), default=None),
    }


def with_interval(
    name: str, value: float, replicates: Float[np.ndarray, " replicate"], level: float
) -> Row:
    """A value and its interval, as keys `name`, `name_lo`, `name_hi`."""
    low, high = interval(replicates, level)
    return {name: value, f"{name}_lo": low, f"{name}_hi": high}


def mean(tasks: Iterable[Float[np.ndarray, "..."]]) -> float:
    """The mean over tasks of the macro averages over their classes."""
    return float(metrics.macro(np.array([metrics.macro(values) for values in tasks])))


def mean_replicates(tasks: Iterable[Replicates]) -> Float[np.ndarray, " replicate"]:
    """The same mean in each replicate, over the classes defined in that replicate."""
    return metrics.macro(np.stack([metrics.macro(values) for values in tasks]), axis=0)


CLASS_COLUMNS = (
    "task", "leads", "code", "name", "records", "positives", "prevalence",
    "auroc", "auroc_lo", "auroc_hi", "auprc", "f1", "f1_lo", "f1_hi", "f1_max",
)  # fmt: skip


def class_rows(scores: Sequence[Scores], evaluations: Evaluations, level: float) -> list[list[Any]]:
    """One row a task, lead set and class, in the order of `CLASS_COLUMNS`, sorted."""
    rows = []
    for task in scores:
        for leads, found in evaluations[task.task].items():
            values = _class_values(found, level)
            for code, name, *row in zip(task.codes, task.names, *values, strict=True):
                rows.append([task.task, leads, code, name, *row])
    return sorted(rows, key=lambda row: row[:3])


def _class_values(found: Evaluation, level: float) -> list[list[float | int]]:
    """The columns after "name", each with a value a class."""
    columns = [
        np.full(len(found.positives), found.records),
        found.positives,
        found.positives / found.records if found.records else np.full_like(found.auroc, np.nan),
        found.auroc,
        *class_intervals(found.auroc_replicates, level),
        found.auprc,
        found.f1,
        *class_intervals(found.f1_replicates, level),
        found.f1_max,
    ]
    return [column.tolist() for column in columns]


def _evaluate(scores: Scores, keys: Sequence[str], weights: Weights) -> dict[str, Evaluation]:
    truth, stacked = scores.truth, np.stack([scores.score[key] for key in keys])
    aurocs = metrics.auroc(truth, stacked)
    replicates = metrics.auroc_replicates(truth, stacked, weights)
    found = {}
    for key, score, *auroc in zip(keys, stacked, aurocs, replicates, strict=True):
        threshold = scores.threshold[key]
        predicted, unknown = score >= threshold, np.isnan(threshold)
        found[key] = Evaluation(
            records=len(truth),
            positives=truth.sum(axis=0),
            auroc=auroc[0],
            auprc=metrics.auprc(truth, score),
            f1=np.where(unknown, np.nan, metrics.f1(truth, predicted)),
            f1_max=metrics.best_threshold(truth, score)[1],
            auroc_replicates=auroc[1],
            f1_replicates=np.where(unknown, np.nan, f1_replicates(truth, predicted, weights)),
        )
    return found
