"""What every corpus gives the ingest: its records, their splits, and the meaning of their codes."""

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa
from pyarrow import csv as arrow_csv

from kmerl.tasks.classes import classes

Corpus = Literal["mimic-iv-ecg", "ptb-xl", "cpsc2018", "csn"]
CORPORA = {"mimic-iv-ecg": "mimic", "ptb-xl": "ptbxl", "cpsc2018": "cpsc2018", "csn": "csn"}
"""The corpora, and the modules of `kmerl.corpora` that know their layouts."""

MERL_TRAIN, MERL_VAL = 0.72, 0.08
"""Shares of MERL's splits of CPSC2018 and CSN; the rest is tested on."""

Reason = Literal[
    "all_nan",
    "duplicate_id",
    "duplicate_lead",
    "empty_file",
    "flat",
    "implausible",
    "missing_file",
    "missing_header",
    "missing_lead",
    "missing_report",
    "nan_lead",
    "truncated",
    "unknown_fold",
    "unknown_unit",
    "unreadable_codes",
    "unreadable_file",
    "unreadable_header",
    "unreadable_row",
    "unreadable_signal",
    "wrong_length",
    "wrong_rate",
]
"""Why a record is left out of the store: the `reason` column of rejected.csv."""


class CorpusError(ValueError):
    """A corpus as a whole cannot be read; the message names the file and what to do."""


class RejectedRecord(Exception):  # noqa: N818 - a verdict on a record, no error of ours
    """One record cannot be used; the rest go on. Never carries report text or absolute paths."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class Rejection(NamedTuple):
    """A line of rejected.csv."""

    record: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Entry:
    """A record as its corpus lists it, before its signal is read.

    `path` is relative to the corpus's root: a WFDB record without suffix, or a .mat file that
    holds a struct (`kmerl.corpora.struct_files`). `codes` is None where the codes are in the
    header's `#Dx` line.
    """

    record: str
    patient: str
    split: str
    path: str
    report: list[str]
    codes: list[str] | None


LISTING = pa.schema(
    [
        ("record", pa.string()),
        ("patient", pa.string()),
        ("split", pa.string()),
        ("path", pa.string()),
        ("report", pa.list_(pa.string())),
        ("codes", pa.list_(pa.string())),
    ]
)
"""The columns of `Entry`, as a table: some hundred bytes a record, whatever the signals weigh."""


@dataclass(frozen=True)
class Scheme:
    """The meaning of a corpus's codes: for each task, {code in the corpus: class code}.

    Where `known` is given, a record with a code outside it is a member of no task.
    """

    tasks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    known: frozenset[str] | None = None

    def labels(self, codes: Iterable[str]) -> dict[str, dict[str, bool | None]]:
        """{task: {class code: label}}; a record without a label of a task has None throughout."""
        present = set(codes)
        usable = present if self.known is None or present <= self.known else set()
        return {task: self._of_task(task, usable) for task in self.tasks}

    def _of_task(self, task: str, codes: set[str]) -> dict[str, bool | None]:
        positive = {name for code, name in self.tasks[task].items() if code in codes}
        return {c.code: (c.code in positive) if positive else None for c in classes(task)}


@dataclass(frozen=True)
class Listing:
    """The records of a corpus (columns as `LISTING`), its scheme, and what could not be listed."""

    table: pa.Table
    scheme: Scheme
    rejected: Sequence[Rejection] = ()


def listing_table(entries: Iterable[Entry]) -> pa.Table:
    """Entries as a table, in their order."""
    rows = list(entries)
    columns = {name: [getattr(row, name) for row in rows] for name in LISTING.names}
    return pa.table(columns, schema=LISTING)


def hashed_split(corpus: str, patient: str, train: float, val: float) -> str:
    """train, val or test by a hash of the patient that is the same on every machine and in every
    run; `train` and `val` are their shares."""
    digest = hashlib.sha256(f"{corpus}:{patient}".encode()).digest()
    share = int.from_bytes(digest[:6], "big") / 2**48
    return "train" if share < train else "val" if share < train + val else "test"


def entry_without_patient(corpus: str, path: str, codes: Mapping[str, list[str]]) -> Entry:
    """A record of a corpus that names no patients and has no reports: split as MERL's are, with
    what a table of codes has of it."""
    record = Path(path).name.removesuffix(".mat")
    split = hashed_split(corpus, record, MERL_TRAIN, MERL_VAL)
    return Entry(record, record, split, path, report=[], codes=codes.get(record))


def corpus_file(root: Path, name: str) -> Path:
    """A file that the corpus's official layout has.

    Raises:
        CorpusError: it is not there.
    """
    path = root / name
    if not path.is_file():
        raise CorpusError(f"{path} does not exist; the official layout of the corpus has it")
    return path


def read_csv(path: Path, columns: tuple[str, ...]) -> tuple[pa.Table, list[Rejection]]:
    """The named columns of a CSV file as strings (empty for missing), and its unreadable rows.

    Raises:
        CorpusError: a column is missing, or the file is no UTF-8 CSV file.
    """
    bad: list[Rejection] = []

    def unreadable(row: arrow_csv.InvalidRow) -> str:
        detail = f"{path.name} row {row.number}: {row.actual_columns} of {row.expected_columns}"
        bad.append(Rejection("", "unreadable_row", f"{detail} columns"))
        return "skip"

    convert = arrow_csv.ConvertOptions(
        include_columns=list(columns),
        column_types={name: pa.string() for name in columns},
        strings_can_be_null=False,
    )
    parse = arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=unreadable)
    read = arrow_csv.ReadOptions(use_threads=False)  # row numbers are known to one thread only
    try:
        _check_columns(path, columns)
        return arrow_csv.read_csv(path, read, parse, convert), bad
    except (UnicodeDecodeError, pa.ArrowInvalid) as error:
        reason = str(error).split(":")[0]  # what follows may quote a report
        raise CorpusError(f"{path} cannot be read as UTF-8 CSV ({reason})") from None


def _check_columns(path: Path, columns: tuple[str, ...]) -> None:
    with open(path, encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file), [])
    missing = [name for name in columns if name not in names]
    if missing:
        raise CorpusError(
            f"{path} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, names)) or 'none'}. Restore the corpus's official file"
        )
