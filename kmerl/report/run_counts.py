"""Tables of this run's counts: the records of each corpus, and any stage's numbers."""

from collections.abc import Mapping

from kmerl.evaluation.metric_files import flat
from kmerl.report.grid import NONE, Cell, Column, Grid, Group, Row
from kmerl.report.run_tables import CORPUS_TITLES, Metrics, count

INGESTED = {
    "Records": "records",
    "Patients": "patients",
    "Training": "records_train",
    "Validation": "records_val",
    "Test": "records_test",
    "Left out": "rejected",
}


def ingest(metrics: Metrics) -> Grid:
    """Records of each corpus: kept, patients, splits, left out."""
    rows = [
        Row(title, [count(metrics[corpus][key]) for key in INGESTED.values()])
        for corpus, title in CORPUS_TITLES.items()
        if corpus in metrics
    ]
    return Grid("Records by corpus", list(map(Column, INGESTED)), [Group(rows)], first="Corpus")


def rejections(metrics: Metrics) -> Grid:
    """Records left out, by corpus and reason; only reasons that occur."""
    groups = []
    for corpus, title in CORPUS_TITLES.items():
        rows = [
            Row(key.removeprefix("rejected_").replace("_", " ").replace("nan", "NaN"), [count(n)])
            for key, n in sorted(metrics.get(corpus, {}).items())
            if key.startswith("rejected_") and n
        ]
        groups += [Group(rows, title)] if rows else []
    return Grid("Records left out, by reason", [Column("Records")], groups, first="Reason")


def nested(metrics: Metrics, caption: str, beside: Mapping[str, int] | None = None) -> Grid:
    """Nested counts as rows: the path of a key as words, its value, and the paper's where known."""
    rows = []
    for path, value in flat(metrics):
        paper = (beside or {}).get(path[0])
        if isinstance(value, int) and not isinstance(value, bool):
            cell = Cell(value, paper=paper, decimals=0)
        else:
            text = f"{value:.4g}" if isinstance(value, float) else str(value or NONE)
            cell = Cell(text=text, paper=paper, decimals=0)
        rows.append(Row(": ".join(path).replace("_", " "), [cell]))
    return Grid(caption, [Column("Value")], [Group(rows)], first="Count")
