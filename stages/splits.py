"""Stage splits: records, split and labels of the tasks (Table 3), and what is in them."""

from pathlib import Path

from kmerl import params
from kmerl.errors import clear_errors
from kmerl.files import fresh_directory, write_csv, write_json
from kmerl.tasks import data_report, of_run
from kmerl.tasks.classes import TASKS
from kmerl.tasks.merl_splits import CELL_COLUMNS
from kmerl.tasks.simulated import simulated
from kmerl.tasks.splits import MISSING_COLUMNS, Splits, check_own, read_task

INGESTED, STORE = Path("metrics/ingest"), Path("data/ecg")
OUT = "data/splits"


def main() -> None:
    settings = params.load("splits", Splits)
    corpora = params.read()["corpora"]
    for corpus in corpora:
        if not (INGESTED / f"{corpus}.json").exists():
            raise FileNotFoundError(
                f"corpora.{corpus} is not ingested: `ingest` of dvc.yaml has a line for each "
                f"corpus, `{corpus}: ${{corpora.{corpus}}}`; run `dvc repro ingest@{corpus}`"
            )
    not_real, named = simulated(corpora), of_run.read(Path("data/tasks.json"))
    if not named:
        raise params.ParamsError(
            "corpora has no corpus with tasks, so that nothing can be measured: add "
            f"{', '.join(sorted({*TASKS.values()}))}, or `tasks` to a table of your own"
        )
    tasks = [read_task(STORE, task, settings, not_real) for task in named]
    cohorts = [found.cohort for found in tasks]
    for cohort in cohorts:
        if cohort.task not in TASKS:
            place = corpora[cohort.corpus]
            check_own(cohort, Path(place["root"], place["manifest"]))
    entries = data_report.corpora_report(INGESTED, STORE, sorted(corpora), cohorts)
    report = {found.cohort.task: data_report.task_report(found) for found in tasks}
    out = fresh_directory(OUT)
    for cohort in cohorts:
        cohort.write(out)
    cells = [cell for found in tasks if found.merl for cell in found.merl.cells()]
    write_csv(out / "differences.csv", CELL_COLUMNS, cells)
    missing = [row for found in tasks for row in found.missing]
    write_csv(out / "missing.csv", MISSING_COLUMNS, missing)
    write_json(out / "report.json", report)
    write_json("metrics/ingest.json", entries)
    write_csv("plots/classes.csv", data_report.CLASS_COLUMNS, data_report.class_rows(cohorts))


if __name__ == "__main__":
    with clear_errors("splits"):
        main()
