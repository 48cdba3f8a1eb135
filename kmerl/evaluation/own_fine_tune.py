"""Labels of one's own learnt by all weights: the fine-tuning of the six tasks, on one's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.fine_tune_fit import Classifier, Examples, FineTune, Fitted, fit, scores
from kmerl.evaluation.memory_store import MemoryStore
from kmerl.evaluation.metric_rows import CLASS_COLUMNS, class_rows, evaluate
from kmerl.evaluation.own_probe import Labels
from kmerl.evaluation.scores import scored
from kmerl.models.inputs import SignalParams
from kmerl.progress import Meter
from kmerl.seeds import generator
from kmerl.tasks.classes import ClassName
from kmerl.tasks.cohort import SPLITS, Cohort

COLUMNS = CLASS_COLUMNS
TASK = "own"


@dataclass(frozen=True)
class FineTuned:
    """A trained network, and rows of `COLUMNS` of the test records, a class each."""

    fitted: Fitted
    rows: list[list[Any]]
    cohort: Cohort


def cohort_of(
    labels: Labels, splits: Mapping[str, str], there: Mapping[str, int]
) -> tuple[Cohort, list[tuple[str, str]]]:
    """The records that have every label and a signal, and (record, reason) of the others.

    Args:
        splits: of each record.
        there: the records that have a signal.

    Raises:
        ValueError: a part is empty, or a class has no positive or no negative record to train on.
    """
    kept, left_out = [], []
    known = [all(v[row] is not None for v in labels.classes.values()) for row in _rows(labels)]
    for row, record in enumerate(labels.records):
        if record not in there:
            left_out.append((record, "no signal"))
        elif not known[row]:
            left_out.append((record, "no label of some class"))
        else:
            kept.append(row)
    columns = [[bool(values[row]) for row in kept] for values in labels.classes.values()]
    cohort = Cohort(
        task=TASK,
        corpus=TASK,
        classes=tuple(ClassName(name, name) for name in labels.classes),
        records=np.array([labels.records[row] for row in kept], str),
        patients=np.array([labels.patients[row] for row in kept], str),
        splits=np.array([splits[labels.records[row]] for row in kept], str),
        truth=np.array(columns, bool).reshape(len(columns), len(kept)).T,
    )
    for name in SPLITS:
        if not (cohort.splits == name).any():
            raise ValueError(
                f"no record is in split {name!r}; give a column split, or more records"
            )
    train = cohort.split("train").truth
    for column, kind in enumerate(cohort.classes):
        if train[:, column].all() or not train[:, column].any():
            raise ValueError(f"class {kind.code!r} needs positive and negative training records")
    return cohort, left_out


def fine_tune(
    encoder: Any,
    signal: SignalParams,
    cohort: Cohort,
    recordings: MemoryStore,
    leads: tuple[str, ...],
    settings: FineTune,
    statistics: Statistics,
    seed: int,
    device: str,
) -> FineTuned:
    """Train all weights on the training records, choose the epoch on validation, score the test."""
    parts = [cohort.split(name) for name in SPLITS]
    train, validation, test = (Examples.of(p, recordings, leads, signal) for p in parts)
    random = generator(seed, "fine_tune", TASK)
    meter = Meter("fine-tuning", len(train.rows) * settings.epochs, "records")
    fitted = fit(
        Classifier(encoder, len(cohort.classes), random),
        train,
        validation,
        settings,
        rate=settings.learning_rate,
        random=random,
        device=device,
        advance=meter.advance,
    )
    meter.close()
    found = [scores(fitted.network, p, settings, device) for p in (validation, test)]
    key = settings.leads[0]
    of_test = scored(parts[1], parts[2], {key: found[0]}, {key: found[1]}, {key: leads})
    rows = class_rows([of_test], evaluate([of_test], statistics, seed), statistics.level)
    return FineTuned(fitted, rows, cohort)


def _rows(labels: Labels) -> range:
    return range(len(labels.records))
