"""Stage zero_shot: scores of class names on held-out records (Sec. 4.2, Fig. 4)."""

from pathlib import Path

from kmerl import params
from kmerl.corpora.classes import TASKS
from kmerl.evaluation import summary
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.cohort import read_cohort
from kmerl.evaluation.encodings import open_encodings
from kmerl.evaluation.zero_shot import ZeroShot, score_task
from kmerl.files import fresh_directory, write_csv, write_json


def main() -> None:
    settings = params.load("zero_shot", ZeroShot)
    statistics = params.load("statistics", Statistics)
    scores = []
    for task, corpus in TASKS.items():
        cohort = read_cohort(Path("data/splits"), task)
        scores.append(score_task(cohort, open_encodings(Path("data/encode"), corpus), settings))
    evaluations = summary.evaluate(scores, statistics, params.seed())
    directory = fresh_directory("data/zero_shot")
    for one in scores:
        one.write(directory)
    write_json("metrics/zero_shot.json", summary.metric_table(evaluations, statistics))
    rows = summary.class_rows(scores, evaluations, statistics.level)
    write_csv("plots/zero_shot_classes.csv", summary.CLASS_COLUMNS, rows)


if __name__ == "__main__":
    main()
