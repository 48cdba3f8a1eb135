"""Tables as long CSV, a line a cell, and as JSON: each with what was measured on what."""

import csv
import io
import json
from collections.abc import Sequence

from kmerl.report.grid import Grid

COLUMNS = (
    "table", "row", "experiment", "column", "paper", "ours", "lo", "hi", "sd", "seeds", "scale",
    "commit", "words", "absent",
)  # fmt: skip


def as_csv(grids: Sequence[Grid]) -> str:
    """The cells of all tables below one header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for grid in grids:
        writer.writerows(_records(grid))
    return text.getvalue()


def as_json(grids: Sequence[Grid]) -> str:
    """A list of tables; their `rows` are those that the CSV has."""
    tables = [
        {
            "table": grid.name,
            "caption": grid.caption,
            "source": grid.source,
            "measured": grid.measured,
            "remarks": list(grid.remarks),
            "rows": _records(grid),
        }
        for grid in grids
    ]
    return json.dumps(tables, indent=1, ensure_ascii=False) + "\n"


def _records(grid: Grid) -> list[dict[str, str | float | None]]:
    """A cell each by `COLUMNS`: numbers, in per cent where they are AUROC, None where unknown."""
    records = []
    for row in grid.rows:
        behind, commits = row.behind, " ".join(row.behind.commits)
        last = (behind.scale, commits, behind.words, behind.absent)
        for column, cell in zip(grid.columns, row.cells, strict=True):
            ours: list[float | str | None] = [
                v if v is None else round(v, 2) for v in (cell.value, cell.lo, cell.hi, cell.sd)
            ]
            if column.words:
                ours[0] = cell.text
            first = (grid.name, row.label, behind.experiment, column.name, cell.paper)
            records.append(dict(zip(COLUMNS, (*first, *ours, cell.seeds, *last), strict=True)))
    return records
