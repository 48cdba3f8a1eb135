"""Stage catalogue: records, patients, splits and labels of every corpus (Table 3)."""

from pathlib import Path

from kmerl.corpora.classes import TASKS
from kmerl.evaluation import catalogue
from kmerl.evaluation.cohort import read_cohort
from kmerl.files import write_csv, write_json

INGESTED, STORE = Path("metrics/ingest"), Path("data/ecg")


def main() -> None:
    corpora = sorted(path.stem for path in INGESTED.glob("*.json"))
    cohorts = [read_cohort(STORE, task) for task in TASKS]
    write_json("metrics/ingest.json", catalogue.catalogue(INGESTED, STORE, corpora, cohorts))
    write_csv("plots/classes.csv", catalogue.CLASS_COLUMNS, catalogue.class_rows(cohorts))


if __name__ == "__main__":
    main()
