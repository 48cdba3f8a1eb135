"""CSV and its kin: leads in columns, under a header or none, behind lines that say other things.

Commas, semicolons, tabs or blanks between fields; decimal points or commas. Exports of an Apple
Watch are one column under lines of "key,value" in the language of the telephone: a rate is told by
its hertz, a unit by its volts, a lead by its name.
"""

import csv
import io
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from kmerl.recordings import columns, names
from kmerl.recordings.headers import microvolts
from kmerl.recordings.recording import Contents, RecordError, Told, when
from kmerl.recordings.samples import MOST_VALUES

MOST_BYTES = 2**27
LONGEST_PREAMBLE = 100  # lines
NO_TABLE = "no CSV file of numbers"
_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*$")
_NONE = ("", "-", "nan", "na", "n/a", "null", "none")
_CLOCK = re.compile(r"\s*'?(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)'?\s*$")
_HERTZ = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:hz|hertz|sps)\b", re.IGNORECASE)
_STAMPS = ("%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")


class Layout(NamedTuple):
    """How a text is a table: what separates fields, the line on which numbers begin."""

    mark: str
    first: int
    fields: int


def read(content: bytes, told: Told) -> Contents:
    """The columns of numbers.

    Raises:
        RecordError: there are none, or a cell holds something else.
    """
    if len(content) > MOST_BYTES:
        raise RecordError(f"above {MOST_BYTES} bytes; cut out the part to be read")
    lines = _decoded(content).splitlines()
    layout = _layout(lines)
    above = [_fields(line, layout.mark) for line in lines[: layout.first]]
    header, units, preamble = _header(above, layout)
    table = _numbers(lines[layout.first :], layout)
    rate, unit, lead, date = _said(preamble)
    if header is None and layout.fields == 1 and lead:
        header = [lead]
    named = header is not None
    found = header or [str(k + 1) for k in range(layout.fields)]
    units = [own or (unit if not columns.TIME.match(name) else "")
             for own, name in zip(units, found, strict=True)]  # fmt: skip
    said = Told(told.rate or rate, told.unit, told.channels, told.leads, told.derive)
    if rate and told.rate and told.rate != rate:
        raise RecordError(f"it says {rate:g} Hz, --rate says {told.rate:g}; leave out --rate")
    made = columns.contents(found, table, units, said, named)
    return Contents(made.channels, named, made.notes, made.left_out, date=date)


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _fields(line: str, mark: str) -> list[str]:
    if mark == " ":
        return line.split()
    return next(csv.reader([line], delimiter=mark), [])


def _layout(lines: Sequence[str]) -> Layout:
    """The separator with which most lines are numbers, and where they begin.

    Raises:
        RecordError: none.
    """
    some = [(n, line) for n, line in enumerate(lines[: LONGEST_PREAMBLE + 40]) if line.strip()]
    best = Layout(",", 0, 0)
    longest = 0
    for mark in (",", ";", "\t", " "):
        first, width, length = 0, 0, 0  # of the rows so far that are numbers, without a break
        for n, line in some:
            fields = _fields(line, mark)
            fields = fields[:-1] if len(fields) > 1 and not fields[-1] else fields
            if not _is_row(fields):
                length = 0
                continue
            if not length or len(fields) != width:
                first, width, length = n, len(fields), 0
            length += 1
            if (length, width) > (longest, best.fields):
                best, longest = Layout(mark, first, width), length
    if not longest or best.first > LONGEST_PREAMBLE:
        raise RecordError(f"{NO_TABLE}: no line of its first {LONGEST_PREAMBLE} is a row of them")
    return best


def _is_row(fields: Sequence[str]) -> bool:
    kinds = [bool(_NUMBER.match(field)) for field in fields]
    others = [f for f, number in zip(fields, kinds, strict=True) if not number]
    return any(kinds) and all(f.strip().lower() in _NONE or _is_time(f) for f in others)


def _is_time(field: str) -> bool:
    return bool(_CLOCK.match(field)) or bool(re.match(r"\s*\d{4}-\d\d-\d\d[ T]\d\d:\d\d", field))


def _header(
    above: list[list[str]], layout: Layout
) -> tuple[list[str] | None, list[str], list[list[str]]]:
    """Names and units of the columns, and the lines above them."""
    rows = [[cell.strip().strip("'\"") for cell in row] for row in above]
    rows = [row[:-1] if row[-1:] == [""] and len(row) == layout.fields + 1 else row for row in rows]
    units = [""] * layout.fields
    while rows and not any(rows[-1]):
        rows.pop()
    if len(rows) > 1 and len(rows[-1]) == len(rows[-2]) == layout.fields and _are_units(rows[-1]):
        units = [("s" if ":" in cell else cell) for cell in rows.pop()]
    if not rows or len(rows[-1]) != layout.fields:
        return None, units, rows
    if layout.fields == 1 and not (names.named(rows[-1][0]) or len(rows) == 1):
        return None, units, rows
    return rows.pop(), units, rows


