"""Ingest: a corpus in its official layout in, a store and a list of rejections out.

Records are taken in the order of sha256(record id) and cut into shards of `ingest.shard` of them;
each shard is read, converted and written by one worker, record by record. So what is written
does not depend on the number of workers, memory does not grow with the number of records, and
one bad record costs one line of rejected.csv: a corpus's records and rejections are together what
it lists, or the ingest ends with an error.
"""

import fcntl
from collections import Counter
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from joblib import Parallel, delayed

from kmerl import params
from kmerl.corpora.conform import Ingest, conform, doubts
from kmerl.corpora.listing import read_listing
from kmerl.corpora.records import (
    Corpus,
    CorpusError,
    Entry,
    Listing,
    Rejection,
    Scheme,
    inside,
)
from kmerl.files import atomic, fresh_directory, write_csv, write_json
from kmerl.leads import LEADS
from kmerl.params import checked
from kmerl.progress import track
from kmerl.recordings.headers import read_header
from kmerl.recordings.rejecting import RejectedRecord
from kmerl.recordings.struct_files import read_struct
from kmerl.recordings.wfdb_files import Channels, read_recording
from kmerl.store import NAME, ShardWriter, label_column, schema, write_index
from kmerl.tasks.classes import classes, tasks_of


@checked
class CorpusFiles:
    """One entry of the `corpora` section: where a corpus lies, and its own list of files."""

    root: str
    manifest: str


@dataclass(frozen=True)
class Form:
    """How the records of a corpus are read and written, which is the same for every shard.

    `root` is resolved: no link, no "..".
    """

    corpus: str
    root: Path
    scheme: Scheme
    layout: pa.Schema
    settings: Ingest


Corpora = dict[Corpus, CorpusFiles]


def corpus_files(corpus: str, path: Path | str = "params.yaml") -> CorpusFiles:
    """`corpora.<corpus>` of params.yaml.

    Raises:
        ParamsError: the corpus is not in the file.
    """
    known = params.load("corpora", Corpora, path)
    found = known.get(cast(Corpus, corpus))
    if found is None:
        raise params.ParamsError(f"unknown corpus {corpus!r}; {path} has {', '.join(known)}")
    return found


def ingest(
    corpus: str,
    root: Path,
    out: Path,
    metrics: Path,
    *,
    settings: Ingest,
    workers: int,
    backend: str,
) -> None:
    """Write the store of a corpus to `out`, with rejected.csv, and its counts to `metrics`.

    Lines of the corpus's files that could not be read and name no record are in unread.csv.

    Args:
        workers: processes; what is written does not depend on it.
        backend: joblib's: loky, threading, or ray and dask where they are installed.

    Raises:
        CorpusError: the root, an official file or a column of one is missing; another ingest
            writes to `out`; a worker process ended; a record was lost.
    """
    with _alone(out):
        listing = read_listing(corpus, root, settings)
        labels = [label_column(task, c.code) for task in tasks_of(corpus) for c in classes(task)]
        layout = schema(settings.rate, settings.samples, labels)
        form = Form(corpus, root.resolve(), listing.scheme, layout, settings)
        fresh_directory(out)
        counts, rejected = _write_shards(out, listing.table, form, workers, backend)
        rejected += listing.rejected
        if counts["records"] + len(rejected) != listing.listed:
            raise CorpusError(
                f"{corpus} lists {listing.listed} records, but {counts['records']} are stored and "
                f"{len(rejected)} rejected; this is a fault of kmerl.corpora: please report it"
            )
        write_csv(out / "rejected.csv", Rejection._fields, sorted(rejected))
        if listing.unread:
            write_csv(out / "unread.csv", Rejection._fields, listing.unread)
        write_index(out, workers)
        write_json(metrics, {corpus: summary(counts, rejected, listing)})


@contextmanager
def _alone(out: Path) -> Iterator[None]:
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


def _write_shards(
    out: Path, table: pa.Table, form: Form, workers: int, backend: str
) -> tuple[Counter[str], list[Rejection]]:
    """All shards of a store: counts and rejections of the records of `table`.

    Raises:
        CorpusError: a worker process ended.
    """
    size = form.settings.shard
    starts = range(0, max(len(table), 1), size)
    jobs = (
        delayed(write_shard)(
            out / NAME.format(number),
            [Entry(**row) for row in table.slice(start, size).to_pylist()],
            form,
        )
        for number, start in enumerate(starts)
    )
    parallel = Parallel(min(workers, len(starts)), backend=backend, return_as="generator")
    counts, rejected = Counter[str](), list[Rejection]()
    total, what = len(starts), f"ingest {form.corpus}"
    try:
        for part, bad in track(parallel(jobs), what, total=total, unit="shards"):
            counts += part
            rejected += bad
    except BrokenProcessPool:
        begun = sorted(path.name[1:].removesuffix(".partial") for path in out.glob(".*.partial"))
        raise CorpusError(
            f"{what}: a worker process was killed or crashed; of {total} shards these were being "
            f"written: {', '.join(begun) or 'none'}. If memory ran out, lower runtime.workers. If "
            f"it ends there again, one of their records makes a library crash: with "
            f"runtime.workers: 1 the last file in {out} says in which shard; please report it"
        ) from None
    return counts, rejected


