"""Kinds of damage to a corpus: what each does to a small one, and what becomes of its victim.

Each is done to every corpus. The victim is one record: its row of the corpus's table, its header,
its file of samples. It is `rejected`, `kept`, or not listed any more (`gone`), or the whole corpus
is `refused` by name. Whatever happens, every other record is what it was.
"""

import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SECRET = "Confidential sinus rhythm"
"""Text of a report, which no message may repeat."""


@dataclass(frozen=True)
class Small:
    """A corpus of a few records on disk, and the one that is damaged."""

    root: Path
    table: Path  # the CSV file that lists the records, or says something of them
    line: int  # the victim's, counted from 0
    stem: Path  # of the victim's files
    suffix: str  # of its samples

    @property
    def header(self) -> Path:
        return self.stem.with_suffix(".hea")

    @property
    def samples(self) -> Path:
        return self.stem.with_suffix(self.suffix)


@dataclass(frozen=True)
class Damage:
    """What is done, and the victim's fate: everywhere, and where it is another (by world)."""

    do: Callable[[Small], object]
    fate: str = "rejected"
    but: dict[str, str] = field(default_factory=dict)
    below: int = 0  # another victim, by how many lines it is below the first


def row(change: Callable[[bytes], bytes]) -> Callable[[Small], object]:
    """Changes the victim's line of the table, its newline not among it."""

    def do(small: Small) -> None:
        lines = small.table.read_bytes().split(b"\n")
        lines[small.line] = change(lines[small.line])
        small.table.write_bytes(b"\n".join(lines))

    return do


def table(change: Callable[[bytes], bytes]) -> Callable[[Small], object]:
    return lambda small: small.table.write_bytes(change(small.table.read_bytes()))


def header(change: Callable[[bytes], bytes]) -> Callable[[Small], object]:
    return lambda small: small.header.write_bytes(change(small.header.read_bytes()))


def samples(change: Callable[[bytes], bytes]) -> Callable[[Small], object]:
    return lambda small: small.samples.write_bytes(change(small.samples.read_bytes()))


def instead(file: str, make: Callable[[Path], object]) -> Callable[[Small], object]:
    """Makes something else of the victim's `header` or `samples`, which goes beside the root."""

    def do(small: Small) -> None:
        path = getattr(small, file)
        path.rename(small.root.parent / path.name)
        make(path)

    return do


def link_out(file: str) -> Callable[[Small], object]:
    return lambda small: instead(file, lambda path: path.symlink_to(small.root.parent / path.name))(
        small
    )


def told_file(name: str) -> Callable[[Small], object]:
    """The header says that its samples are in another file, which is there."""

    def do(small: Small) -> None:
        shutil.copy(small.samples, small.root.parent / small.samples.name)
        (small.stem.parent / "records").mkdir()
        shutil.copy(small.samples, small.stem.parent / "records")
        place = name.format(name=small.samples.name, root=small.root.parent)
        header(lambda text: text.replace(small.samples.name.encode(), place.encode()))(small)

    return do


def bind(path: Path) -> None:
    """A socket; its name is relative, for those are short."""
    here = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)
    os.chdir(here)


def two_quotes(small: Small) -> None:
    """The victim's opening quote finds a closing one two lines below."""
    lines = small.table.read_bytes().split(b"\n")
    for line, (old, new) in {small.line: (b",", b',"'), small.line + 2: (b",", b'",')}.items():
        lines[line] = lines[line].replace(old, new, 1)
    small.table.write_bytes(b"\n".join(lines))


def times(count: int) -> Callable[[Small], object]:
    """The victim's line as often as that."""

    def do(small: Small) -> None:
        lines = small.table.read_bytes().split(b"\n")
        lines[small.line : small.line + 1] = count * [lines[small.line]]
        small.table.write_bytes(b"\n".join(lines))

    return do


def first_number(new: bytes) -> Callable[[bytes], bytes]:
    """Puts something in the place of the number of samples in a record line."""
    return lambda text: text.replace(b" 5000", b" " + new, 1)


REFUSED = {"csn": "refused"}  # a table of what codes mean is whole or it is none