def _are_units(row: Sequence[str]) -> bool:
    return any(microvolts(cell) is not None for cell in row if cell.upper() != "V" or len(row) == 1)


def _numbers(lines: Sequence[str], layout: Layout) -> list[np.ndarray]:
    """The columns, as float64 or datetime64.

    Raises:
        RecordError: a row has another number of fields, or a cell that is no number.
    """
    import pandas as pd  # slow to import

    if len(lines) * layout.fields > MOST_VALUES:
        raise RecordError(f"{len(lines)} rows of {layout.fields}; at most {MOST_VALUES} values")
    mark = r"\s+" if layout.mark == " " else layout.mark
    body = io.StringIO("\n".join(line for line in lines if line.strip()))
    plain: dict[str, Any] = {"dtype": np.float64, "na_filter": False}
    try:  # nearly all files are numbers alone
        table = pd.read_csv(body, sep=mark, header=None, skipinitialspace=True, **plain)
        if table.shape[1] == layout.fields and np.isfinite(numbers := table.to_numpy()).all():
            return list(numbers.T.copy())
    except ValueError:
        pass  # what else there is, is found cell by cell
    body.seek(0)
    try:
        table = pd.read_csv(body, sep=mark, header=None, dtype=str, keep_default_na=False,
                            skipinitialspace=True)  # fmt: skip
    except ValueError as error:  # its words count fields, and quote none
        raise RecordError(f"{NO_TABLE}: {' '.join(str(error).split())}") from None
    found = [table.iloc[:, k] for k in range(table.shape[1])]
    if len(found) == layout.fields + 1 and (found[-1].fillna("").str.strip() == "").all():
        found.pop()  # a separator at the end of each line
    if len(found) != layout.fields:
        raise RecordError(f"{NO_TABLE}: rows of {layout.fields} fields and of {len(found)}")
    return [_column(place, column) for place, column in enumerate(found, 1)]


def _column(place: int, cells: "object") -> np.ndarray:
    import pandas as pd

    assert isinstance(cells, pd.Series)
    text = cells.fillna("").str.strip()
    text = text.where(~text.str.lower().isin(_NONE), "nan")
    plain = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    bad = np.isnan(plain) & (text != "nan").to_numpy()
    if bad.any():
        first = text[bad].iloc[0]
        if _CLOCK.match(first):
            return _clock(text)
        if _is_time(first):
            return pd.to_datetime(text, format="ISO8601", utc=True).dt.tz_localize(None).to_numpy()
        commas = pd.to_numeric(text.str.replace(",", "."), errors="coerce").to_numpy(np.float64)
        worse = np.isnan(commas) & (text != "nan").to_numpy()
        if worse.any():
            row = int(np.flatnonzero(worse)[0]) + 1
            raise RecordError(f"{NO_TABLE}: row {row} of column {place} is none")
        plain = commas
    if np.isinf(plain).any():
        row = int(np.flatnonzero(np.isinf(plain))[0]) + 1
        raise RecordError(f"{NO_TABLE}: row {row} of column {place} is beyond any number")
    return plain


def _clock(text: "object") -> np.ndarray:
    """Seconds of times such as 1:02:03.004."""
    import pandas as pd

    assert isinstance(text, pd.Series)
    parts = text.str.extract(_CLOCK).fillna("0")
    seconds = [parts[k].str.replace(",", ".").astype(np.float64) for k in range(3)]
    return (seconds[0] * 3600 + seconds[1] * 60 + seconds[2]).to_numpy()


def _said(preamble: Sequence[Sequence[str]]) -> tuple[float, str, str, datetime | None]:
    """Rate, unit, lead and date, as far as the lines above the numbers say them."""
    rate, unit, lead, date = 0.0, "", "", None
    for row in preamble:
        cells = [part.strip() for cell in row for part in re.split(r":\s|[=]", cell, maxsplit=1)]
        for key, value in pairwise(cells):
            if match := _HERTZ.search(f"{value} Hz" if _is_rate(key) else value):
                rate = float(match[1].replace(",", "."))
            elif value and microvolts(value) is not None and len(value) > 1:
                unit = value
            elif names.named(value) or names.named(value.split(" ")[-1]):
                lead = value if names.named(value) else value.split(" ")[-1]
            elif ":" in value and (found := when(value, *_STAMPS)):
                date = date or found
    return rate, unit, lead, date


def _is_rate(key: str) -> bool:
    return bool(re.search(r"sampl\w*[ _]?(rate|freq)|frequency|^fs$", key, re.IGNORECASE))
