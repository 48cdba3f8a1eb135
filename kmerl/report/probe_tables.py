"""Tables of what labels were used for: linear probes (Table 1) and fine-tuning."""

from collections.abc import Mapping

from kmerl.leads import parse_leads
from kmerl.report.tables import (
    LEAD_COLUMNS,
    TASK_TITLES,
    Cell,
    Group,
    Metrics,
    Table,
    by_leads,
    count,
    in_order,
    lead_scores,
    name,
    paper,
    score,
)


def linear_probe(metrics: Metrics, printed: Mapping[str, float]) -> Table:
    """Linear probes at 1, 10 and 100 % of the training records (Table 1), a group a task.

    Args:
        printed: the paper's values by metric, in per cent (`Catalogue.printed`).
    """
    groups = []
    for task in in_order(metrics):
        rows = [
            [
                name(f"{ratio} %"),
                count((by_leads(leads, "12") or {}).get("train_records")),
                *lead_scores(leads),
                *(score(by_leads(leads, "12"), metric) for metric in OTHER_PROBES.values()),
                score(by_leads(leads, "12"), "f1"),
                paper(printed.get(f"linear_probe.{task}.{ratio}.12.auroc")),
            ]
            for ratio, leads in sorted(metrics[task].items(), key=lambda item: int(item[0]))
        ]
        full = by_leads(next(iter(metrics[task].values())), "12")
        groups.append(Group(rows, TASK_TITLES[task], _behind_in_words(full)))
    return Table(
        "Linear probe macro AUROC by share of the training records",
        (
            "Share", "Trained on", *LEAD_COLUMNS, *OTHER_PROBES, "F1, 12 leads", "Paper, 12 leads",
        ),
        groups,
        "A linear classifier on the frozen encoder, mean over linear_probe.seeds. Beside it, on 12 "
        "leads: weight decay chosen on validation; nearest neighbours on the same features; the "
        "same classifier on an encoder that was never trained, and how far ours is above it "
        "(paired). The paper's values are its Table 1.",
    )  # fmt: skip


OTHER_PROBES = {
    "Tuned": "auroc_tuned",
    "Neighbours": "knn_auroc",
    "Untrained encoder": "random_auroc",
    "Above untrained": "above_random",
}


def fine_tune(metrics: Metrics) -> Table:
    """All weights trained on a task, beside the same network from random weights."""
    groups = []
    for total in (False, True):
        tasks = [task for task in in_order(metrics) if (task == "average") == total]
        rows = [row for task in tasks for row in _fine_tune_rows(task, metrics[task])]
        groups.append(Group(rows, total=total))
    return Table(
        "Fine-tuning, macro AUROC",
        ("Task", "Share", "Leads", "Trained on", *FINE_TUNED),
        groups,
        "The paper has no such table; its reviewers asked for it. Both networks see the same "
        "records, batches and number of steps.",
    )


FINE_TUNED = {
    "Fine-tuned": "auroc",
    "From scratch": "scratch_auroc",
    "Above scratch": "above_scratch",
    "F1": "f1",
}


def _fine_tune_rows(task: str, results: Metrics) -> list[list[Cell]]:
    return [
        [
            name(TASK_TITLES[task]),
            name(f"{ratio} %"),
            name(" ".join(parse_leads(leads))),
            count(row["train_records"]),
            *(score(row, metric) for metric in FINE_TUNED.values()),
        ]
        for ratio, by_key in sorted(results.items(), key=lambda item: int(item[0]))
        for leads, row in by_key.items()
    ]


def _behind_in_words(row: Metrics | None) -> str:
    if row is None or not row["records"]:
        return "no records"
    rarest = "" if row["positives_min"] is None else f", {row['positives_min']} in the rarest"
    return f"{row['records']:,} test records, {row['classes']} classes with positives{rarest}"
