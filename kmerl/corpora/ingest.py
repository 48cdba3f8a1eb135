"""Ingest: a corpus in its official layout in, a store and a list of rejections out.

Records are taken in the order of sha256(record id) and cut into shards of `ingest.shard` of them;
each shard is read, converted and written by one worker, record by record. So what is written
does not depend on the number of workers, memory does not grow with the number of records, and
one bad record costs one line of rejected.csv.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from joblib import Parallel, delayed

from kmerl import params
from kmerl.corpora.conform import Ingest, conform, doubts
from kmerl.corpora.headers import read_header
from kmerl.corpora.records import (
    CORPORA,
    Corpus,
    CorpusError,
    Entry,
    Listing,
    RejectedRecord,
    Rejection,
    Scheme,
)
from kmerl.corpora.struct_files import read_struct
from kmerl.corpora.wfdb_files import Channels, read_recording
from kmerl.files import atomic, fresh_directory, write_csv, write_json
from kmerl.leads import LEADS
from kmerl.params import checked
from kmerl.progress import track
from kmerl.store import NAME, ShardWriter, label_column, schema
from kmerl.tasks.classes import classes, tasks_of


@checked
class CorpusFiles:
    """One entry of the `corpora` section: where a corpus lies, and its own list of files."""

    root: str
    manifest: str


@dataclass(frozen=True)
class Form:
    """How the records of a corpus are read and written, which is the same for every shard."""

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

    Args:
        workers: processes; what is written does not depend on it.
        backend: joblib's: loky, threading, or ray and dask where they are installed.

    Raises:
        CorpusError: the root, an official file or a column of one is missing.
    """
    listing = read_listing(corpus, root, settings)
    fresh_directory(out)
    labels = [label_column(task, c.code) for task in tasks_of(corpus) for c in classes(task)]
    layout = schema(settings.rate, settings.samples, labels)
    form = Form(corpus, root, listing.scheme, layout, settings)
    starts = range(0, max(len(listing.table), 1), settings.shard)
    parts = (listing.table.slice(start, settings.shard) for start in starts)
    jobs = (
        delayed(write_shard)(
            out / NAME.format(number), [Entry(**row) for row in part.to_pylist()], form
        )
        for number, part in enumerate(parts)
    )
    parallel = Parallel(min(workers, len(starts)), backend=backend, return_as="generator")
    counts, rejected = Counter[str](), list(listing.rejected)
    for part, bad in track(parallel(jobs), f"ingest {corpus}", total=len(starts), unit="shards"):
        counts += part
        rejected += bad
    write_csv(out / "rejected.csv", Rejection._fields, sorted(rejected))
    write_json(metrics, {corpus: summary(counts, rejected)})


def read_listing(corpus: str, root: Path, settings: Ingest) -> Listing:
    """The records of a corpus in store order, without duplicates and unreported ones.

    Raises:
        CorpusError: the root, an official file or a column of one is missing.
    """
    if not root.is_dir():
        raise CorpusError(
            f"corpora.{corpus}.root is {root}, which is no directory; set it in params.yaml to the "
            f"corpus's official folder, or run `dvc repro synthesize` for the synthetic cohort"
        )
    listing: Listing = import_module(f"kmerl.corpora.{CORPORA[corpus]}").listing(root)
    rejected, seen, kept = list(listing.rejected), set[str](), []
    statements = pc.list_value_length(listing.table["report"]).to_pylist()
    for row, record in enumerate(listing.table["record"].to_pylist()):
        if record in seen:
            rejected.append(Rejection(record, "duplicate_id", "listed before"))
        elif corpus in settings.require_report and not statements[row]:
            rejected.append(Rejection(record, "missing_report", "no statement"))
        else:
            kept.append((hashlib.sha256(record.encode()).digest(), row))
        seen.add(record)
    order = pa.array([row for _, row in sorted(kept)], pa.int64())
    return Listing(listing.table.take(order), listing.scheme, rejected)


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
            writer.add(row, signal)
            counts.update({"records": 1, **noted})
    return counts, rejected


def read_record(entry: Entry, form: Form) -> tuple[dict[str, object], np.ndarray, dict[str, int]]:
    """A record's columns, its int16 (12, samples) signal, and what was noted about it.

    Raises:
        RejectedRecord: the record cannot be used.
    """
    try:
        recording, dx = _read(form.root / entry.path)
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


def _read(path: Path) -> tuple[Channels, str]:
    """A record as `Entry.path` names it, and its `#Dx` line."""
    if path.suffix == ".mat":
        return read_struct(path), ""
    path = path.with_name(path.name + ".hea")
    header = read_header(path)
    return read_recording(path, header), header.comment("Dx")


def _noted(recording: Channels, settings: Ingest, kept: int, nan: np.ndarray) -> dict[str, int]:
    """What happened to an accepted record, as counts for the metrics."""
    seconds = recording.signal.shape[1] / recording.rate
    return {
        "extra_leads": int(recording.extra > 0),
        "saturated": int(recording.saturated > 0),
        "repaired_nan": int(nan.any()),
        "resampled": int(recording.rate != settings.rate),
        "cropped": int(seconds > kept),
        "padded": int(min(seconds, kept) < settings.seconds),
    }


def summary(counts: Counter[str], rejected: list[Rejection]) -> dict[str, int]:
    """The metrics of a corpus: records kept, what was done to them, rejections by reason."""
    noted = ("extra_leads", "saturated", "repaired_nan", "resampled", "cropped", "padded")
    reasons = Counter(rejection.reason for rejection in rejected)
    return {
        "records": counts["records"],
        **{name: counts[name] for name in noted},
        **{name: number for name, number in counts.items() if name.startswith("implausible_")},
        "rejected": len(rejected),
        **{f"rejected_{reason}": number for reason, number in reasons.items()},
    }
