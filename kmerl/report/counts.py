"""How much there is: tables of the records of each corpus, and of any stage's counts."""

from collections.abc import Mapping
from typing import Any

from kmerl.evaluation.metric_files import flat
from kmerl.report.tables import CORPUS_TITLES, Cell, Group, Metrics, Table, count, name


def ingest(metrics: Metrics) -> Table:
    """Records of each corpus: kept, patients, splits, left out."""
    rows = [
        [
            name(CORPUS_TITLES[corpus]),
            *(count(entry[key]) for key in INGEST_COLUMNS.values()),
        ]
        for corpus, entry in _corpora(metrics)
    ]
    return Table("Records by corpus", ("Corpus", *INGEST_COLUMNS), [Group(rows)])


INGEST_COLUMNS = {
    "Records": "records",
    "Patients": "patients",
    "Training": "records_train",
    "Validation": "records_val",
    "Test": "records_test",
    "Left out": "rejected",
}


def rejections(metrics: Metrics) -> Table:
    """Records left out, by corpus and reason; only reasons that occur."""
    groups = []
    for corpus, entry in _corpora(metrics):
        reasons = {
            key.removeprefix("rejected_"): value
            for key, value in sorted(entry.items())
            if key.startswith("rejected_") and value
        }
        rows = [
            [name(reason.replace("_", " ").replace("nan", "NaN")), count(n)]
            for reason, n in reasons.items()
        ]
        if rows:
            groups.append(Group(rows, CORPUS_TITLES[corpus]))
    return Table("Records left out, by reason", ("Reason", "Records"), groups)


def nested(metrics: Metrics, caption: str, beside: Mapping[str, int] | None = None) -> Table:
    """Nested counts as rows: the path of a key as words, its value, and the paper's where known."""
    columns = ("Count", "Value") if beside is None else ("Count", "Value", "Paper")
    rows = []
    for path, value in flat(metrics):
        row = [name(": ".join(path).replace("_", " ")), _plain(value)]
        if beside is not None:
            row.append(count(beside[path[0]]) if path[0] in beside else Cell(""))
        rows.append(row)
    return Table(caption, columns, [Group(rows)])


def _corpora(metrics: Metrics) -> list[tuple[str, Metrics]]:
    return [(corpus, metrics[corpus]) for corpus in CORPUS_TITLES if corpus in metrics]


def _plain(value: Any) -> Cell:
    if isinstance(value, int) and not isinstance(value, bool):
        return count(value)
    if isinstance(value, float):
        return Cell(f"{value:.4g}")
    return name("none" if value is None else str(value))
