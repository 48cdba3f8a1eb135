"""Stage linear_probe: linear classifiers on the frozen encoder (Sec. 4.2, Table 1)."""

from pathlib import Path

import torch

from kmerl import params
from kmerl.corpora.classes import TASKS
from kmerl.evaluation import linear_probe, summary
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.cohort import Cohort, read_cohort
from kmerl.evaluation.encodings import open_encodings
from kmerl.files import fresh_directory, write_csv, write_json
from kmerl.progress import track

OUT = Path("data/linear_probe")


def main() -> None:
    torch.set_num_threads(
        1
    )  # many small products: one thread is fastest, and sums keep their order
    statistics = params.load("statistics", Statistics)
    fresh_directory(OUT)
    cohorts = [read_cohort(Path("data/splits"), task) for task in TASKS]
    table: dict[str, dict[str, dict[str, summary.Row]]] = {}
    rows = []
    for ratio in linear_probe.RATIOS:
        probed = probe(cohorts, ratio)
        scores = [one.scores for one in probed]
        evaluations = summary.evaluate(scores, statistics, params.seed())
        by_task = linear_probe.probe_table(probed, evaluations, statistics)
        for task, by_leads in by_task.items():
            table.setdefault(task, {})[str(ratio)] = by_leads
        found = summary.class_rows(scores, evaluations, statistics.level)
        rows += [[ratio, *row] for row in found]
        for one in scores:
            one.write(OUT / str(ratio))
    write_json("metrics/linear_probe.json", table)
    write_csv(OUT / "classes.csv", ("ratio", *summary.CLASS_COLUMNS), rows)
    listed = [row for cohort in cohorts for row in linear_probe.subset_rows(cohort, params.seed())]
    write_csv(OUT / "subsets.csv", linear_probe.SUBSET_COLUMNS, listed)


def probe(cohorts: list[Cohort], ratio: int) -> list[linear_probe.ProbedTask]:
    settings = params.load("linear_probe", linear_probe.LinearProbe)
    found = []
    for cohort in track(cohorts, f"linear probe on {ratio} %", unit="tasks"):
        encodings = open_encodings(Path("data/encode"), cohort.corpus)
        found.append(linear_probe.probe_task(cohort, encodings, ratio, settings, params.seed()))
    return found


if __name__ == "__main__":
    main()
