"""Tables as JSON: each with what was measured on what, and the rows that the CSV has."""

import json
from collections.abc import Sequence

from kmerl.report.grid import Grid
from kmerl.report.writers.csv import rows


def as_json(grids: Sequence[Grid]) -> str:
    tables = [
        {
            "table": grid.name,
            "caption": grid.caption,
            "source": grid.source,
            "measured": grid.measured,
            "remarks": list(grid.remarks),
            "rows": rows(grid),
        }
        for grid in grids
    ]
    return json.dumps(tables, indent=1, ensure_ascii=False) + "\n"
