"""Corpora without a list of their records: the records are those of the files in the folder.

They have no reports and name no patients, so records are split, as MERL's are.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kmerl.corpora.records import (
    CorpusError,
    Entry,
    Listing,
    Rejection,
    Scheme,
    hashed_split,
    listing_table,
)

MERL_TRAIN, MERL_VAL = 0.72, 0.08
"""Shares of MERL's splits of CPSC2018 and CSN; the rest is tested on."""
HEADER, SAMPLES = ".hea", ".mat"


@dataclass(frozen=True)
class Found:
    """What lies below a folder: `paths` of records relative to it, as `Entry.path` has them, and
    folders that were not entered since they are links out of it."""

    paths: Sequence[str]
    links: Sequence[str]


def find_records(root: Path) -> Found:
    """Every header below `root`, then every .mat file without one beside it, each sorted by path.

    Raises:
        CorpusError: a folder cannot be read.
    """
    headers, structs, links = [], [], []
    here = Path(os.path.realpath(root))
    for folder, folders, files in os.walk(root, onerror=_unreadable):
        below = Path(folder).relative_to(root)
        names = set(files).union(folders)
        for name in names:
            stem, suffix = name[:-4], name[-4:]
            if suffix == HEADER:
                headers.append(str(below / (stem or name)))
            elif suffix == SAMPLES and stem + HEADER not in names:
                structs.append(str(below / name))
        links += [
            str(below / name)
            for name in folders
            if not Path(os.path.realpath(Path(folder) / name)).is_relative_to(here)
        ]
    return Found([*sorted(headers), *sorted(structs)], sorted(links))


def _unreadable(error: OSError) -> None:
    raise CorpusError(f"{error.filename} cannot be read: {error.strerror}") from None


def found_listing(
    corpus: str,
    root: Path,
    scheme: Scheme,
    codes: Mapping[str, list[str]],
    bad: Sequence[Rejection] = (),
) -> Listing:
    """The listing of a corpus that has no list.

    Args:
        codes: of a table, for the records that it has; the others have those of their header.
        bad: lines of that table that could not be read. A record that one of them names is left
            out, and so is one without codes where a line names none: they may be its own.

    Raises:
        CorpusError: a folder cannot be read.
    """
    found = find_records(root)
    records = [Path(path).name.removesuffix(SAMPLES) for path in found.paths]
    torn = {line.record: line for line in bad if line.record in records}
    unread = [line for line in bad if line.record not in torn]
    entries, rejected = [], []
    for path, record in zip(found.paths, records, strict=True):
        if not record or not path.isprintable():
            rejected.append(Rejection(ascii(record), "unusable_name", "the file's"))
        elif record in torn:
            rejected.append(torn[record])
        elif unread and record not in codes:
            rejected.append(Rejection(record, "unreadable_codes", f"perhaps {unread[0].detail}"))
        else:
            split = hashed_split(corpus, record, MERL_TRAIN, MERL_VAL)
            entries.append(Entry(record, record, split, path, [], codes.get(record)))
    rejected += [Rejection(ascii(p), "outside_root", "a folder's link") for p in found.links]
    listed = len(found.paths) + len(found.links)
    return Listing(listing_table(entries), scheme, listed, rejected, unread)
