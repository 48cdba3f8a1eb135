"""Tables as long CSV: a line a cell."""

import csv
import io
from collections.abc import Sequence

from kmerl.report.grid import Grid

COLUMNS = (
    "table", "row", "experiment", "column", "paper", "ours", "lo", "hi", "sd", "seeds", "scale",
    "commit", "words", "absent",
)  # fmt: skip


def rows(grid: Grid) -> list[dict[str, str | float | None]]:
    """A mapping by `COLUMNS` for each row and column; numbers in per cent, None where unknown."""
    return [
        {
            "table": grid.name,
            "row": row.label,
            "experiment": row.behind.experiment,
            "column": column.name,
            "paper": cell.paper,
            "ours": _short(cell.value),
            "lo": _short(cell.lo),
            "hi": _short(cell.hi),
            "sd": _short(cell.sd),
            "seeds": cell.seeds,
            "scale": row.behind.scale,
            "commit": " ".join(row.behind.commits),
            "words": row.behind.words,
            "absent": row.behind.absent,
        }
        for row in grid.rows
        for column, cell in zip(grid.columns, row.cells, strict=True)
    ]


def as_csv(grids: Sequence[Grid]) -> str:
    """The `rows` of all tables below one header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for grid in grids:
        writer.writerows(rows(grid))
    return text.getvalue()


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
