"""One command for many recordings: pieces read by workers, answered in batches, kept through a
kill, and put together into one file at the end.

What is done lies in a folder beside the file, named after all that decides the answers but the
recordings: code, model, names, leads, windows. Whoever runs the same again goes on there; a piece
whose files have changed meanwhile is done again. What was there under the file's name stays until
the new one takes its place.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from kmerl.engines import Engine, LostError, code
from kmerl.files import alone, atomic, write_csv, write_text
from kmerl.predict import batching, tables
from kmerl.predict.finding import Wanted
from kmerl.predict.model import Model
from kmerl.predict.pieces import (
    Bad,
    Piece,
    Question,
    Ready,
    cut_up,
    opening,
    prepare_each,
    read_piece,
    starts_of,
)
from kmerl.predict.preparing import Prepared
from kmerl.progress import Meter

PART = 1024  # windows of a long recording that are kept together


@dataclasses.dataclass(frozen=True)
class Summary:
    """How it went: rows in the file, recordings that have one, and what could not be used."""

    rows: int
    recordings: int
    bad: list[Bad]


@dataclasses.dataclass(frozen=True)
class Job:
    """What is asked of every recording; `names` are None for features."""

    model: Model
    question: Question
    names: tuple[str, ...] | None
    folder: Path

    def answer(self, prepared: Iterable[Prepared], part: Path) -> int:
        """Answer and keep; how many rows."""
        work = self.model.features if self.names is None else self.model.asked(self.names)
        frame = batching.frame(self.model.answers(prepared, work), self.names)
        with atomic(part) as partial_file:
            tables.write_part(frame, partial_file)
        return len(frame)


def run(
    model: Model,
    wanted: Sequence[Wanted],
    out: Path,
    question: Question,
    names: tuple[str, ...] | None,
    engine: Engine,
) -> Summary:
    """Write the answers of all recordings to `out`, and what could not be used beside it.

    Args:
        out: .parquet, .csv or .jsonl; beside a.parquet, a.bad.csv has a line for each recording or
            window that could not be used, with the reason, and is not there if there is none.
        names: class names, or None for features.

    Raises:
        ValueError: another suffix, or a window longer than what the model reads.
        BusyError: another run writes to `out`.
        LostError: the workers of one piece were lost each time.
    """
    tables.check(out)
    if question.cut.window > model.seconds:
        raise ValueError(
            f"--window {question.cut.window:g}: the model reads {model.seconds:g} s at most"
        )
    told = (code(), model.digest, model.config.method, question, names, model.batch, model.device)
    digest = hashlib.sha256(repr(told).encode()).hexdigest()[:16]
    with alone(out, "run"), _folder(out, digest) as folder:
        job = Job(model, question, names, folder)
        pieces = {piece.name(): piece for piece in cut_up(wanted, question.cut)}
        _answer_all(job, pieces, engine)
        notes = [json.loads((folder / f"{name}.json").read_bytes()) for name in pieces]
        bad = [Bad(*line) for note in notes for line in note["bad"]]
        parts = [folder / part for note in notes for part in note["parts"]]
        rows = tables.write(parts, out, batching.frame([], names))
        listed = bad_file(out)
        if bad:
            write_csv(listed, Bad._fields, bad)
        else:
            listed.unlink(missing_ok=True)
        shutil.rmtree(folder)
    unusable = {one.record for one in bad if one.start is None}
    return Summary(rows, len(wanted) - len(unusable), bad)


def bad_file(out: Path) -> Path:
    """Where that is listed which could not be used."""
    return out.with_suffix(".bad.csv")


@contextmanager
def _folder(out: Path, digest: str) -> Iterator[Path]:
    """Where what is done is kept; what another question has left there is removed."""
    folder = out.parent.resolve() / f".{out.name}-{digest}"
    for stale in folder.parent.glob(f".{out.name}-{'[0-9a-f]' * len(digest)}"):
        if stale != folder:
            shutil.rmtree(stale)
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def _answer_all(job: Job, pieces: dict[str, Piece], engine: Engine) -> None:
    """Every piece that is not done yet."""
    done = {name for name in pieces if (job.folder / f"{name}.json").exists()}
    count = [len(pieces[name].wanted) for name in pieces]
    before = sum(len(pieces[name].wanted) for name in done)
    todo = [piece for name, piece in pieces.items() if name not in done]
    names = {piece.number: name for name, piece in pieces.items()}
    what = "features" if job.names is None else "predicting"
    meter = Meter(what, sum(count), "recordings", before)
    try:
        work = partial(read_piece, question=job.question)
        small = dataclasses.replace(engine, workers=min(engine.workers, len(todo) or 1))
        with small.open() as workers:
            for ready in workers.run(work, todo):
                _answer(job, ready, names[ready.piece.number])
                meter.advance(len(ready.piece.wanted))
    except LostError as error:
        piece = error.item
        assert isinstance(piece, Piece)
        raise LostError(
            f"{error.args[0]}: recordings {piece.wanted[0].path} to {piece.wanted[-1].path}; if "
            "memory ran out, give fewer --workers",
            piece,
        ) from None
    finally:
        meter.close()


def _answer(job: Job, ready: Ready, name: str) -> None:
    """Answer a piece and note that it is done: its parts in the order of its recordings."""
    parts: list[str] = []
    bad: list[Bad] = []
    waiting: list[Prepared] = []

    def keep(prepared: Sequence[Prepared]) -> None:
        part = f"{name}-{len(parts):05d}.parquet"
        parts.append(part)
        job.answer(prepared, job.folder / part)

    for one, found in zip(ready.piece.wanted, ready.of, strict=True):
        if found is not None:
            waiting += found[0]
            bad += found[1]
            continue
        if waiting:
            keep(waiting)
            waiting = []
        for part, said in _long(job, one, f"{name}-{len(parts):05d}"):
            parts += [part] if part else []
            bad += said
    if waiting:
        keep(waiting)
    note = {"parts": parts, "bad": bad}
    write_text(job.folder / f"{name}.json", json.dumps(note))


def _long(job: Job, one: Wanted, name: str) -> Iterator[tuple[str, list[Bad]]]:
    """The parts of a long recording, and what could not be used of each; those that are there
    already are not done again."""
    opened = opening(one, job.question)
    if isinstance(opened, Bad):
        yield "", [opened]
        return
    starts = starts_of(opened, job.question)
    for first in range(0, len(starts), PART):
        part = f"{name}-{first // PART:05d}.parquet"
        note = job.folder / f"{part}.json"
        if not note.exists():
            here = starts[first : first + PART]
            bad: list[Bad] = []

            def good(here: Sequence[float] = here, bad: list[Bad] = bad) -> Iterator[Prepared]:
                for made in prepare_each(one, opened, job.question, here):
                    if isinstance(made, Bad):
                        bad.append(made)
                    else:
                        yield made

            job.answer(good(), job.folder / part)
            write_text(note, json.dumps(bad))
        yield part, [Bad(*line) for line in json.loads(note.read_bytes())]
