"""A person's own table of recordings: a CSV or a Parquet file, a recording a row.

Columns by name: `path` and `patient`; where they are there `record` (else the path names the
record), `report`, `codes` (with spaces between), `split` (train, val, test), and what a file
does not say itself: `map`, which channel is which lead ("ECG1=I,ECG2=II"), `channels`, `rate`,
`unit`. Labels are columns of 1, 0 and nothing.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kmerl import recordings
from kmerl.corpora.csv_files import ANY, Rows, read_rows
from kmerl.corpora.records import CorpusError, Rejection
from kmerl.files import reading
from kmerl.recordings import Recording

NEEDED = ("path", "patient")
NAME = r"^[^\x00-\x1f\x7f]{1,500}$"
NAME_OR_NONE = r"^[^\x00-\x1f\x7f]{0,500}$"
LABEL = r"^(0|1|0\.0|1\.0|[Ff]alse|[Tt]rue|)$"
POSITIVE = ("1", "1.0", "true", "True")
FIELDS = {
    "path": NAME, "patient": NAME_OR_NONE, "record": NAME, "report": ANY, "codes": NAME_OR_NONE,
    "split": NAME_OR_NONE, "map": NAME_OR_NONE, "channels": NAME_OR_NONE,
    "rate": r"^([0-9]{1,6}(\.[0-9]+)?)?$", "unit": NAME_OR_NONE,
}  # fmt: skip


def column_names(path: Path) -> list[str]:
    """The names of a table's columns.

    Raises:
        CorpusError: it cannot be read.
    """
    try:
        if path.suffix.lower() == ".parquet":
            with reading(path, "write it again"):
                return list(pq.read_schema(path).names)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), [])
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise CorpusError(f"{path} is no UTF-8 CSV; write it again, or as .parquet") from None


def read_own(path: Path, labels: Sequence[str]) -> Rows:
    """The rows of a table: its `FIELDS` as far as it has them, `record` always, and labels.

    Raises:
        CorpusError: it cannot be read, or a column is missing.
    """
    names = column_names(path)
    if missing := [name for name in (*NEEDED, *labels) if name not in names]:
        raise CorpusError(
            f"{path} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, names)) or 'none'}"
        )
    key = "record" if "record" in names else "path"
    fields = {name: pattern for name, pattern in FIELDS.items() if name in names}
    columns = {key: fields[key], **fields, **dict.fromkeys(labels, LABEL)}
    parquet = path.suffix.lower() == ".parquet"
    rows = _parquet(path, columns) if parquet else read_rows(path, columns)
    table = rows.table
    if key == "path":
        table = table.append_column("record", table["path"])
    return Rows(table, rows.lines, rows.rejected, rows.listed)


def label_columns(path: Path) -> tuple[list[str], list[str]]:
    """The columns of a table that hold nothing but labels, and the others that are no `FIELDS`.

    Raises:
        CorpusError: it cannot be read.
    """
    names = [name for name in column_names(path) if name and name not in FIELDS]
    if not names:
        return [], []
    table = _strings(path, names)
    labels = [name for name in names if _all(table[name], LABEL) and _any(table[name])]
    return labels, [name for name in names if name not in labels]


def truth_of(values: Sequence[str]) -> list[bool | None]:
    """The labels that cells hold."""
    return [None if value == "" else value in POSITIVE for value in values]


def told(row: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a row says of its recording beside where it is."""
    return [(name, row[name]) for name in ("map", "channels", "rate", "unit") if row.get(name)]


def read_told(path: Path, said: Sequence[tuple[str, str]]) -> Recording:
    """The recording at `path`, with what its row says of it, and the leads that follow from two.

    Raises:
        RecordError: it cannot be read.
    """
    words = dict(said)
    rate = float(words["rate"]) if "rate" in words else None
    unit = words.get("unit")
    channels, named = words.get("channels", ()), words.get("map")
    return recordings.read(path, rate=rate, unit=unit, channels=channels, leads=named, derive=True)


def _strings(path: Path, names: Sequence[str]) -> pa.Table:
    columns = dict.fromkeys(names, ANY)
    if path.suffix.lower() == ".parquet":
        return _parquet(path, columns).table
    return read_rows(path, columns).table


def _all(values: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern), min_count=0).as_py())


def _any(values: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.not_equal(values, ""), min_count=0).as_py())


def _parquet(path: Path, columns: dict[str, str]) -> Rows:
    """As `read_rows` reads a CSV; what is missing is empty, a list has a space between."""
    with reading(path, "write it again"):
        raw = pq.read_table(path, columns=list(columns))
    table = pa.table({name: _text(raw[name]) for name in columns}, _schema(columns))
    fitting = pa.array([True] * len(table), pa.bool_())
    rejected = []
    for name, pattern in columns.items():
        if pattern:
            good = pc.match_substring_regex(table[name], pattern).combine_chunks()
            for row in pc.indices_nonzero(pc.and_(fitting, pc.invert(good))).to_pylist():
                detail = f"{path.name} row {row + 1}: column {name!r} holds what it may not"
                record = table[0][row].as_py()
                told = record if re.match(NAME, record) else ""
                rejected.append(Rejection(told, "unreadable_row", detail))
            fitting = pc.and_(fitting, good)
    lines = [row + 1 for row in pc.indices_nonzero(fitting).to_pylist()]
    return Rows(table.filter(fitting), lines, rejected, len(table))


def _text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        joined = [" ".join(map(str, one or [])) for one in values.to_pylist()]
        return pa.chunked_array([pa.array(joined, pa.string())])
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    return values.cast(pa.string()).fill_null("")


def _schema(columns: dict[str, str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in columns])
