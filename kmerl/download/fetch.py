"""A corpus over https, or from a bucket of S3 that anybody may read, into a folder.

Each file is checked against the corpus's SHA256SUMS.txt while it comes in, beside its place, and
takes its name when it is whole. What is there already is read and checked too, so no list of what
is done has to be kept or believed: a run that was killed goes on where it was, and one over files
that another tool fetched checks them. The folder's own SHA256SUMS.txt is written last: it lists
the files that are whole, and while it is missing `dvc repro` does not begin.
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from kmerl.download.remote_files import FetchError, NotFetched, Server, address
from kmerl.download.sums import MANIFEST, Sums
from kmerl.files import write_csv, write_text
from kmerl.progress import Meter

FAILED = "failed.csv"
IN_A_ROW = 50  # files not given, all tries over, before a server is left alone
SPARE = 10**9  # bytes that the disk must have beside the records; among them a corpus's tables
BLOCK = 4096  # bytes of a disk, of which a file takes whole ones


@dataclass
class Outcome:
    """Files of a corpus, counted; `stopped` says why some were not tried, if that is so."""

    listed: int  # records of the whole corpus
    wanted: int
    there: int = 0
    fetched: int = 0
    replaced: int = 0  # of those fetched: the file that was there was not whole
    bytes: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    stopped: str = ""

    @property
    def untried(self) -> int:
        return self.wanted - self.there - self.fetched - len(self.failed)


async def fetch(
    place: str,
    root: Path,
    *,
    folder: str = "",
    unread: str = "",
    records: int | Iterable[str] | None = None,
    average: float,
    parallel: int,
) -> Outcome:
    """Bring the files of a corpus into `root`; of those whole it then has SHA256SUMS.txt, of those
    that could not be had failed.csv.

    What lies in `root` already, and is listed, is checked whatever `records` says.

    Args:
        place: an address in s3, https or http, of the folder with SHA256SUMS.txt.
        folder, unread, records: see `kmerl.download.sums.Sums`.
        average: bytes a file, by which room on the disk is counted beforehand.
        parallel: files at a time.

    Raises:
        FetchError, SumsError: before any file of the corpus is fetched.
    """
    server = Server(address(place))
    async with server.session(parallel):
        sums = Sums(await server.text(MANIFEST), folder, unread)
        there = {path for path in sums.files if (root / path).exists()}
        wanted = sums.select(records) | there
        _check_space(root, len(wanted - there), average)
        outcome = Outcome(len(sums.records), len(wanted))
        run = _Run(server, root, sums, outcome, Meter(root.name, len(wanted), "files"))
        files = (path for path in sums.files if path in wanted)
        try:
            await asyncio.gather(*(run.work(files) for _ in range(parallel)))
        finally:
            run.meter.close()
    run.finish()
    return outcome


def _check_space(root: Path, files: int, average: float) -> None:
    needed = int(files * (average + BLOCK / 2)) + SPARE if files else 0
    above = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    free = shutil.disk_usage(above).free
    if free < needed:
        raise FetchError(
            f"{root}: {files} files of about {needed / 1e9:.1f} GB are to come and "
            f"{free / 1e9:.1f} GB are free; make room, name another folder with --to, "
            "or take fewer with --records"
        )


@dataclass
class _Run:
    """What the workers of one download share."""

    server: Server
    root: Path
    sums: Sums
    outcome: Outcome
    meter: Meter
    whole: set[str] = field(default_factory=set)
    in_a_row: int = 0

    async def work(self, paths: Iterator[str]) -> None:
        """Take paths, of which other workers take theirs, until there are none or all must stop."""
        for path in paths:
            try:
                await self._bring(path)
                self.whole.add(path)
                self.in_a_row = 0
            except NotFetched as missing:
                self.outcome.failed[path] = missing.reason
                self.in_a_row += missing.later
                if self.in_a_row >= IN_A_ROW:
                    self.outcome.stopped = (
                        f"the last {self.in_a_row} files could not be had, {path} for one: "
                        f"{missing.reason}"
                    )
            except OSError as error:  # a full disk, no permission: as bad for the next file
                self.outcome.stopped = f"{self.root / path}: {error.strerror or error}"
            self.meter.advance()
            if self.outcome.stopped:
                return

    async def _bring(self, path: str) -> None:
        target = self.root / path
        broken = target.is_file()
        if broken and await asyncio.to_thread(_sha256, target) == self.sums.files[path]:
            self.outcome.there += 1
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):  # a wrong checksum is fetched again, once
            if await self.server.trying(partial(self._load, path, target)):
                self.outcome.fetched += 1
                self.outcome.replaced += broken
                return
        raise NotFetched(f"its sha256 is not that of {MANIFEST}, twice")

    async def _load(self, path: str, target: Path) -> bool:
        """Put a file in its place if its sha256 is right; a kill leaves at most the partial one."""
        beside = target.with_name(f".{target.name}.partial")
        sha = hashlib.sha256()
        try:
            with open(beside, "wb") as file:

                def take(chunk: bytes) -> None:
                    sha.update(chunk)
                    file.write(chunk)

                await self.server.read(self.sums.inside + path, take)
                size = file.tell()
            right = sha.digest() == self.sums.files[path]
            if right:
                beside.replace(target)
                self.outcome.bytes += size
            return right
        finally:
            beside.unlink(missing_ok=True)

    def finish(self) -> None:
        """Write what came of it. A run that was stopped leaves SHA256SUMS.txt as it was."""
        failed = self.outcome.failed
        if failed:
            write_csv(self.root / FAILED, ("path", "reason"), sorted(failed.items()))
        else:
            (self.root / FAILED).unlink(missing_ok=True)
        if not self.outcome.stopped:
            os.sync()  # once, in place of once a file: what is listed is on the disk
            write_text(self.root / MANIFEST, self.sums.lines(self.whole))


def _sha256(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
