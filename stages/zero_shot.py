"""Stage zero_shot: scores of class names on held-out records (Sec. 4.2, Fig. 4)."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from kmerl import params
from kmerl.errors import clear_errors
from kmerl.evaluation import metric_files, metric_rows, zero_shot
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.encoded_corpus import ScoreKind, open_encoded
from kmerl.evaluation.scores import Scores
from kmerl.files import fresh_directory, write_csv
from kmerl.tasks import of_run
from kmerl.tasks.cohort import Cohort, read_cohort

ENCODED, OUT = Path("data/encode"), Path("data/zero_shot")


def main() -> None:
    settings = params.load("zero_shot", zero_shot.ZeroShot)
    statistics = params.load("statistics", Statistics)
    fresh_directory(OUT)
    tasks = of_run.read(Path("data/tasks.json"))
    cohorts = [read_cohort(Path("data/splits"), task) for task in tasks]
    given = open_encoded(ENCODED, tasks[0].corpus).score_kinds
    kind, other = settings.kinds(given)
    scores = score(cohorts, kind, settings.test, OUT)
    evaluations = metric_rows.evaluate(scores, statistics, params.seed())
    others = score(cohorts, other, settings.test, OUT / other)
    beside = metric_rows.evaluate(others, statistics, params.seed())
    table = zero_shot.table(evaluations, beside, other, statistics)
    metric_files.write("zero_shot", table)
    rows = metric_rows.class_rows(scores, evaluations, statistics.level)
    write_csv("plots/zero_shot_classes.csv", metric_rows.CLASS_COLUMNS, rows)


def score(
    cohorts: Iterable[Cohort], kind: ScoreKind, splits: Sequence[str], directory: Path
) -> list[Scores]:
    """Every task by one kind of score, kept in `directory`."""
    found = []
    for cohort in cohorts:
        encoded = open_encoded(ENCODED, cohort.corpus)
        found.append(zero_shot.score_task(cohort, encoded, kind, splits))
        found[-1].write(directory)
    return found


if __name__ == "__main__":
    with clear_errors("zero_shot"):
        main()
