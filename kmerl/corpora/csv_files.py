"""A corpus's CSV files: a line of the file is a row, and a bad line costs itself alone.

None of the official files has a field with a newline in it. So lines are counted apart from the
parser, and where it finds another number of rows (a quote that does not close swallows what
follows) every line is judged by itself.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from kmerl.corpora.records import CorpusError, Rejection

ANY = ""
RECORD = r"^[A-Za-z]{0,2}[0-9]{1,18}$"
NUMBER = r"^\s*[0-9]{1,18}\s*$"
NUMBER_OR_NONE = r"^([0-9]{1,18}(\.0)?)?$"
CODE = r"^[A-Za-z0-9_./()-]{1,32}$"
CODE_OR_NONE = r"^[A-Za-z0-9_./()-]{0,32}$"
PATH = r"^[A-Za-z0-9_./-]{1,500}$"
"""What a column may hold: no report's text where a record's name, a path or a fold is expected,
for those are shown in what is said of a row."""
LONGEST_LINE = 1 << 16  # bytes; the official files have none above some thousand


@dataclass(frozen=True)
class Rows:
    """The rows of a file and what it lists: a row or a rejection for each line with text in it.

    `table` has the named columns as strings (empty for missing), `lines` the line of each row;
    `rejected` has the record where a line still tells it.
    """

    table: pa.Table
    lines: Sequence[int]
    rejected: list[Rejection]
    listed: int


def read_rows(path: Path, columns: Mapping[str, str]) -> Rows:
    """The named columns of a CSV file.

    Args:
        columns: {column: pattern that every value of it must match}; the first one has the
            record's name.

    Raises:
        CorpusError: it cannot be read, a column is missing or there twice, no line is a row.
    """
    try:
        raw = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from None
    names = _header(path, raw.split(b"\n", 1)[0], columns)
    numbers = [number for number, _ in _lines(raw)]
    faults: dict[int, str] = {}
    table = _parse(raw.partition(b"\n")[2], names, columns)
    if table is None or len(table) != len(numbers) or not _is_plain(raw):
        faults = {n: fault for n, line in _lines(raw) if (fault := _fault(line, names, columns))}
        whole = b"".join(line.rstrip(b"\r\n") + b"\n" for n, line in _lines(raw) if n not in faults)
        table = _parse(whole, names, columns)
    lines = [number for number in numbers if number not in faults]
    if table is None or len(table) != len(lines):
        raise CorpusError(f"{path} cannot be read as UTF-8 CSV; restore the corpus's official file")
    fitting = _fitting(table, lines, columns, faults)
    named = _named(table, lines, columns, faults)
    if faults and len(faults) == len(numbers):
        first = min(faults)
        raise CorpusError(
            f"{path} has no row that can be read, first line {first}: {faults[first]}; restore the "
            f"corpus's official file"
        )
    table, lines = table.filter(fitting), [n for n in lines if n not in faults]
    return Rows(
        table, lines, _rejections(path, raw, names, table, columns, faults, named), len(numbers)
    )


def read_codes(path: Path, columns: Mapping[str, str]) -> list[dict[str, str]]:
    """The rows of a file that says what codes mean, of which none may be missing or there twice:
    a bad line would change the labels of many records.

    Raises:
        CorpusError: as `read_rows`, or a line is no row, or two are of one code.
    """
    rows = read_rows(path, columns)
    found = [{name: cell.strip() for name, cell in row.items()} for row in rows.table.to_pylist()]
    codes = [row[next(iter(columns))] for row in found]
    twice = [rows.lines[k] for k, code in enumerate(codes) if code in codes[:k]]
    wrong = [one.detail for one in rows.rejected] or [f"{path.name} line {n} again" for n in twice]
    if wrong:
        raise CorpusError(
            f"{path} gives codes their meaning; {wrong[0]}; restore the official file"
        )
    return found


def _header(path: Path, line: bytes, columns: Mapping[str, str]) -> list[str]:
    """The names of the file's columns."""
    try:
        names = next(csv.reader([line.decode().rstrip("\r")], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        raise CorpusError(
            f"{path} cannot be read as UTF-8 CSV: its first line is none; restore the corpus's "
            f"official file"
        ) from None
    wrong = {"no": [name for name in columns if name not in names]}
    wrong["twice the"] = [name for name in columns if names.count(name) > 1]
    for what, those in wrong.items():
        if those:
            raise CorpusError(
                f"{path} has {what} column {', '.join(map(repr, those))}; it has "
                f"{', '.join(map(repr, names)) or 'none'}. Restore the corpus's official file"
            )
    return names


def _lines(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines below the first with text in them, and their numbers in the file."""
    for number, line in enumerate(io.BytesIO(raw), 1):
        if number > 1 and not line.isspace():
            yield number, line


def _is_plain(raw: bytes) -> bool:
    """Whether there are no zeros, no carriage returns that end no line and no long lines, all of
    which pyarrow takes."""
    odd = b"\0" in raw or raw.count(b"\r") != raw.count(b"\r\n")
    return not odd and max(map(len, io.BytesIO(raw)), default=0) <= LONGEST_LINE


def _parse(body: bytes, names: list[str], columns: Mapping[str, str]) -> pa.Table | None:
    """The named columns as strings; None where a row has too few fields or too many."""
    layout = pa.schema([(name, pa.string()) for name in columns])
    if not body.strip():
        return layout.empty_table()
    kinds = {name: pa.string() for name in columns}
    convert = arrow_csv.ConvertOptions(
        include_columns=list(columns), column_types=kinds, strings_can_be_null=False
    )
    read = arrow_csv.ReadOptions(column_names=names)
    try:
        return arrow_csv.read_csv(pa.BufferReader(body), read, convert_options=convert)
    except pa.ArrowInvalid:
        return None


def _fault(line: bytes, names: list[str], columns: Mapping[str, str]) -> str:
    """Why a line is no row; empty where it is one. No word of the line is in it."""
    text = line.decode(errors="surrogateescape").removesuffix("\n").removesuffix("\r")
    if len(line) > LONGEST_LINE:
        return f"{len(line)} bytes"
    if "\0" in text or "\r" in text:
        return "a zero byte or a carriage return"
    fields, *below = csv.reader([text + "\n", "below"])  # as lenient as pyarrow is
    if not below:
        return "a quote that does not close"
    if len(fields) != len(names):
        return f"{len(fields)} of {len(names)} columns"
    try:
        "".join(fields[names.index(name)] for name in columns).encode()
    except UnicodeEncodeError:
        return "no UTF-8"
    return ""


def _fitting(
    table: pa.Table, lines: Sequence[int], columns: Mapping[str, str], faults: dict[int, str]
) -> pa.Array:
    """Whether each row holds what its columns may; the others become `faults` of their line."""
    fitting = pa.array([True] * len(table), pa.bool_())
    for name, pattern in columns.items():
        if pattern:
            good = pa.chunked_array(pc.match_substring_regex(table[name], pattern), pa.bool_())
            fitting = pc.and_(fitting, good.combine_chunks())
            for row in pc.indices_nonzero(pc.invert(good)).to_pylist():
                faults.setdefault(lines[row], f"column {name!r} holds what it may not")
    return fitting


def _named(
    table: pa.Table, lines: Sequence[int], columns: Mapping[str, str], faults: Mapping[int, str]
) -> dict[int, str]:
    """The record of each line that is a row, and at fault for a column that does not name it."""
    key, pattern = next(iter(columns.items()))
    rows = [row for row, line in enumerate(lines) if line in faults] if faults else []
    records = {
        lines[row]: record
        for row, record in zip(
            rows, table[key].take(pa.array(rows, pa.int64())).to_pylist(), strict=True
        )
    }
    return {
        line: record for line, record in records.items() if pattern and re.match(pattern, record)
    }


def _rejections(
    path: Path,
    raw: bytes,
    names: list[str],
    table: pa.Table,
    columns: Mapping[str, str],
    faults: Mapping[int, str],
    named: Mapping[int, str],
) -> list[Rejection]:
    """One for each fault. A torn line, which is not `named`, tells its record where that looks like
    one; neither does where another row has the name."""
    if not faults:
        return []
    key = next(iter(columns))
    place, known = names.index(key), set(table[key].to_pylist())
    torn = {n: line.split(b",")[place : place + 1] for n, line in _lines(raw) if n in faults}
    found = []
    for number, fault in faults.items():
        record = b"".join(torn[number]).strip(b'" \r\n').decode(errors="replace")
        told = named.get(number, record if re.match(RECORD, record) else "")
        told = "" if told in known else told
        found.append(Rejection(told, "unreadable_row", f"{path.name} line {number}: {fault}"))
    return found
