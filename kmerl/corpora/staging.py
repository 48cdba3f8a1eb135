"""Where a store is written until it is whole: shards that are done are kept through a kill.

The folder lies beside the store, on its disk, and is named after all that decides the shards'
bytes: the code, the settings, the corpus's list. Whoever runs the same again goes on there, shard
by shard, unless a recording's files have changed meanwhile. A store that was there stays until the
new one takes its place.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from kmerl.corpora.records import CorpusError, Entry, Rejection
from kmerl.files import atomic, write_json
from kmerl.store import write_index

BEFORE = "before"  # the store that was there, while the new one takes its place


class Written(NamedTuple):
    """What became of the records of a shard: counts for the metrics, and those left out."""

    counts: dict[str, int]
    rejected: list[Rejection]


@dataclass(frozen=True)
class Staging:
    """A store on its way: its shards in `store`, and a note of each that is done in `notes`.

    `folder` is absolute: workers elsewhere write there too.
    """

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def notes(self) -> Path:
        return self.folder / "notes"

    def kept(self, name: str, inputs: str) -> Written | None:
        """A shard that an earlier run wrote from the same `inputs`; none where there is none."""
        shard, note = self.store / name, self.notes / f"{name}.json"
        try:
            found = json.loads(note.read_bytes())
            if (found["inputs"], found["bytes"]) != (inputs, shard.stat().st_size):
                return None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return Written(found["counts"], [Rejection(*line) for line in found["rejected"]])

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Where to write a shard, which takes its place when the block ends without an error.

        Each attempt has a folder of its own: a worker that was taken for lost may still write.
        """
        attempt = self.folder / "attempts" / uuid4().hex
        with atomic(attempt / name) as partial:
            yield partial
        (attempt / name).replace(self.store / name)
        attempt.rmdir()

    def keep(self, name: str, inputs: str, written: Written) -> None:
        """Note that a shard is done."""
        size = (self.store / name).stat().st_size
        write_json(
            self.notes / f"{name}.json", {"inputs": inputs, "bytes": size} | written._asdict()
        )

    def finish(self, out: Path, names: Sequence[str], threads: int) -> None:
        """The store has its index and takes the place of `out`; nothing is left here.

        Raises:
            CorpusError: a shard is not here.
        """
        if missing := set(names) - {path.name for path in self.store.iterdir()}:
            raise CorpusError(
                f"{len(missing)} of {len(names)} shards are not in {self.store}, such as "
                f"{min(missing)}: workers on other machines must see this folder"
            )
        write_index(self.store, threads)
        if out.exists():
            shutil.rmtree(self.folder / BEFORE, ignore_errors=True)
            out.replace(self.folder / BEFORE)
        self.store.replace(out)
        shutil.rmtree(self.folder)


@contextmanager
def staging(out: Path, fingerprint: str) -> Iterator[Staging]:
    """Where the store `out` is written; what another fingerprint has left there is removed.

    A folder that is not finished stays for the next run.
    """
    folder = out.parent.resolve() / f".{out.name}-{fingerprint}"
    for stale in folder.parent.glob(f".{out.name}-{'[0-9a-f]' * len(fingerprint)}"):
        if (stale / BEFORE).exists() and not out.exists():  # killed between two renames
            (stale / BEFORE).replace(out)
        if stale != folder:
            shutil.rmtree(stale)
    here = Staging(folder)
    shutil.rmtree(folder / "attempts", ignore_errors=True)
    for path in (here.store, here.notes, folder / "attempts"):
        path.mkdir(parents=True, exist_ok=True)
    yield here


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Nobody else writes to `out` meanwhile. The system lets go of the lock when a process ends,
    however it ends; the file stays."""
    path = out.with_name(f".{out.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CorpusError(
                f"another ingest is writing to {out}; wait for its end, or end it"
            ) from None
        yield


def inputs_of(root: Path, entries: Iterable[Entry]) -> str:
    """A digest of which files the records have, how long they are and when they were written.

    Of a record of several segments, the files of its own name.
    """
    digest = hashlib.sha256()
    for entry in entries:
        for suffix in ("",) if entry.path.endswith(".mat") else (".hea", ".dat", ".mat"):
            try:
                found = os.stat(f"{root}/{entry.path}{suffix}")  # noqa: PTH116 (a million times)
                digest.update(b"%d %d;" % (found.st_size, found.st_mtime_ns))
            except (OSError, ValueError):  # not there, or no path at all
                digest.update(b"none;")
    return digest.hexdigest()
