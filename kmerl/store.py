"""The store: one corpus's records as Parquet, a column a lead, and the readers of it.

A directory of shards `signals-NNNNN.parquet`. Rows lie in the order of sha256(record id), so that
neighbours are unrelated patients, and in row groups of a few records, so that a reader may choose
other leads for every few records and decode only those (Sec. 3.3, dynamic lead masking). A "row"
is a record's number counted over all shards.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kmerl.files import DamagedError, reading
from kmerl.leads import LEADS

NAME = "signals-{:05d}.parquet"
SAMPLES = pa.list_(pa.field("element", pa.int16(), nullable=False))
RATE, LENGTH = b"kmerl.rate", b"kmerl.samples"  # Hz, and samples a lead, in a shard's metadata
FACTS = ("min", "max", "nan")
"""Columns `<fact>.<lead>`: extremes in microvolt, and how many NaN samples were repaired."""


_AGAIN = "run `dvc repro ingest` again"
_LABEL = pa.bool_()


class StoreError(ValueError):
    """A store is missing, empty or not what a reader was promised; the message says what to do."""


def label_column(task: str, code: str) -> str:
    """The column of a class's label: true, false, or null where the record is no member."""
    return f"label.{task}.{code}"


def schema(rate: int, samples: int, labels: Sequence[str] = ()) -> pa.Schema:
    """The columns of a shard whose leads have `samples` samples at `rate` Hz."""

    def field(name: str, kind: pa.DataType) -> pa.Field:
        return pa.field(name, kind, nullable=False)

    facts = {"min": pa.int16(), "max": pa.int16(), "nan": pa.int32()}
    return pa.schema(
        [
            field("record", pa.string()),
            field("patient", pa.string()),
            field("split", pa.string()),
            field("source_rate", pa.int32()),
            field("source_samples", pa.int32()),
            field("report", pa.list_(pa.string())),
            field("codes", pa.list_(pa.string())),
            *(field(lead, SAMPLES) for lead in LEADS),
            *(field(f"{fact}.{lead}", facts[fact]) for fact in FACTS for lead in LEADS),
            *(pa.field(label, pa.bool_()) for label in labels),
        ],
        metadata={RATE: str(rate), LENGTH: str(samples)},
    )


_LAYOUT = schema(1, 1)  # the types of all columns but labels, whatever the rate and the length