DAMAGES = {
    # ---- a row
    "an opening quote": Damage(row(lambda b: b.replace(b",", b',"', 1)), but=REFUSED),
    "a quote before the row": Damage(row(lambda b: b'"' + b), but=REFUSED),
    "a quote and one below": Damage(two_quotes, but=REFUSED, below=2),
    "torn in two": Damage(row(lambda b: b.replace(b",", b",\n", 1)), but=REFUSED),
    "cut": Damage(row(lambda b: b[: len(b) // 2]), but=REFUSED),
    "a column more": Damage(row(lambda b: b + b",1"), but=REFUSED),
    "a column less": Damage(row(lambda b: b.rsplit(b",", 1)[0]), but=REFUSED),
    "a zero byte": Damage(row(lambda b: b + b"\0"), but=REFUSED),
    "a carriage return": Damage(row(lambda b: b.replace(b",", b",\r", 1)), but=REFUSED),
    "no UTF-8": Damage(row(lambda b: b.replace(b",", b"\xff,")), but=REFUSED),
    "a megabyte": Damage(row(lambda b: b + b"x" * 2**20), but=REFUSED),
    "a report where a name stands": Damage(
        row(lambda b: b",".join([SECRET.encode()] * (b.count(b",") + 1))),
        but=REFUSED,
    ),
    "no row": Damage(
        times(0),
        fate="gone",
        but={"statements": "rejected", "cpsc2018": "kept", "csn": "refused"},
    ),
    "a row twice": Damage(times(2), "kept", but=REFUSED),
    # ---- a table
    "a byte order mark": Damage(table(lambda b: b"\xef\xbb\xbf" + b), "kept"),
    "DOS line ends": Damage(table(lambda b: b.replace(b"\n", b"\r\n")), "kept"),
    "no last newline": Damage(table(lambda b: b.rstrip(b"\n")), "kept"),
    "blank lines": Damage(table(lambda b: b.replace(b"\n", b"\n\n \r\n")), "kept"),
    "a quote in the header": Damage(table(lambda b: b'"' + b), "refused"),
    "no header": Damage(table(lambda b: b.split(b"\n", 1)[1]), "refused"),
    "columns twice": Damage(table(lambda b: b.split(b"\n", 1)[0] + b"," + b), "refused"),
    "an empty table": Damage(table(lambda _: b""), "refused"),
    "UTF-16": Damage(table(lambda b: b.decode().encode("utf-16")), "refused"),
    "rows of other columns": Damage(table(lambda b: b"x," + b), "refused"),
    # ---- a header
    "no header file": Damage(lambda small: small.header.unlink()),
    "an empty header": Damage(header(lambda _: b"")),
    "noise for a header": Damage(header(lambda b: bytes(255 - x for x in b))),
    "half a header": Damage(header(lambda b: b[: len(b) // 2])),
    "a header that is a folder": Damage(instead("header", Path.mkdir)),
    "a header that is a pipe": Damage(instead("header", os.mkfifo)),
    "a header that is a link out": Damage(link_out("header")),
    "a header that is a broken link": Damage(instead("header", lambda p: p.symlink_to("none"))),
    "a header that is a circle": Damage(instead("header", lambda p: p.symlink_to(p.name))),
    "samples above": Damage(told_file("../{name}")),
    "samples at a path": Damage(told_file("{root}/{name}")),
    "samples below": Damage(told_file("records/{name}")),
    "samples that are the folder": Damage(told_file(".")),
    "a number of 5,000 digits": Damage(header(first_number(b"9" * 5000))),
    "a length of another file": Damage(header(first_number(b"9999"))),
    "a rate of 400 digits": Damage(header(lambda b: b.replace(b" 500 ", b" " + b"9" * 400 + b" "))),
    # ---- samples
    "no samples": Damage(lambda small: small.samples.unlink()),
    "empty samples": Damage(samples(lambda _: b"")),
    "half the samples": Damage(samples(lambda b: b[: len(b) // 2])),
    "samples that are a folder": Damage(instead("samples", Path.mkdir)),
    "samples that are a pipe": Damage(instead("samples", os.mkfifo)),
    "samples that are a socket": Damage(instead("samples", bind)),
    "samples that are a link out": Damage(link_out("samples")),
    # ---- the folder
    "a name that is no text": Damage(
        lambda small: Path(os.fsdecode(bytes(small.stem.parent) + b"/\xff.hea")).touch(), "kept"
    ),
    "files twice": Damage(
        lambda small: shutil.copytree(small.stem.parent, small.root / "zz again"), "kept"
    ),
    "a folder that is a link out": Damage(
        lambda small: (small.root / "more").symlink_to(small.root.parent), "kept"
    ),
    "a folder that is a circle": Damage(
        lambda small: (small.stem.parent / "more").symlink_to(small.root), "kept"
    ),
}
