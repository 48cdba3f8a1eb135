"""Zero-shot classification (Sec. 4.2, Fig. 4): class names as queries, no training.

Labels play no part in the scores. Those of the validation records set the thresholds of F1.
"""

from dataclasses import dataclass

from kmerl.evaluation.cohort import Cohort
from kmerl.evaluation.encodings import Encodings, ScoreKind
from kmerl.evaluation.scores import Scores, scored


@dataclass(frozen=True)
class ZeroShot:
    """The `zero_shot` section of params.yaml."""

    score: ScoreKind


def score_task(cohort: Cohort, encodings: Encodings, settings: ZeroShot) -> Scores:
    """A task's test records under every lead set that was encoded.

    Raises:
        ValueError: a member of the task, or one of its classes, was not encoded.
    """
    encodings.check_classes(cohort.task, tuple(name.code for name in cohort.classes))
    validation, test = cohort.split("val"), cohort.split("test")
    rows = encodings.scored_rows(validation.records), encodings.scored_rows(test.records)
    scores = {
        leads: encodings.scores(settings.score, cohort.task, leads) for leads in encodings.lead_sets
    }
    return scored(
        validation,
        test,
        {leads: values[rows[0]] for leads, values in scores.items()},
        {leads: values[rows[1]] for leads, values in scores.items()},
        encodings.lead_sets,
    )
