"""CSV files for people and for `dvc plots`: four significant digits, nothing where undefined."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from kmerl.files import rounded, write_text


def write_csv(path: Path | str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A header and rows, in the order given."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rounded(list(row)) for row in rows)
    write_text(path, text.getvalue())
