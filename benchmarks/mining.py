"""Mining on real text, measured.

`python -m benchmarks.mining --reports CSV` scores PTB-XL reports against their expert codes,
`--statements CSV` counts statements with every clinical phrase recognised; both print JSON.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from kmerl.files import rounded
from kmerl.knowledge.backend import Backend, Coverage
from kmerl.knowledge.mining import open_backend
from kmerl.knowledge.quality import coverage, measure, read_reports


def main(
    reports: Annotated[Path | None, typer.Option(help="CSV: report, scp_codes, strat_fold")] = None,
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
        result["tuning"] = measure([report for report in scored if report.fold not in folds])
        result["held_out"] = measure([report for report in scored if report.fold in folds])
    if statements is not None:
        with statements.open(encoding="utf-8", newline="") as file:
            counts = {row["statement"]: int(row["n_records"]) for row in csv.DictReader(file)}
        if not isinstance(miner, Coverage):
            raise typer.BadParameter("only the lexicon can say what it did not understand")
        result["statements"] = coverage(counts, miner)
    return result


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
