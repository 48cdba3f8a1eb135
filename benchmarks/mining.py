"""Mining on real text, measured.

`python -m benchmarks.mining --reports CSV` scores PTB-XL reports against their expert codes,
`--statements CSV` counts statements with every clinical phrase recognised; both print JSON.
"""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from kmerl.evaluation.bootstrap import draw_patients, interval
from kmerl.files import rounded
from kmerl.knowledge.backend import Backend, Coverage
from kmerl.knowledge.mining import open_backend
from kmerl.knowledge.quality import (
    NAMED_LANGUAGES,
    Scored,
    code_table,
    coverage,
    measure,
    read_reports,
    scores,
)
from kmerl.seeds import generator

REPLICATES, LEVEL = 1000, 0.95


def main(
    reports: Annotated[
        Path | None, typer.Option(help="CSV: report, scp_codes, strat_fold, patient_id")
    ] = None,
    statements: Annotated[Path | None, typer.Option(help="CSV: statement, n_records")] = None,
    backend: Annotated[str, typer.Option(help="mining backend")] = "lexicon",
    hedged: Annotated[str, typer.Option(help="positive | drop: hedged findings")] = "positive",
    answers: Annotated[Path, typer.Option(help="where an LLM's answers are kept")] = Path(
        ".checkpoints/answers"
    ),
    held_out: Annotated[str, typer.Option(help="folds kept apart from tuning")] = "7,8",
) -> None:
    """Mining quality as one JSON document on standard output."""
    with open_backend(backend, answers) as miner:
        result = _measured(
            miner, reports, statements, hedged, {int(f) for f in held_out.split(",")}
        )
    json.dump(rounded(result), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


def _measured(
    miner: Backend, reports: Path | None, statements: Path | None, hedged: str, folds: set[int]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if reports is not None:
        scored = read_reports(reports, miner, hedged)
        with reports.open(encoding="utf-8", newline="") as file:
            patients = [row["patient_id"] for row in csv.DictReader(file)]
        for part, held in (("tuning", False), ("held_out", True)):
            rows = [i for i, report in enumerate(scored) if (report.fold in folds) is held]
            result[part] = measure([scored[i] for i in rows])
            result[part]["micro_f1_intervals"] = intervals(
                [scored[i] for i in rows], [patients[i] for i in rows]
            )
    if statements is not None:
        with statements.open(encoding="utf-8", newline="") as file:
            counts = {row["statement"]: int(row["n_records"]) for row in csv.DictReader(file)}
        if not isinstance(miner, Coverage):
            raise typer.BadParameter("only the lexicon can say what it did not understand")
        result["statements"] = coverage(counts, miner)
    return result


def intervals(reports: Sequence[Scored], patients: Sequence[str]) -> dict[str, Any]:
    """The bootstrap interval of micro F1 over all reports and those of each language.

    Args:
        patients: whose report each one is; patients are drawn, not reports.
    """
    findings = code_table().findings
    each = [scores([report], findings)["micro"] for report in reports]
    counts = np.array([(2 * one["hits"], one["extra"] + one["missed"]) for one in each])
    found = {}
    for name in ("all", *NAMED_LANGUAGES):
        part = [
            i
            for i, report in enumerate(reports)
            if report.written and name in ("all", report.language)
        ]
        drawn = draw_patients([patients[i] for i in part], REPLICATES, generator(0, "mining", name))
        right, wrong = (drawn.T @ counts[part]).T
        found[name] = interval(right / (right + wrong), LEVEL)
    return found


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
