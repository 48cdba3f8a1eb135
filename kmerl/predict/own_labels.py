"""Recordings and labels of one's own: the table, and the signals that a model reads of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kmerl.corpora.own_table import label_columns, read_own, read_told, told, truth_of
from kmerl.errors import printable
from kmerl.evaluation.own_probe import Labels
from kmerl.predict.preparing import choose, prepare
from kmerl.progress import track
from kmerl.recordings import RecordError
from kmerl.runtime import in_order

AHEAD = 64
"""Recordings that are held beside the one asked for."""


@dataclass(frozen=True)
class OwnLabels:
    """A table's rows: where each recording lies, and its labels.

    `notes` say which columns are no labels; `rejected` are (record or place in the table, reason).
    """

    labels: Labels
    paths: tuple[str, ...]
    told: tuple[list[tuple[str, str]], ...]
    splits: tuple[str, ...]
    notes: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Signals:
    """Of one recording, int16 microvolt (lead, sample) by lead set, or why there is none."""

    record: str
    found: dict[str, np.ndarray]
    missing: dict[str, str]


def read_labels(path: Path, wanted: Sequence[str]) -> OwnLabels:
    """
    Args:
        wanted: the columns that are labels; of none given, all that hold 1, 0 and nothing.

    Raises:
        CorpusError: the table cannot be read, or a column is missing.
        ValueError: there is no label, or two rows have one record.
    """
    names, others = (list(wanted), []) if wanted else label_columns(path)
    if not names:
        raise ValueError(f"{path} has no column of 1, 0 and nothing beside its names; add labels")
    rows = read_own(path, names)
    columns = {name: rows.table[name].to_pylist() for name in rows.table.column_names}
    records, empty = columns["record"], [""] * len(rows.table)
    seen, kept, rejected = set[str](), [], []
    for row, record in enumerate(records):
        if record in seen:
            rejected.append((record, "listed before"))
        else:
            kept.append(row)
        seen.add(record)
    rejected += [(one.record or one.detail, one.detail) for one in rows.rejected]

    def column(name: str) -> tuple[str, ...]:
        values = columns.get(name, empty)
        return tuple(values[row] for row in kept)

    taken = set(kept)
    patients = zip(column("patient"), column("record"), strict=True)
    return OwnLabels(
        Labels(
            column("record"),
            tuple(patient or f"record {record}" for patient, record in patients),
            {name: truth_of(column(name)) for name in names},
        ),
        column("path"),
        tuple(told(row) for place, row in enumerate(rows.table.to_pylist()) if place in taken),
        column("split"),
        tuple(
            f"column {name!r} is no label: it holds more than 1, 0 and nothing" for name in others
        ),
        tuple(rejected),
    )


def read_signals(
    folder: Path,
    table: OwnLabels,
    lead_sets: Mapping[str, tuple[str, ...]],
    rate: int,
    samples: int,
    threads: int,
) -> Iterator[Signals]:
    """Of each recording of the table, in its order.

    Args:
        rate: of the model, in Hz; it reads `samples` samples a lead, from the first on.
    """

    def work(row: int) -> Signals:
        record = table.labels.records[row]
        try:
            found = read_told(folder / table.paths[row], table.told[row])
        except RecordError as error:
            return Signals(record, {}, dict.fromkeys(lead_sets, printable(str(error))))
        signals, missing = {}, {}
        for key, leads in lead_sets.items():
            try:
                signals[key] = prepare(choose(found, "+".join(leads)), rate, samples).signal
            except RecordError as error:
                missing[key] = printable(str(error))
        return Signals(record, signals, missing)

    rows = range(len(table.labels.records))
    found = in_order(work, rows, threads, ahead=AHEAD)
    yield from track(found, "recordings", len(rows), "recordings")
