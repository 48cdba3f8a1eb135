"""One shard of a store: records read, converted and written, by whichever process is free."""

import socket
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from kmerl.corpora.conform import Ingest, conform, doubts
from kmerl.corpora.records import (
    CorpusError,
    Entry,
    Rejection,
    Scheme,
    inside,
)
from kmerl.corpora.staging import Staging, Written, inputs_of
from kmerl.leads import LEADS
from kmerl.recordings.headers import read_header
from kmerl.recordings.rejecting import RejectedRecord
from kmerl.recordings.struct_files import read_struct
from kmerl.recordings.wfdb_files import Channels, read_recording
from kmerl.store import ShardWriter, label_column


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


class Shard(NamedTuple):
    """A file of the store, and the records that belong into it."""

    name: str
    entries: list[Entry]


def write_shard(shard: Shard, form: Form, staged: Staging) -> Written:
    """Read, convert and write the records of one shard, unless an earlier run has done it.

    Raises:
        CorpusError: this machine does not see the corpus, or where the store is written.
    """
    for folder in (form.root, staged.store):
        if not folder.is_dir():
            raise CorpusError(
                f"{socket.gethostname()} does not see {folder}; all workers need the same disk"
            )
    inputs = inputs_of(form.root, shard.entries)
    written = staged.kept(shard.name, inputs)
    if written is None:
        written = _write(shard, form, staged)
        staged.keep(shard.name, inputs, written)
    return written


def _write(shard: Shard, form: Form, staged: Staging) -> Written:
    counts, rejected = Counter[str](), []
    with (
        staged.writing(shard.name) as partial,
        ShardWriter(partial, form.layout, form.settings.group) as writer,
    ):
        for entry in shard.entries:
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
    return Written(counts, rejected)


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
