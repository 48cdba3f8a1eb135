"""Stage linear_probe: linear classifiers on the frozen encoder (Sec. 4.2, Table 1)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kmerl import params, runtime
from kmerl.errors import clear_errors
from kmerl.evaluation import linear_probe, metric_files, metric_rows, pieces, probe_metrics
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.encoded_corpus import open_encoded
from kmerl.files import fresh_directory, write_csv
from kmerl.progress import track
from kmerl.tasks import of_run
from kmerl.tasks.cohort import read_cohort
from kmerl.tasks.subsets import RATIOS, SUBSET_COLUMNS, subset_rows
from kmerl.training.launch import run

SPLITS, ENCODED, OUT = Path("data/splits"), Path("data/encode"), Path("data/linear_probe")


def main() -> None:
    run(probe, runtime.load(), "stages.linear_probe", apart=True)


def probe(device: str) -> None:
    settings, seed = params.load("linear_probe", linear_probe.LinearProbe), params.seed()
    tasks = of_run.read(Path("data/tasks.json"))
    cohorts = [read_cohort(SPLITS, task) for task in tasks]
    encoded = {corpus: open_encoded(ENCODED, corpus) for corpus in of_run.corpora_of(tasks)}
    jobs = {
        ratio: [
            linear_probe.Probing(cohort, encoded[cohort.corpus], ratio, settings, seed)
            for cohort in cohorts
        ]
        for ratio in RATIOS
    }
    every = {job.name: job for of_ratio in jobs.values() for job in of_ratio}
    sizes = {name: float(job.train_records) for name, job in every.items()}
    threads = runtime.side_by_side(runtime.load(), device)

    def fit(names: Sequence[str]) -> Iterator[tuple[str, pieces.Arrays]]:
        found = runtime.in_order(lambda name: (name, every[name].fit(device)), names, threads)
        return track(found, "linear probe", len(names), "tasks and ratios")

    with pieces.dealt("linear_probe", [settings, seed], [SPLITS, ENCODED], sizes, fit) as made:
        if made is not None:
            fresh_directory(OUT)
            write({r: [job.result(made[job.name]) for job in jobs[r]] for r in RATIOS})
            listed = [r for one in cohorts for r in subset_rows(one, seed, settings.seeds)]
            write_csv(OUT / "subsets.csv", SUBSET_COLUMNS, listed)


def write(probed_at: Mapping[int, Sequence[linear_probe.ProbedTask]]) -> None:
    """Scores and metrics, by ratio."""
    settings = params.load("linear_probe", linear_probe.LinearProbe)
    statistics, seed = params.load("statistics", Statistics), params.seed()
    table: dict[str, dict[str, dict[str, metric_rows.Row]]] = {}
    classes, choices, decays = [], [], []
    for ratio, probed in probed_at.items():
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


if __name__ == "__main__":
    with clear_errors("linear_probe"):
        main()
