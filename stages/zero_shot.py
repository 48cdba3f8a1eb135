"""Stage zero_shot: scores of class names on held-out records (Sec. 4.2, Fig. 4)."""

from pathlib import Path

from kmerl import params
from kmerl.evaluation import metric_files, summary, zero_shot
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.encodings import ScoreKind, open_encodings
from kmerl.evaluation.scores import Scores
from kmerl.files import fresh_directory, write_csv
from kmerl.tasks.classes import TASKS
from kmerl.tasks.cohort import read_cohort

ENCODED, OUT = Path("data/encode"), Path("data/zero_shot")


def main() -> None:
    settings = params.load("zero_shot", zero_shot.ZeroShot)
    statistics = params.load("statistics", Statistics)
    fresh_directory(OUT)
    given = open_encodings(ENCODED, next(iter(TASKS.values()))).score_kinds
    kind, other = settings.kinds(given)
    scores = score(kind, OUT)
    evaluations = summary.evaluate(scores, statistics, params.seed())
    others = score(other, OUT / other)
    beside = summary.evaluate(others, statistics, params.seed())
    table = zero_shot.table(evaluations, beside, other, statistics)
    metric_files.write("zero_shot", table)
    rows = summary.class_rows(scores, evaluations, statistics.level)
    write_csv("plots/zero_shot_classes.csv", summary.CLASS_COLUMNS, rows)


def score(kind: ScoreKind, directory: Path) -> list[Scores]:
    """Every task by one kind of score, kept in `directory`."""
    found = []
    for task, corpus in TASKS.items():
        cohort = read_cohort(Path("data/splits"), task)
        found.append(zero_shot.score_task(cohort, open_encodings(ENCODED, corpus), kind))
        found[-1].write(directory)
    return found


if __name__ == "__main__":
    main()
