"""The whole synthetic cohort: four corpora in their official layouts, and the truth about them.

Beside them lie the files that MERL released about such corpora, as `merl`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from kmerl.engines import HERE, Engine, Workers
from kmerl.files import atomic, fresh_directory
from kmerl.params import CountOrZero, ShareBelowOne, checked
from kmerl.progress import track
from kmerl.synthetic import formats
from kmerl.synthetic.layouts import cpsc2018, csn, merl, mimic, ptbxl
from kmerl.synthetic.patients import Visit, visits
from kmerl.synthetic.recording import Recording, record
from kmerl.synthetic.reports import Report

Corpus = Literal["mimic-iv-ecg", "ptb-xl", "cpsc2018", "csn"]
CORPORA: tuple[Corpus, ...] = get_args(Corpus)
TRUTH_COLUMNS = ("record", "patient", "findings", "statements")
CHUNK = 16  # records a worker takes at once

LAYOUTS: dict[str, Any] = {
    "mimic-iv-ecg": mimic,
    "ptb-xl": ptbxl,
    "cpsc2018": cpsc2018,
    "csn": csn,
}


@checked
class Synthesize:
    """The `synthesize` section of params.yaml.

    Attributes:
        records: how many recordings of each corpus; 0 writes an empty but valid layout.
        validation_share: share of PTB-XL's patients in fold 9.
        test_share: share of PTB-XL's patients in fold 10.
    """

    records: dict[Corpus, CountOrZero]
    validation_share: ShareBelowOne
    test_share: ShareBelowOne

    def __post_init__(self) -> None:
        if missing := set(CORPORA) - set(self.records):
            raise ValueError(f"records: no number for {', '.join(sorted(missing))}")
        if self.validation_share + self.test_share >= 1:
            raise ValueError(
                f"validation_share={self.validation_share} and test_share={self.test_share} leave "
                "no patients to train on"
            )


@dataclass(frozen=True)
class Written:
    """What a worker tells of one record: its row of the tables, its truth, its files' digests."""

    row: dict[str, Any]
    truth: tuple[str, str, str, str]
    digests: dict[str, str]


def synthesize(
    params: Synthesize,
    seed: int,
    *,
    root: Path,
    truth: Path,
    engine: Engine = HERE,
) -> dict[str, int]:
    """Write all corpora and MERL's files below `root`, and the truth tables below `truth`.

    The bytes of a corpus depend on `seed`, its own number of records and, for PTB-XL, the two
    shares; not on the other corpora, nor on who does it.

    Returns:
        The number of recordings of each corpus.
    """
    fresh_directory(truth)
    rows: dict[str, list[dict[str, Any]]] = {}
    with engine.open() as workers:
        for corpus in CORPORA:
            written = _write_records(workers, params.records[corpus], corpus, seed, root / corpus)
            rows[corpus] = [entry.row for entry in written]
            _write_tables(params, corpus, written, root / corpus)
            _write(truth / f"{corpus}.csv", formats.table(TRUTH_COLUMNS, _truths(written)))
    folder = fresh_directory(root / "merl")
    shares = (params.validation_share, params.test_share)
    for path, content in merl.files(rows, ptbxl.folds(rows["ptb-xl"], shares)).items():
        _write(folder / path, content)
    return {corpus: params.records[corpus] for corpus in CORPORA}


def _write_records(
    workers: Workers, count: int, corpus: str, seed: int, folder: Path
) -> list[Written]:
    fresh_directory(folder)
    planned = list(visits(seed, corpus, count))
    chunks = [planned[start : start + CHUNK] for start in range(0, count, CHUNK)]
    work = partial(_write_chunk, folder=folder.resolve())
    done = workers.run(work, chunks, ordered=True)
    done = track(done, f"synthesize {corpus}", total=len(chunks), unit="chunks")
    return [written for chunk in done for written in chunk]


def _write_chunk(chunk: Sequence[Visit], folder: Path) -> list[Written]:
    """Simulate and write a few visits; runs in a worker."""
    return [_write_visit(visit, folder) for visit in chunk]


def _write_visit(visit: Visit, folder: Path) -> Written:
    layout = LAYOUTS[visit.patient.corpus]
    recording = record(visit, layout.UNITS_PER_MV)
    said = layout.report(recording)
    digests = {}
    for path, content in layout.files(recording).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
        digests[path] = formats.digest(content)
    return Written(layout.row(recording, said), _truth(recording, said, layout), digests)


def _truth(recording: Recording, said: Report, layout: Any) -> tuple[str, str, str, str]:
    """Record, patient, findings and statements, the last two as JSON."""
    visit = recording.visit
    statements = [asdict(statement) for statement in said.statements]
    return (
        layout.record_id(visit),
        layout.patient_id(visit.patient),
        json.dumps(visit.findings),
        json.dumps(statements, ensure_ascii=False),
    )


def _truths(written: Iterable[Written]) -> list[tuple[str, str, str, str]]:
    return sorted(entry.truth for entry in written)


def _write_tables(
    params: Synthesize, corpus: str, written: Sequence[Written], folder: Path
) -> None:
    """The corpus's tables, and last SHA256SUMS.txt, which is there only if all the rest is."""
    rows = [entry.row for entry in written]
    digests = {path: value for entry in written for path, value in entry.digests.items()}
    if corpus == "ptb-xl":
        tables = ptbxl.tables(rows, (params.validation_share, params.test_share))
    else:
        tables = LAYOUTS[corpus].tables(rows)
    for path, content in tables.items():
        _write(folder / path, content)
        digests[path] = formats.digest(content)
    _write(folder / "SHA256SUMS.txt", formats.sha256sums(digests))


def _write(path: Path, content: bytes) -> None:
    with atomic(path) as partial:
        partial.write_bytes(content)
