"""SHA256SUMS.txt, PhysioNet's list of a project's files: which a corpus has, which are wanted."""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

MANIFEST = "SHA256SUMS.txt"
RECORD_FILES = (".hea", ".dat", ".mat")
LINE = re.compile(r"([0-9a-fA-F]{64})[ \t]+\*?(\S.*)")


class SumsError(ValueError):
    """A list of checksums cannot be used, or lacks what is asked for; the message says where."""


class Sums:
    """The files of a corpus, in the order of the list; paths are relative to the corpus.

    Attributes:
        inside: what stands before each path in the project's list: "", or a folder and a slash.
        files: {path: sha256}.
        records: the paths of those that are read, without their suffix.
    """

    def __init__(self, text: str, folder: str = "", unread: str = "") -> None:
        """
        Args:
            text: of the list.
            folder: of the project, that the corpus is. A list in which nothing lies below it is
                taken to be of that folder alone.
            unread: a folder of the corpus that nothing reads.

        Raises:
            SumsError: it is no such list, lists nothing, a path leads out of its folder, or stands
                there with two checksums.
        """
        listed = re.search(rf"[ *]{re.escape(folder)}/", text) if folder else None
        self.text, self.inside = text, f"{folder}/" if listed else ""
        self.files: dict[str, bytes] = {}
        for _, path, digest in self._entries():
            if self.files.setdefault(path, digest) != digest:
                raise SumsError(f"{MANIFEST} has two checksums of {path}")
        if not self.files:
            raise SumsError(f"{MANIFEST} lists no file")
        away = (f"{unread}/",) if unread else ()
        self._read = [path for path in self.files if not path.startswith(away)]
        self.records = [stem(path) for path in self._read if path.endswith(".hea")]

    def lines(self, kept: set[str]) -> str:
        """The list of `kept` alone, each line as it stands but for `inside`."""
        return "".join(f"{line}\n" for line, path, _ in self._entries() if path in kept)

    def select(self, records: int | Iterable[str] | None) -> set[str]:
        """The files of some records, and every file that is of no record: tables, licence, lists.

        Args:
            records: how many, the first of the list; or their names, with or without their folder.
                None: all that are read.

        Raises:
            SumsError: there are not as many, or none of such a name.
        """
        if records is None:
            return set(self._read)
        if not isinstance(records, int):
            chosen = _named(self.records, records)
        elif 0 < records <= len(self.records):
            chosen = set(self.records[:records])
        else:
            raise SumsError(
                f"{records} records are asked for and {MANIFEST} lists {len(self.records)}; "
                "a record whose name is a number goes into a file of names, one a line"
            )
        return {
            path for path in self._read if not path.endswith(RECORD_FILES) or stem(path) in chosen
        }

    def _entries(self) -> Iterator[tuple[str, str, bytes]]:
        """(line, path, sha256) of each file below `inside`, `inside` itself taken off."""
        for number, line in enumerate(self.text.split("\n"), 1):
            if not line.strip():
                continue
            found = LINE.fullmatch(line.rstrip("\r"))
            if found is None:
                raise SumsError(f"line {number} of {MANIFEST} is no sha256 and a path")
            path = found[2].removeprefix("./")
            if not _is_safe(path):
                raise SumsError(f"line {number} of {MANIFEST}: {path!r} is no path inside a folder")
            if path.startswith(self.inside) and path != MANIFEST:
                short = path.removeprefix(self.inside)
                yield found[0].removesuffix(path) + short, short, bytes.fromhex(found[1])


def stem(path: str) -> str:
    """files/p1/40689238.hea -> files/p1/40689238"""
    return path.rpartition(".")[0]


def _named(known: list[str], names: Iterable[str]) -> set[str]:
    by_name: dict[str, set[str]] = {}
    for record in known:
        for name in {record, PurePosixPath(record).name}:
            by_name.setdefault(name, set()).add(record)
    wanted = {name.removesuffix(".hea") for name in names}
    unknown = sorted(wanted - by_name.keys())
    if unknown or not wanted:
        which = ", ".join(unknown[:5]) or "without a name"
        raise SumsError(f"{MANIFEST} lists no record {which} ({len(unknown)} of {len(wanted)})")
    return set().union(*(by_name[name] for name in wanted))


def _is_safe(path: str) -> bool:
    parts = path.split("/")
    return path.isprintable() and "\\" not in path and not {"", ".", ".."} & set(parts)
