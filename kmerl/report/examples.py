"""Example recordings for the report: which, what the model says of them, what their labels say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int16
from markupsafe import Markup
from scipy.special import expit

from kmerl import store
from kmerl.evaluation.encoded_corpus import EncodedCorpus, open_encoded
from kmerl.evaluation.scores import Scores, read_scores
from kmerl.leads import LEADS
from kmerl.report.ecg_paper import picture

ALL_LEADS = "12"
EXAMPLES_AT_ONCE = 32  # records read together


@dataclass(frozen=True)
class Prediction:
    """A class of a task: the probability with all leads and with few, and its label."""

    name: str
    labelled: bool
    all_leads: float
    few_leads: float


@dataclass(frozen=True)
class Example:
    """A test record: its signals in microvolt by lead, and predictions by task.

    `shown_for` is the class as whose first positive record it was chosen.
    """

    record: str
    shown_for: str
    rate: float
    signals: dict[str, Int16[np.ndarray, " sample"]]
    predictions: dict[str, list[Prediction]]

    def drawn(self, leads: Sequence[str]) -> Markup:
        """Some of its leads on ECG paper."""
        title = f"Record {self.record} on ECG paper, leads {', '.join(leads)}"
        return picture({lead: self.signals[lead] for lead in leads}, self.rate, title)


def examples(task: str, few_leads: str, top: int, data: Path) -> list[Example]:
    """One test record for each class of `task`, and what F_CQ says of it.

    The first record by id that has the class is taken, and none twice: the choice knows labels,
    never predictions. Classes without a test record are left out; there is no example where the
    method has no F_CQ.

    Args:
        task: a downstream task.
        few_leads: key of the lead set beside all twelve.
        top: classes to list for each task, beside those that the labels name.
        data: where the stages keep their outputs.
    """
    corpus = read_scores(data / "zero_shot", task).corpus
    encoded = open_encoded(data / "encode", corpus)
    if "query" not in encoded.score_kinds:
        return []
    scores = {name: read_scores(data / "zero_shot", name) for name in encoded.tasks}
    chosen = first_positives(scores[task])
    rate, signals = read_signals(data / "ecg" / corpus, list(chosen))
    found = []
    for record, shown_for in chosen.items():
        known = {name: one for name, one in scores.items() if record in one.records}
        said = {n: _predictions(one, encoded, record, few_leads, top) for n, one in known.items()}
        found.append(Example(record, shown_for, rate, signals[record], said))
    return found


def first_positives(scores: Scores) -> dict[str, str]:
    """{record: class name}: for each class the first test record by id with its label."""
    chosen: dict[str, str] = {}
    order = sorted(range(len(scores.records)), key=lambda row: _by_number(scores.records[row]))
    for column, class_name in enumerate(scores.names):
        positive = (scores.records[row] for row in order if scores.truth[row, column])
        record = next((record for record in positive if record not in chosen), None)
        if record is not None:
            chosen[record] = class_name
    return chosen


def read_signals(
    directory: Path, records: Sequence[str]
) -> tuple[float, dict[str, dict[str, Int16[np.ndarray, " sample"]]]]:
    """The rate in Hz, and {record: {lead: microvolt}}; reads the row groups of `records` alone.

    Raises:
        StoreError: a record is not in the store.
    """
    ids = store.read_table(directory, ["record"])["record"].to_pylist()
    missing = [record for record in records if record not in ids]
    if missing:
        raise store.StoreError(f"{directory} has no record {missing[0]!r}; run `dvc repro` again")
    rows = np.array(sorted(map(ids.index, records)), dtype=np.int64)
    found = {
        ids[row]: dict(zip(LEADS, signal, strict=True))
        for batch, signals in store.read_signals(directory, LEADS, EXAMPLES_AT_ONCE, rows)
        for row, signal in zip(batch, signals, strict=True)
    }
    return float(store.row_groups(directory).rate), found


def _predictions(
    scores: Scores, encoded: EncodedCorpus, record: str, few_leads: str, top: int
) -> list[Prediction]:
    """The likeliest classes and the labelled ones."""
    labels = scores.truth[scores.records.index(record)]
    row = encoded.rows(np.array([record]), scored=True)[0]
    whole, few = (
        expit(encoded.scores("query", scores.task, leads)[row].astype(np.float64))
        for leads in (ALL_LEADS, few_leads)
    )
    order = np.argsort(-whole, kind="stable")
    kept = [i for rank, i in enumerate(order) if rank < top or labels[i]]
    return [
        Prediction(scores.names[i], bool(labels[i]), float(whole[i]), float(few[i])) for i in kept
    ]


def _by_number(record: str) -> tuple[int, str]:
    """Record ids in the order a person expects: 9 before 10."""
    return (int(record), "") if record.isdigit() else (0, record)
