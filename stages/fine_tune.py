"""Stage fine_tune: the pretrained encoder trained on each task's labels, and one from scratch."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kmerl import params, runtime
from kmerl.errors import clear_errors
from kmerl.evaluation import fine_tune, metric_files, metric_rows, pieces
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.fine_tune_fit import FineTune, Start
from kmerl.files import fresh_directory, write_csv
from kmerl.tasks import of_run
from kmerl.tasks.cohort import Cohort, read_cohort
from kmerl.training.launch import run
from kmerl.training.model import load

MODELS, SPLITS, STORE = Path("models"), Path("data/splits"), Path("data/ecg")
OUT = Path("data/fine_tune")
FOLDER: dict[Start, Path] = {"pretrained": OUT, "scratch": OUT / "scratch"}


def main() -> None:
    run(train, runtime.load(), "stages.fine_tune", apart=True)


def train(device: str) -> None:
    settings, seed = params.load("fine_tune", FineTune), params.seed()
    tasks = of_run.read(Path("data/tasks.json"))
    cohorts = [read_cohort(SPLITS, task) for task in tasks]
    jobs = {job.name: job for job in fine_tune.plan(cohorts, settings, seed)}
    sizes = {name: fine_tune.size(job, settings) for name, job in jobs.items()}
    inputs = [MODELS, SPLITS, *(STORE / corpus for corpus in of_run.corpora_of(tasks))]

    def work(names: Sequence[str]) -> Iterator[tuple[str, pieces.Arrays]]:
        config, model = load(MODELS)
        start_from = fine_tune.encoders(config, model.encoder, settings, seed)
        threads = runtime.side_by_side(runtime.load(), device)
        how = config.signal, settings, seed, device, threads
        tuning = fine_tune.FineTuning(start_from, STORE, *how)
        for one in tuning.train([jobs[name] for name in names]):
            yield one.job.name, one.arrays

    with pieces.dealt("fine_tune", [settings, seed], inputs, sizes, work) as made:
        if made is not None:
            fresh_directory(OUT)
            write(cohorts, [fine_tune.Trained.of(jobs[name], made[name]) for name in jobs])


def write(cohorts: Sequence[Cohort], trained: Sequence[fine_tune.Trained]) -> None:
    """Scores and metrics."""
    settings, statistics = params.load("fine_tune", FineTune), params.load("statistics", Statistics)
    table: dict[str, dict[str, object]] = {}
    rows: list[list[object]] = []
    for ratio in settings.ratios:
        found: dict[Start, metric_rows.Evaluations] = {}
        for start in settings.starts:
            by_seed = []
            for number in range(settings.seeds):
                scores = fine_tune.by_task(cohorts, trained, settings, ratio, number, start)
                by_seed.append(metric_rows.evaluate(scores, statistics, params.seed()))
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


if __name__ == "__main__":
    with clear_errors("fine_tune"):
        main()
