"""Stage fine_tune: the pretrained encoder trained on each task's labels, and one from scratch."""

from pathlib import Path

from kmerl import params, runtime
from kmerl.errors import clear_errors
from kmerl.evaluation import fine_tune, metric_files, metric_rows
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.fine_tune_fit import FineTune, Start
from kmerl.files import fresh_directory, write_csv
from kmerl.tasks.classes import TASKS
from kmerl.tasks.cohort import read_cohort
from kmerl.training.model import load

OUT = Path("data/fine_tune")
FOLDER: dict[Start, Path] = {"pretrained": OUT, "scratch": OUT / "scratch"}


def main() -> None:
    settings, statistics = params.load("fine_tune", FineTune), params.load("statistics", Statistics)
    seed, cohorts = params.seed(), [read_cohort(Path("data/splits"), task) for task in TASKS]
    trained = train(fine_tune.plan(cohorts, settings, seed), settings, seed)
    fresh_directory(OUT)
    table: dict[str, dict[str, object]] = {}
    rows: list[list[object]] = []
    for ratio in settings.ratios:
        found: dict[Start, metric_rows.Evaluations] = {}
        for start in settings.starts:
            by_seed = []
            for number in range(settings.seeds):
                scores = fine_tune.by_task(cohorts, trained, settings, ratio, number, start)
                by_seed.append(metric_rows.evaluate(scores, statistics, seed))
                for one in scores:
                    one.write(FOLDER[start] / str(ratio) / str(number))
            found[start] = metric_rows.over_seeds(by_seed)
            listed = metric_rows.class_rows(scores, found[start], statistics.level)
            rows += [[ratio, start, *row] for row in listed]
        here = [one for one in trained if one.job.ratio == ratio]
        for task, by_leads in fine_tune.table(here, found, statistics).items():
            table.setdefault(task, {})[str(ratio)] = by_leads
    metric_files.write("fine_tune", table)
    write_csv(OUT / "classes.csv", ("ratio", "start", *metric_rows.CLASS_COLUMNS), rows)


def train(jobs: list[fine_tune.Job], settings: FineTune, seed: int) -> list[fine_tune.Trained]:
    machine = runtime.load()
    where = runtime.device(machine)
    threads = runtime.side_by_side(machine, where)
    config, model = load(Path("models"))
    start_from = fine_tune.encoders(config, model.encoder, settings, seed)
    how = config.signal, settings, seed, where, threads
    return fine_tune.FineTuning(start_from, Path("data/ecg"), *how).train(jobs)


if __name__ == "__main__":
    with clear_errors("fine_tune"):
        main()
