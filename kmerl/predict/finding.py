"""Which recordings are meant: files, folders, patterns, and lists of them as CSV."""

import csv
import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kmerl.recordings import RecordError, kinds

_SUFFIXES = {suffix for kind in kinds() for suffix in kind.suffixes}
_SEGMENT = re.compile(r"(.+)_(?:\d{4}|layout)\.hea")
"""Headers of the segments of a WFDB record, beside the record's own."""


@dataclass(frozen=True)
class Said:
    """What a person says of a file that does not say it; see `kmerl.recordings.read`."""

    rate: float | None = None
    unit: str | None = None
    channels: str = ""
    leads: str | None = None
    derive: bool = False


@dataclass(frozen=True)
class Wanted:
    """A recording to be read: its file, and how answers call it."""

    path: str
    record: str
    said: Said


@dataclass(frozen=True)
class Found:
    """Recordings in their order, each once; how many files of a folder were not tried, by suffix;
    and columns of lists that say nothing to us."""

    wanted: list[Wanted]
    not_tried: Counter[str] = field(default_factory=Counter)
    unused: tuple[str, ...] = ()


def find(given: Sequence[str], said: Said) -> Found:
    """The recordings of files, folders (with all below them), patterns (*, ?, **), and lists: CSV
    files with a column `path`, and `record`, `rate`, `unit`, `channels`, `map` if they are there.

    Raises:
        RecordError: a pattern or folder holds no recording, or a list no path.
    """
    not_tried: Counter[str] = Counter()
    found: list[Wanted] = []
    unused: dict[str, None] = {}
    for one in given:
        if not is_many(one):
            found.append(_wanted(one, said))
            continue
        columns = _columns(one)
        if columns:
            unused |= dict.fromkeys(name for name in columns if name not in _OF_A_LIST)
            here = list(_listed(Path(one), said))
        else:
            paths = _below([one]) if Path(one).is_dir() else _matching(one)
            here = [_wanted(path, said) for path in _recordings(paths, not_tried)]
        if not here:
            known = ", ".join(sorted(_SUFFIXES))
            raise RecordError(f"{one} holds no recording; files are known by {known}")
        found += here
    once = {(each.path, each.record): each for each in found}
    return Found(list(once.values()), not_tried, tuple(unused))


def is_many(given: str) -> bool:
    """Whether it is a folder, a pattern or a list, and no single recording."""
    return Path(given).is_dir() or _is_pattern(given) or bool(_columns(given))


def _is_pattern(given: str) -> bool:
    return bool(glob.has_magic(given)) and not os.path.lexists(given)


def _wanted(path: str, said: Said) -> Wanted:
    return Wanted(path, path.removesuffix(".hea"), said)


def _below(folders: Iterable[str]) -> Iterator[str]:
    for folder in folders:
        for here, inner, names in os.walk(folder):
            inner.sort()
            yield from (os.path.join(here, name) for name in sorted(names))  # noqa: PTH118


def _matching(pattern: str) -> Iterator[str]:
    for path in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207 (it may be absolute)
        yield from _below([path]) if os.path.isdir(path) else [path]  # noqa: PTH112


def _recordings(paths: Iterable[str], not_tried: Counter[str]) -> Iterator[str]:
    """Files that may be a recording, each WFDB record once."""
    listed = dict.fromkeys(paths)
    for path in listed:
        stem, suffix = os.path.splitext(path)  # noqa: PTH122 (a million of them)
        segment = _SEGMENT.fullmatch(path)
        if suffix.lower() in (".dat", ".mat") and f"{stem}.hea" in listed:
            continue  # samples of a header
        if segment and f"{segment[1]}.hea" in listed:
            continue
        if suffix.lower() in _SUFFIXES and not os.path.basename(path).startswith("."):  # noqa: PTH119
            yield path
        else:
            not_tried[suffix.lower() or "none"] += 1


_OF_A_LIST = ("path", "record", "rate", "unit", "channels", "map")


def _columns(path: str) -> list[str]:
    """The columns of a list; none of any other file."""
    if not path.lower().endswith(".csv") or not os.path.isfile(path):  # noqa: PTH113
        return []
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        columns = [name.strip().lower() for name in next(csv.reader(file), [])]
    return columns if "path" in columns else []


def _listed(path: Path, said: Said) -> Iterator[Wanted]:
    """The rows of a list; paths are beside it, or absolute."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        for number, row in enumerate(reader, 2):
            name = (row["path"] or "").strip()
            if not name:
                raise RecordError(f"{path}, line {number}: no path")
            told: dict[str, Any] = {}
            for key, field_name in (("unit", "unit"), ("channels", "channels"), ("map", "leads")):
                if row.get(key):
                    told[field_name] = row[key]
            if row.get("rate"):
                try:
                    told["rate"] = float(row["rate"])
                except ValueError:
                    raise RecordError(
                        f"{path}, line {number}: rate {row['rate']!r} is no number"
                    ) from None
            record = (row.get("record") or "").strip() or name.removesuffix(".hea")
            yield Wanted(str(path.parent / name), record, replace(said, **told))
