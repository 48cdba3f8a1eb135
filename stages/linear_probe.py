"""Stage linear_probe: linear classifiers on the frozen encoder (Sec. 4.2, Table 1)."""

from pathlib import Path

from kmerl import params, runtime
from kmerl.errors import clear_errors
from kmerl.evaluation import linear_probe, metric_files, metric_rows, probe_metrics
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.encoded_corpus import open_encoded
from kmerl.files import fresh_directory, write_csv
from kmerl.progress import track
from kmerl.tasks.classes import TASKS
from kmerl.tasks.cohort import Cohort, read_cohort
from kmerl.tasks.subsets import RATIOS, SUBSET_COLUMNS, subset_rows

OUT = Path("data/linear_probe")


def main() -> None:
    settings = params.load("linear_probe", linear_probe.LinearProbe)
    statistics, seed = params.load("statistics", Statistics), params.seed()
    fresh_directory(OUT)
    cohorts = [read_cohort(Path("data/splits"), task) for task in TASKS]
    table: dict[str, dict[str, dict[str, metric_rows.Row]]] = {}
    classes, choices, decays = [], [], []
    for ratio in RATIOS:
        probed = probe(cohorts, ratio, settings, seed)
        for one in probed:
            for number, of_seed in enumerate(one.scores):
                of_seed.write(OUT / str(ratio) / str(number))
        by_seed = probe_metrics.evaluate_seeds(probed, statistics, seed)
        for task, by_leads in probe_metrics.table(probed, by_seed, statistics, seed).items():
            table.setdefault(task, {})[str(ratio)] = by_leads
        found, scores = metric_rows.over_seeds(by_seed), [one.scores[0] for one in probed]
        classes += [[ratio, *r] for r in metric_rows.class_rows(scores, found, statistics.level)]
        choices += probe_metrics.choice_rows(probed, ratio)
        decays += probe_metrics.decay_rows(probed, ratio, settings.decays)
    metric_files.write("linear_probe", table)
    write_csv(OUT / "classes.csv", ("ratio", *metric_rows.CLASS_COLUMNS), classes)
    write_csv(OUT / "choices.csv", probe_metrics.CHOICE_COLUMNS, choices)
    write_csv(OUT / "weight_decays.csv", probe_metrics.DECAY_COLUMNS, decays)
    listed = [r for one in cohorts for r in subset_rows(one, seed, settings.seeds)]
    write_csv(OUT / "subsets.csv", SUBSET_COLUMNS, listed)


def probe(
    cohorts: list[Cohort], ratio: int, settings: linear_probe.LinearProbe, seed: int
) -> list[linear_probe.ProbedTask]:
    def one(cohort: Cohort) -> linear_probe.ProbedTask:
        encoded = open_encoded(Path("data/encode"), cohort.corpus)
        return linear_probe.probe_task(cohort, encoded, ratio, settings, seed)

    threads = runtime.side_by_side(runtime.load(), "cpu")
    found = runtime.in_order(one, cohorts, threads)
    return list(track(found, f"linear probe on {ratio} %", len(cohorts), "tasks"))


if __name__ == "__main__":
    with clear_errors("linear_probe"):
        main()
