"""What every corpus gives the ingest: its records, their splits, and the meaning of their codes."""

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa

from kmerl.recordings.rejecting import RejectedRecord
from kmerl.tasks.classes import classes

Corpus = Literal["mimic-iv-ecg", "ptb-xl", "cpsc2018", "csn"]
CORPORA = {"mimic-iv-ecg": "mimic", "ptb-xl": "ptbxl", "cpsc2018": "cpsc2018", "csn": "csn"}
"""The corpora, and the modules of `kmerl.corpora` that know their layouts."""


class CorpusError(ValueError):
    """A corpus as a whole cannot be read; the message names the file and what to do."""


class Rejection(NamedTuple):
    """A line of rejected.csv."""

    record: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Entry:
    """A record as its corpus lists it, before its signal is read.

    `path` is relative to the corpus's root: a WFDB record without suffix, or a .mat file that
    holds a struct (`kmerl.recordings.struct_files`). `codes` is None where the codes are in the
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
    """The records of a corpus (columns as `LISTING`), its scheme, and what could not be listed.

    `listed` is how many the corpus names, counted apart from the two: each is a row of `table` or
    a rejection. `unread` are lines that could not be read and name no record of it.
    """

    table: pa.Table
    scheme: Scheme
    listed: int
    rejected: Sequence[Rejection] = ()
    unread: Sequence[Rejection] = ()


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


def corpus_file(root: Path, name: str) -> Path:
    """A file that the corpus's official layout has.

    Raises:
        CorpusError: it is not there.
    """
    path = root / name
    if not path.is_file():
        raise CorpusError(
            f"{path} does not exist, or is no file; the official layout of the corpus has it"
        )
    return path


def inside(root: Path, name: str) -> Path:
    """The file below `root` that a corpus's list, or a header, names; it need not be there.

    The one check of a path that a file claims. Nothing is opened, so a pipe cannot block.

    Args:
        root: without links and "..", as `Path.resolve` gives it.

    Raises:
        RejectedRecord: the path leaves `root`, through a link too, or is no regular file's.
    """
    path, parts = root / name, Path(name).parts
    if not parts or "\0" in name or Path(name).is_absolute() or ".." in parts:
        raise RejectedRecord("outside_root", "its path leaves the folder")
    if not Path(os.path.realpath(path)).is_relative_to(root):
        raise RejectedRecord("outside_root", f"{path.name}: a link out of the folder")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return path
    if not stat.S_ISREG(mode):
        raise RejectedRecord("no_regular_file", path.name)
    return path
