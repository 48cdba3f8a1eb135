"""A decoded copy of a store on this machine's disk, for a training that reads it many times.

One file a store, int16 (rows, 12, samples), under a name that holds the SHA-256 of what all its
shards hold, so that another store, or this one made anew, is never taken for it. It is written
under another name and takes its own when it is whole; one process writes, others wait for it.
"""

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from kmerl.files import DamagedError, atomic, write_text
from kmerl.leads import LEADS
from kmerl.progress import track
from kmerl.runtime import in_order
from kmerl.store import Index, OpenShards, StoreError
from kmerl.store.index import INDEX, sha256
from kmerl.store.layout import AGAIN

SUFFIX = ".int16"
AT_ONCE = 128  # rows decoded at a time by each thread


def decoded(folder: Path, index: Index, threads: int) -> np.ndarray:
    """int16 (rows, 12, samples) of a store, mapped from its file in `folder`.

    The file is made where it is missing, or of another size than it must have, by `threads`
    threads. Another process that makes it meanwhile is waited for.

    Raises:
        StoreError: the store has no index, or the disk has no room for the copy.
        DamagedError: a shard is not what the index says.
        NoSpaceError: the disk became full meanwhile.
    """
    shape = (index.groups.rows, len(LEADS), index.groups.samples)
    size = 2 * int(np.prod(shape, dtype=np.int64))
    path = folder / _name(index)
    if not _is_whole(path, size):
        with _alone(folder):
            if not _is_whole(path, size):
                _write(path, index, size, threads)
    if not size:
        return np.empty(shape, np.int16)
    return np.asarray(np.memmap(path, np.int16, "r", shape=shape))


def copies(folder: Path) -> dict[str, int]:
    """The copies in a folder, and what a kill left of one: names and bytes on the disk."""
    found = sorted(folder.glob(f"*{SUFFIX}*"))
    return {path.name: 512 * path.stat().st_blocks for path in found}


def clear(folder: Path) -> None:
    """Remove all copies; a training that has one open keeps it to its end.

    Raises:
        StoreError: a copy is being written.
    """
    with _alone(folder, wait=False):
        for name in copies(folder):
            (folder / name).unlink()


def _name(index: Index) -> str:
    if len(index.digests) != len(index.groups.paths):
        raise StoreError(
            f"{index.directory} has no {INDEX}, by which its decoded copy is known: run `dvc repro "
            f"ingest@{index.directory.name}`, or leave runtime.cache empty"
        )
    digest = hashlib.sha256("".join(index.digests).encode())
    return f"{index.directory.name}-{digest.hexdigest()[:16]}{SUFFIX}"


def _is_whole(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size == size


@contextmanager
def _alone(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Nobody else writes to `folder` meanwhile. The system lets go of the lock when a process ends,
    however it ends; the file stays."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise StoreError(
                    f"a copy is being written to {folder}; wait for its end, or end it"
                ) from None
            print(f"waiting for another process, which writes to {folder}", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        write_text(folder / ".gitignore", "*\n")
        yield


def _write(path: Path, index: Index, size: int, threads: int) -> None:
    if path.exists():
        print(f"{path} has not the {size:,} bytes that it must have: made anew", file=sys.stderr)
        path.unlink()
    for left in path.parent.glob(f".{path.name}.partial"):
        left.unlink()  # a kill left it: its room is wanted
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise StoreError(
            f"runtime.cache: {path.parent} has {free:,} bytes free, and the decoded signals of "
            f"{index.directory} take {size:,}; make room (`kmerl data cache --clear` removes "
            "what is there), name a folder of another disk, or leave it empty"
        )
    with atomic(path, size) as unfinished:
        with open(unfinished, "wb") as file:
            file.truncate(size)
        work = in_order(
            lambda shard: _copy(unfinished, index, shard), range(len(index.digests)), threads
        )
        for _ in track(work, f"decoding {index.directory.name}", len(index.digests), "shards"):
            pass


def _copy(path: Path, index: Index, shard: int) -> None:
    """Decode a shard into its place."""
    groups, source = index.groups, index.groups.paths[shard]
    if sha256(source) != index.digests[shard]:
        raise DamagedError(f"{source} is damaged or of another store than {INDEX} says; {AGAIN}")
    here = np.flatnonzero(groups.shard == shard)
    if not len(here):
        return
    files = OpenShards(groups, 1)
    with open(path, "r+b") as file:
        file.seek(2 * len(LEADS) * groups.samples * int(groups.start[here[0]]))
        before = groups.start[here] - groups.start[here[0]]
        for part in np.split(here, np.flatnonzero(np.diff(before // AT_ONCE)) + 1):
            file.write(files.signal(shard, groups.number[part].tolist(), LEADS).data)