def write_shard(
    path: Path, entries: list[Entry], form: Form
) -> tuple[Counter[str], list[Rejection]]:
    """Read, convert and write the records of one shard; its counts and its rejections."""
    counts, rejected = Counter[str](), []
    with (
        atomic(path) as partial,
        ShardWriter(partial, form.layout, form.settings.group) as writer,
    ):
        for entry in entries:
            try:
                row, signal, noted = read_record(entry, form)
            except RejectedRecord as reason:
                rejected.append(Rejection(entry.record, reason.reason, reason.detail))
                continue
            except Exception as error:  # whatever a file makes a reader raise, memory included
                kind = type(error).__name__  # its text may hold a path or a report
                rejected.append(Rejection(entry.record, "unreadable_record", kind))
                continue
            writer.add(row, signal)
            counts.update({"records": 1, **noted})
    return counts, rejected


def read_record(entry: Entry, form: Form) -> tuple[dict[str, object], np.ndarray, dict[str, int]]:
    """A record's columns, its int16 (12, samples) signal, and what was noted about it.

    Raises:
        RejectedRecord: the record cannot be used.
    """
    try:
        recording, dx = _read(form.root, entry.path)
    except OSError as error:
        name = Path(entry.path).name
        raise RejectedRecord("unreadable_file", f"{name}: errno {error.errno}") from None
    seconds = form.settings.kept_seconds(form.corpus)
    signal, nan = conform(recording, form.settings, seconds)
    codes = dx.split(",") if entry.codes is None else entry.codes
    codes = sorted(code.strip() for code in codes if code.strip())
    row: dict[str, object] = {
        "record": entry.record,
        "patient": entry.patient,
        "split": entry.split,
        "source_rate": round(recording.rate),
        "source_samples": recording.signal.shape[1],
        "report": entry.report,
        "codes": codes,
    }
    facts = {"min": signal.min(axis=1), "max": signal.max(axis=1), "nan": nan}
    for fact, values in facts.items():
        row |= {f"{fact}.{lead}": int(value) for lead, value in zip(LEADS, values, strict=True)}
    for task, labels in form.scheme.labels(codes).items():
        row |= {label_column(task, code): value for code, value in labels.items()}
    noted = _noted(recording, form.settings, seconds, nan)
    facts_against = doubts(recording, signal, form.settings, seconds)
    return row, signal, noted | {f"implausible_{fact}": 1 for fact in facts_against}


def _read(root: Path, name: str) -> tuple[Channels, str]:
    """A record as `Entry.path` names it, and its `#Dx` line; no file of it is outside `root`."""
    if name.endswith(".mat"):
        return read_struct(inside(root, name)), ""
    path = inside(root, f"{name}.hea")
    header = read_header(path)
    for file in {line.file for line in header.signals}:
        inside(root, str(Path(name).parent / file))
    return read_recording(path, header), header.comment("Dx")


def _noted(recording: Channels, settings: Ingest, kept: int, nan: np.ndarray) -> dict[str, int]:
    """What happened to an accepted record, as counts for the metrics."""
    seconds = recording.signal.shape[1] / recording.rate
    return {
        "extra_leads": int(bool(recording.left_out)),
        "saturated": int(recording.saturated > 0),
        "repaired_nan": int(nan.any()),
        "resampled": int(recording.rate != settings.rate),
        "cropped": int(seconds > kept),
        "padded": int(min(seconds, kept) < settings.seconds),
    }


def summary(counts: Counter[str], rejected: list[Rejection], listing: Listing) -> dict[str, int]:
    """The metrics of a corpus: records listed and kept, what was done to them, rejections by
    reason, and lines that belong to no record where there are any."""
    noted = ("extra_leads", "saturated", "repaired_nan", "resampled", "cropped", "padded")
    reasons = Counter(rejection.reason for rejection in rejected)
    return {
        "listed": listing.listed,
        "records": counts["records"],
        **{name: counts[name] for name in noted},
        **{name: number for name, number in counts.items() if name.startswith("implausible_")},
        "rejected": len(rejected),
        **{f"rejected_{reason}": number for reason, number in reasons.items()},
        **({"unread_lines": len(listing.unread)} if listing.unread else {}),
    }