class ShardWriter:
    """Writes one shard in row groups of `group` records; memory does not grow with their number.

    The file appears under its name only when the block ends without an error; `path` is the
    temporary path that `kmerl.files.atomic` gives.
    """

    BUFFERED = 64  # records encoded at once, or a row group where that is more

    def __init__(self, path: Path, layout: pa.Schema, group: int) -> None:
        self._layout, self._group = layout, group
        self._rows: list[dict[str, object]] = []
        held = -(-self.BUFFERED // group) * group
        samples = int(layout.metadata[LENGTH])
        self._signals = np.empty((len(LEADS), held, samples), np.int16)  # one, written over
        self._file = pq.ParquetWriter(
            path,
            layout,
            compression=_compression(layout),
            use_dictionary=False,
            write_statistics=False,  # a third of the footer, and no reader asks
            column_encoding={f"{lead}.list.element": "DELTA_BINARY_PACKED" for lead in LEADS},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._file.close()

    def add(self, row: dict[str, object], signal: np.ndarray) -> None:
        """A record: its columns but those of the leads, and int16 (12, samples) in microvolt."""
        self._signals[:, len(self._rows)] = signal
        self._rows.append(row)
        if len(self._rows) == self._signals.shape[1]:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        count = len(self._rows)
        leads = {lead: _lists(self._signals[i, :count]) for i, lead in enumerate(LEADS)}
        arrays = [
            leads[f.name]
            if f.name in leads
            else pa.array([row[f.name] for row in self._rows], f.type)
            for f in self._layout
        ]
        self._file.write_table(pa.Table.from_arrays(arrays, schema=self._layout), self._group)
        self._rows = []


def _compression(layout: pa.Schema) -> dict[str, str]:
    """zstd for the leads; nothing for the few bytes that a group has of any other column."""
    leaves = {f.name: f"{f.name}.list.element" for f in layout if pa.types.is_list(f.type)}
    return {leaves.get(name, name): "zstd" if name in LEADS else "none" for name in layout.names}


def _lists(block: np.ndarray) -> pa.ListArray:
    rows, samples = block.shape
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * samples)
    return pa.ListArray.from_arrays(offsets, pa.array(block.reshape(-1)), type=SAMPLES)


def shards(directory: Path | str) -> list[Path]:
    """The shards of a store, in row order.

    Raises:
        StoreError: there is none.
    """
    found = sorted(Path(directory).glob("signals-*.parquet"))
    if not found:
        raise StoreError(
            f"{directory} holds no signals-*.parquet; run `dvc repro ingest@{Path(directory).name}`"
        )
    return found


def read_table(directory: Path | str, columns: Sequence[str]) -> pa.Table:
    """The named columns of all rows, in row order. Meant for metadata, facts and labels.

    Raises:
        StoreError: no store, or no such column.
    """
    paths = shards(directory)
    with reading(paths[0], _AGAIN):
        known = pq.read_schema(paths[0]).names
    missing = [name for name in columns if name not in known]
    if missing:
        raise StoreError(f"{directory} has no column {', '.join(map(repr, missing))}")
    tables = [_read_columns(path, list(columns)) for path in paths]
    return pa.concat_tables(tables).replace_schema_metadata(None).combine_chunks()


def read_parquet(
    path: Path, again: str, columns: Mapping[str, pa.DataType], others: pa.DataType
) -> pa.Table:
    """A whole file with these columns, and more of the type `others`; none lacks a value.

    Args:
        again: what to do where it is another, see `kmerl.files.reading`.

    Raises:
        DamagedError: the file is torn, or it is another.
    """
    with reading(path, again):
        table = pq.read_table(path)
        table.validate(full=True)  # texts are UTF-8
        names = table.column_names
        if missing := [name for name in columns if names.count(name) != 1]:
            raise DamagedError(f"{path} has not one column {missing[0]!r}; {again}")
        for name, column in zip(names, table.columns, strict=True):
            kind = columns.get(name, others)
            if column.type != kind or column.null_count:
                held = f"{column.type} and {column.null_count} times nothing"
                raise DamagedError(f"{path}: column {name!r} holds {held}, not {kind}; {again}")
    return table


def whole_range(directory: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """int16 (rows,), twice: each record's lowest and highest microvolt over the twelve leads.

    Raises:
        StoreError: no store.
    """
    table = read_table(directory, [f"{fact}.{lead}" for fact in ("min", "max") for lead in LEADS])
    low, high = (
        np.stack([table[f"{fact}.{lead}"].to_numpy() for lead in LEADS]) for fact in ("min", "max")
    )
    return low.min(axis=0), high.max(axis=0)


def _read_columns(path: Path, columns: list[str]) -> pa.Table:
    # three times as fast as pq.read_table on small groups
    with reading(path, _AGAIN), pq.ParquetFile(path) as file:
        table = file.read(columns=columns, use_threads=False).select(columns)
        table.validate(full=True)  # texts are UTF-8
        for name, column in zip(columns, table.columns, strict=True):
            label = name not in _LAYOUT.names
            if column.type != (_LABEL if label else _LAYOUT.field(name).type):
                raise DamagedError(f"{path}: column {name!r} holds {column.type}; {_AGAIN}")
            if column.null_count and not label:
                raise DamagedError(f"{path}: column {name!r} lacks a value; {_AGAIN}")
    return table


@dataclass(frozen=True)
class Groups:
    """Every row group of a store: its shard, its number in it, and its first row."""

    paths: tuple[Path, ...]
    samples: int  # a lead
    rate: int  # Hz
    shard: np.ndarray
    number: np.ndarray
    start: np.ndarray  # one more than there are groups: the last is the number of rows

    @property
    def rows(self) -> int:
        return int(self.start[-1])

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The group in which each row lies.

        Raises:
            StoreError: a row outside the store.
        """
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.rows:
            raise StoreError(f"rows go from {rows.min()} to {rows.max()}; there are {self.rows}")
        return np.searchsorted(self.start, rows, side="right") - 1


def row_groups(directory: Path | str) -> Groups:
    """Where the rows of a store lie, from the shards' footers."""
    paths = shards(directory)
    shard: list[int] = []
    number: list[int] = []
    sizes: list[int] = []
    for i, path in enumerate(paths):
        with reading(path, _AGAIN):
            footer = pq.read_metadata(path)
            samples, rate = (int((footer.metadata or {})[key]) for key in (LENGTH, RATE))
        count = footer.num_row_groups
        shard += [i] * count
        number += range(count)
        sizes += [footer.row_group(j).num_rows for j in range(count)]
    start = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    return Groups(tuple(paths), samples, rate, np.array(shard, int), np.array(number, int), start)


class OpenShards:
    """Shards kept open, the least recently used one closed beyond `limit`. For one thread."""

    def __init__(self, groups: Groups, limit: int) -> None:
        self._groups, self._limit = groups, limit
        self._open: OrderedDict[int, pq.ParquetFile] = OrderedDict()

    def signal(self, shard: int, numbers: Sequence[int], leads: Sequence[str]) -> np.ndarray:
        """int16 (rows, leads, samples) of some row groups of a shard; no other lead is decoded."""
        with reading(self._groups.paths[shard], _AGAIN):
            file = self._file(shard)
            table = file.read_row_groups(list(numbers), columns=list(leads), use_threads=False)
            signal = np.empty((table.num_rows, len(leads), self._groups.samples), np.int16)
            for i, lead in enumerate(leads):
                column = table.column(lead)
                if column.type != SAMPLES:
                    raise TypeError(f"lead {lead} holds {column.type}")
                values = [chunk.values.to_numpy() for chunk in column.chunks]
                signal[:, i] = np.concatenate(values).reshape(signal.shape[::2])
        return signal

    def _file(self, shard: int) -> pq.ParquetFile:
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        if len(self._open) == self._limit:
            self._open.popitem(last=False)[1].close()
        self._open[shard] = pq.ParquetFile(self._groups.paths[shard])
        return self._open[shard]


def read_signals(
    directory: Path | str, leads: Sequence[str], batch_size: int, rows: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(rows, int16 (batch, leads, samples)) in row order, `batch_size` at a time.

    Args:
        leads: the leads to decode, in the order wanted.
        rows: the rows to read, ascending; all of them by default.
    """
    groups = row_groups(directory)
    wanted = np.arange(groups.rows) if rows is None else np.asarray(rows)
    files = OpenShards(groups, limit=1)
    for begin in range(0, len(wanted), batch_size):
        batch = wanted[begin : begin + batch_size]
        needed = np.unique(groups.of(batch))
        parts = []
        for shard in np.unique(groups.shard[needed]):
            here = needed[groups.shard[needed] == shard]
            signal = files.signal(int(shard), groups.number[here].tolist(), leads)
            held = np.concatenate([np.arange(groups.start[g], groups.start[g + 1]) for g in here])
            parts.append(signal[np.isin(held, batch)])
        yield batch, np.concatenate(parts)
