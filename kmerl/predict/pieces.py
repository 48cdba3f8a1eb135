"""Pieces of a long list of recordings, as worker processes read and prepare them. No torch here."""

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kmerl import recordings
from kmerl.predict.finding import Wanted
from kmerl.predict.preparing import Cut, Prepared, choose, prepare
from kmerl.recordings import RecordError, Recording

FILES, WINDOWS = 64, 16
"""Recordings in a piece: of one row each, or of several windows."""
MOST = 256
"""Windows of a recording, beyond which it does not pass through a worker, to be held twice."""


class Bad(NamedTuple):
    """A recording that could not be used, or a window of it (seconds), and why."""

    record: str
    start: float | None
    reason: str


@dataclasses.dataclass(frozen=True)
class Question:
    """What is read of each recording for a model of `samples` at `rate` Hz."""

    rate: int
    samples: int
    leads: str | None
    cut: Cut


@dataclasses.dataclass(frozen=True)
class Piece:
    number: int
    wanted: tuple[Wanted, ...]

    def name(self) -> str:
        """Of the piece as its files are now; others if one of them changes."""
        digest = hashlib.sha256(repr(self.wanted).encode())
        for one in self.wanted:
            stem = os.path.splitext(one.path)[0]  # noqa: PTH122 (a million of them)
            for path in dict.fromkeys((one.path, f"{stem}.hea", f"{stem}.dat", f"{stem}.mat")):
                try:
                    found = os.stat(path)  # noqa: PTH116
                    digest.update(b"%d %d;" % (found.st_size, found.st_mtime_ns))
                except (OSError, ValueError):
                    digest.update(b"none;")
        return f"{self.number:08d}-{digest.hexdigest()[:12]}"


@dataclasses.dataclass(frozen=True)
class Ready:
    """A piece as a worker gives it back: of each recording what the model is given, and what could
    not be used; None of a long one, which is read where the model is."""

    piece: Piece
    of: list[tuple[list[Prepared], list[Bad]] | None]


def cut_up(wanted: Sequence[Wanted], cut: Cut) -> list[Piece]:
    size = WINDOWS if cut.window else FILES
    starts = range(0, len(wanted), size)
    return [Piece(k, tuple(wanted[start : start + size])) for k, start in enumerate(starts)]


def read_piece(piece: Piece, question: Question) -> Ready:
    """Whatever fails with one recording is a reason, and no more."""
    found: list[tuple[list[Prepared], list[Bad]] | None] = []
    for one in piece.wanted:
        opened = opening(one, question)
        if isinstance(opened, Bad):
            found.append(([], [opened]))
        elif len(starts_of(opened, question)) > MOST:
            found.append(None)
        else:
            made = list(prepare_each(one, opened, question, starts_of(opened, question)))
            good = [each for each in made if isinstance(each, Prepared)]
            found.append((good, [each for each in made if isinstance(each, Bad)]))
    return Ready(piece, found)


def opening(one: Wanted, question: Question) -> Recording | Bad:
    """A recording's leads that are asked for."""
    try:
        found = recordings.read(one.path, **dataclasses.asdict(one.said))
        return choose(found, question.leads)
    except Exception as error:  # whatever a file makes a library raise
        return Bad(one.record, None, _words(error))


def starts_of(recording: Recording, question: Question) -> list[float]:
    length = len(next(iter(recording.leads.values()))) / recording.rate
    return question.cut.starts(length)


def prepare_each(
    one: Wanted, recording: Recording, question: Question, starts: Sequence[float]
) -> Iterator[Prepared | Bad]:
    """Each window as the model is given it, or why it cannot be."""
    for start in starts:
        grid = question.rate, question.samples
        try:
            made = prepare(recording, *grid, start, question.cut.window or None)
        except Exception as error:
            yield Bad(one.record, start if question.cut.window else None, _words(error))
        else:
            yield dataclasses.replace(made, record=one.record)


def _words(error: Exception) -> str:
    """Of an error that is for people; the words of any other may quote the file."""
    return str(error) if isinstance(error, RecordError) else type(error).__name__
