"""Tables of this run: every score with its interval and what stands behind it, and its counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from typing import Any

from kmerl.evaluation.metric_files import flat
from kmerl.files import read_yaml
from kmerl.leads import parse_leads
from kmerl.report.grid import NONE, NOT_RUN, Cell, Column, Grid, Group, Row
from kmerl.tasks.classes import in_order as tasks_in_order

Metrics = Mapping[str, Any]

WORDS: dict[str, Any] = read_yaml(resources.files("kmerl.report") / "run.yaml")
LEAD_COLUMNS = {"12 leads": "12", "I and II": "I+II", "I alone": "1"}
CLASS_WORDS = ("task", "leads", "code", "name")
FEW = 5
"""Fewer positives than this say nothing about a class; its scores are marked."""
NO_RECORDS = Cell(text="no records")


def task_title(task: str) -> str:
    """What the page calls a task; one's own by its name."""
    return str(WORDS["tasks"].get(task, task.replace("_", " ")))


def corpus_title(corpus: str) -> str:
    return str(WORDS["corpora"].get(corpus, corpus))


def in_order(tasks: Iterable[str]) -> list[str]:
    """The tasks that were measured, "average" last."""
    named = set(tasks)
    return [*tasks_in_order(named - {"average"}), *sorted(named & {"average"})]


def count(value: int | None) -> Cell:
    """A whole number with its thousands apart."""
    return Cell(text=NONE) if value is None else Cell(value, decimals=0)


def score(row: Metrics | None, metric: str = "auroc", paper: float | None = None) -> Cell:
    """A metric with its interval, or why it has none.

    Args:
        paper: the paper's value, in per cent.
    """
    printed = None if paper is None else paper / 100
    if row is None or not row["records"]:
        return replace(NO_RECORDS, paper=printed)
    if row.get(metric) is None:
        return Cell(text="not defined" if metric in row else NOT_RUN, paper=printed)
    return Cell(row[metric], row[f"{metric}_lo"], row[f"{metric}_hi"], paper=printed)


def by_leads(results: Mapping[str, Metrics], leads: str) -> Metrics | None:
    """The result under a lead set, whatever its key is spelled like ("2", "I+II")."""
    wanted = parse_leads(leads)
    return next((row for key, row in results.items() if parse_leads(key) == wanted), None)


def by_columns(results: Mapping[str, Metrics]) -> dict[str, Metrics | None]:
    """The results under the lead sets of `LEAD_COLUMNS`, by their titles."""
    return {title: by_leads(results, leads) for title, leads in LEAD_COLUMNS.items()}


def zero_shot(metrics: Metrics, printed: Mapping[str, float]) -> Grid:
    """Zero-shot classification by full class names (Sec. 4.2), a row a task, the mean last.

    Args:
        printed: the paper's values by metric, in per cent (`Catalogue.printed`).
    """
    rows = {}
    for task in in_order(metrics):
        sets = by_columns(metrics[task])
        cells = _cells("zero_shot", sets, printed, task=task)
        rows[task] = [Row(task_title(task), [*cells, *_behind(sets["12 leads"])])]
    return _grid("zero_shot", _with_mean(rows))


def linear_probe(metrics: Metrics, printed: Mapping[str, float]) -> Grid:
    """Linear probes at 1, 10 and 100 % of the training records (Table 1), a group a task.

    Args:
        printed: the paper's values by metric, in per cent (`Catalogue.printed`).
    """
    groups = []
    for task in in_order(metrics):
        by_ratio = {ratio: by_columns(results) for ratio, results in _by_ratio(metrics[task])}
        rows = [
            Row(f"{ratio} %", _cells("linear_probe", sets, printed, task=task, ratio=ratio))
            for ratio, sets in by_ratio.items()
        ]
        behind = _behind_in_words([*by_ratio.values()][-1]["12 leads"])
        groups.append(Group(rows, task_title(task), behind, total=task == "average"))
    return _grid("linear_probe", groups)


def fine_tune(metrics: Metrics) -> Grid:
    """All weights trained on a task, beside the same network from random weights."""
    rows: dict[str, list[Row]] = {task: [] for task in in_order(metrics)}
    for task, same in rows.items():
        for ratio, by_key in _by_ratio(metrics[task]):
            for leads, row in by_key.items():
                words = [Cell(text=f"{ratio} %"), Cell(text=" ".join(parse_leads(leads)))]
                cells = _cells("fine_tune", {"12 leads": row})
                same.append(Row(task_title(task), [*words, *cells]))
    return _grid("fine_tune", _with_mean(rows))


def lead_sets(metrics: Metrics, ratio: int) -> Grid:
    """Named sets of leads under both protocols, and what they cost against all twelve leads.

    Args:
        metrics: metrics/partial_leads.json.
        ratio: per cent of the training records behind the probe.
    """
    named = {key: parse_leads(key) for key in metrics["zero_shot"] if not key.isdigit()}
    shown = sorted((len(leads), key, leads) for key, leads in named.items() if ":" not in key)
    rows = []
    for _, key, leads in shown:
        found = {protocol: metrics[protocol][key] for protocol in ("zero_shot", "linear_probe")}
        known = {p: {**row, "records": row["auroc"] is not None} for p, row in found.items()}
        rows.append(Row(" ".join(leads), _cells("lead_sets", known)))
    return _grid("lead_sets", [Group(rows)], ratio=ratio)


