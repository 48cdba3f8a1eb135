"""Zero-shot classification (Sec. 4.2, Fig. 4): class names as queries, no training.

Labels play no part in the scores. Those of the validation records set the thresholds of F1.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.encoded_corpus import EncodedCorpus, ScoreKind
from kmerl.evaluation.metric_rows import Evaluations, Row, metric_table
from kmerl.evaluation.paired_rows import reference_row
from kmerl.evaluation.scores import Scores, scored, unscored
from kmerl.params import checked
from kmerl.tasks.cohort import Cohort


@checked
class ZeroShot:
    """The `zero_shot` section of params.yaml."""

    score: ScoreKind
    test: Annotated[tuple[Literal["val", "test"], ...], Field(min_length=1)]

    def __post_init__(self) -> None:
        if len(set(self.test)) < len(self.test):
            raise ValueError("test names a split twice")

    def kinds(self, given: Sequence[ScoreKind]) -> tuple[ScoreKind, ScoreKind]:
        """The kind that is reported, and the one beside it, for a method that gives `given`.

        A method without the kind asked for is measured by the other one.
        """
        other: ScoreKind = "cosine" if self.score == "query" else "query"
        turned = self.score not in given and other in given
        return (other, self.score) if turned else (self.score, other)


def score_task(
    cohort: Cohort, encoded: EncodedCorpus, kind: ScoreKind, splits: Sequence[str] = ("test",)
) -> Scores:
    """A task's test records under every lead set that was encoded; none of them where the method
    gives no such score.

    Args:
        splits: whose records are tested on. A record that is does not set a threshold, too: with
            the validation records among them there are no thresholds, and no F1.

    Raises:
        ValueError: a member of the task, or one of its classes, was not encoded.
    """
    encoded.check_classes(cohort.task, tuple(name.code for name in cohort.classes))
    if kind not in encoded.score_kinds:
        return unscored(cohort, encoded.lead_sets)
    test = cohort.take(np.isin(cohort.splits, splits))
    validation = cohort.take((cohort.splits == "val") & ("val" not in splits))
    rows = [encoded.rows(part.records, scored=True) for part in (validation, test)]
    scores = {leads: encoded.scores(kind, cohort.task, leads) for leads in encoded.lead_sets}
    return scored(
        validation,
        test,
        {leads: values[rows[0]] for leads, values in scores.items()},
        {leads: values[rows[1]] for leads, values in scores.items()},
        encoded.lead_sets,
    )


def table(
    evaluations: Evaluations, beside: Evaluations, kind: ScoreKind, statistics: Statistics
) -> dict[str, dict[str, Row]]:
    """{task: {leads: row}}: the metrics, and the AUROC that the other kind of score has.

    For kind "cosine" the further keys are `cosine_auroc` and `above_cosine`, how far the first is
    ahead of it, with their paired intervals.
    """

    def reference(tasks: list[str], leads: str) -> Row:
        ours = [evaluations[task][leads] for task in tasks]
        theirs = [beside[task][leads] for task in tasks]
        return reference_row(kind, ours, theirs, statistics.level)

    return metric_table(evaluations, statistics, reference)
