"""Stage linear_probe: linear classifiers on the frozen encoder (Sec. 4.2, Table 1)."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from kmerl import params, runtime
from kmerl.evaluation import linear_probe, metric_files, probe_table, summary
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.encodings import open_encodings
from kmerl.files import fresh_directory, write_csv
from kmerl.progress import track
from kmerl.tasks.classes import TASKS
from kmerl.tasks.cohort import Cohort, read_cohort

OUT = Path("data/linear_probe")


def main() -> None:
    torch.set_num_threads(1)  # many small products: a thread a task is fastest, sums keep order
    settings = params.load("linear_probe", linear_probe.LinearProbe)
    statistics, seed = params.load("statistics", Statistics), params.seed()
    fresh_directory(OUT)
    cohorts = [read_cohort(Path("data/splits"), task) for task in TASKS]
    table: dict[str, dict[str, dict[str, summary.Row]]] = {}
    classes, choices, decays = [], [], []
    for ratio in linear_probe.RATIOS:
        probed = probe(cohorts, ratio, settings, seed)
        for one in probed:
            one.write(OUT / str(ratio))
        by_seed = probe_table.evaluate_seeds(probed, statistics, seed)
        for task, by_leads in probe_table.probe_table(probed, by_seed, statistics, seed).items():
            table.setdefault(task, {})[str(ratio)] = by_leads
        found, scores = summary.over_seeds(by_seed), [one.scores[0] for one in probed]
        classes += [[ratio, *r] for r in summary.class_rows(scores, found, statistics.level)]
        choices += probe_table.choice_rows(probed, ratio)
        decays += probe_table.decay_rows(probed, ratio, settings.decays)
    metric_files.write("linear_probe", table)
    write_csv(OUT / "classes.csv", ("ratio", *summary.CLASS_COLUMNS), classes)
    write_csv(OUT / "choices.csv", probe_table.CHOICE_COLUMNS, choices)
    write_csv(OUT / "weight_decays.csv", probe_table.DECAY_COLUMNS, decays)
    listed = [r for one in cohorts for r in linear_probe.subset_rows(one, seed, settings.seeds)]
    write_csv(OUT / "subsets.csv", linear_probe.SUBSET_COLUMNS, listed)


def probe(
    cohorts: list[Cohort], ratio: int, settings: linear_probe.LinearProbe, seed: int
) -> list[linear_probe.ProbedTask]:
    def one(cohort: Cohort) -> linear_probe.ProbedTask:
        encodings = open_encodings(Path("data/encode"), cohort.corpus)
        return linear_probe.probe_task(cohort, encodings, ratio, settings, seed)

    with ThreadPoolExecutor(runtime.load().thread_count) as pool:
        found = pool.map(one, cohorts)
        return list(track(found, f"linear probe on {ratio} %", len(cohorts), "tasks"))


if __name__ == "__main__":
    main()