def classes(rows: Iterable[Mapping[str, str]]) -> dict[str, Grid]:
    """A table a task, by its title, from plots/zero_shot_classes.csv: each class under the three
    lead sets, the commonest first."""
    tasks: dict[str, dict[str, dict[str, dict[str, float | None]]]] = {}
    for row in rows:
        numbers = {k: float(v) if v else None for k, v in row.items() if k not in CLASS_WORDS}
        tasks.setdefault(row["task"], {}).setdefault(row["name"], {})[row["leads"]] = numbers
    found = {}
    for task in in_order(tasks):
        whole = [_class_row(name, results) for name, results in tasks[task].items()]
        whole.sort(key=lambda row: (-(row.cells[0].value or 0), row.label))
        found[task_title(task)] = _grid("classes", [Group(whole)], task=task_title(task))
    return found


def seen_unseen(metrics: Metrics) -> Grid:
    """Classes whose name is close to a mined entity, and the others (Sec. 4.3, Fig. 5)."""
    rows = [
        Row(
            f"{group.capitalize()} in pretraining",
            _cells("seen_unseen", {"12 leads": {**row, "records": row["scored"]}}),
        )
        for group, row in sorted(metrics.items())
    ]
    return _grid("seen_unseen", [Group(rows)])


def ingest(metrics: Metrics) -> Grid:
    """Records of each corpus: kept, patients, splits, left out."""
    rows = [
        Row(corpus_title(corpus), _cells("ingest", {"12 leads": metrics[corpus]}))
        for corpus in _corpora(metrics)
    ]
    return _grid("ingest", [Group(rows)])


def rejections(metrics: Metrics) -> Grid:
    """Records left out, by corpus and reason; only reasons that occur."""
    groups = []
    for corpus in _corpora(metrics):
        rows = [
            Row(key.removeprefix("rejected_").replace("_", " ").replace("nan", "NaN"), [count(n)])
            for key, n in sorted(metrics[corpus].items())
            if key.startswith("rejected_") and n
        ]
        groups += [Group(rows, corpus_title(corpus))] if rows else []
    return _grid("rejections", groups)


def counts(metrics: Metrics, caption: str, beside: Mapping[str, int] | None = None) -> Grid:
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
    return _grid("counts", [Group(rows)], caption=caption)


def _grid(name: str, groups: Sequence[Group], **words: Any) -> Grid:
    """The table of this name in run.yaml; `words` stand in place of their names in braces."""
    table = WORDS["tables"][name]
    columns = [Column(c["title"].format(**words), words="words" in c) for c in table["columns"]]
    caption, note = table["caption"].format(**words), table.get("note", "")
    return Grid(caption, columns, groups, note, first=table["first"])


def _cells(
    name: str,
    results: Mapping[str, Metrics | None],
    printed: Mapping[str, float] | None = None,
    **of: str,
) -> list[Cell]:
    """The scores and counts of a row of the table of this name in run.yaml."""
    cells = []
    for column in WORDS["tables"][name]["columns"]:
        row = results.get(column.get("of", "12 leads"))
        if "count" in column:
            cells.append(count((row or {}).get(column["count"])))
        elif "score" in column:
            metrics = [column["score"]] if isinstance(column["score"], str) else column["score"]
            metric = next((one for one in metrics if one in (row or {})), metrics[-1])
            paper = (printed or {}).get(column.get("paper", "").format(**of))
            cells.append(score(row, metric, paper))
    return cells


def _corpora(metrics: Metrics) -> list[str]:
    """Those with an official layout in the order of the page's words, then others by name."""
    known = [corpus for corpus in WORDS["corpora"] if corpus in metrics]
    return [*known, *sorted(metrics.keys() - set(known))]


def _by_ratio(results: Metrics) -> list[tuple[str, Metrics]]:
    return sorted(results.items(), key=lambda item: int(item[0]))


def _with_mean(rows: dict[str, list[Row]]) -> list[Group]:
    """The rows of the tasks, and below them those of the mean."""
    mean = rows.pop("average", [])
    return [Group([row for same in rows.values() for row in same]), Group(mean, total=True)]


def _behind(row: Metrics | None) -> list[Cell]:
    """The records, the classes with positives, and the positives of the rarest of them."""
    if row is None or not row["records"]:
        return [NO_RECORDS, Cell(), Cell()]
    return [count(row[key]) for key in ("records", "classes", "positives_min")]


def _behind_in_words(row: Metrics | None) -> str:
    if row is None or not row["records"]:
        return "no records"
    rarest = "" if row["positives_min"] is None else f", {row['positives_min']} in the rarest"
    return f"{row['records']:,} test records, {row['classes']} classes with positives{rarest}"


def _class_row(name: str, results: Mapping[str, Mapping[str, float | None]]) -> Row:
    sets = by_columns(results)
    full = sets["12 leads"] or {"positives": 0, "records": 0}
    positives = int(full["positives"] or 0)
    cells = _cells("classes", sets | {"12 leads": {**full, "positives": positives}})
    return Row(name, cells, "few" if 0 < positives < FEW else "")
