"""What stands in the columns of a store: metadata of all rows, signals of some leads."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kmerl.files import DamagedError, reading
from kmerl.store.index import INDEX, NAMES, Groups, read_index
from kmerl.store.layout import AGAIN, SAMPLES, StoreError, columns_of, shards


def read_table(directory: Path | str, columns: Sequence[str]) -> pa.Table:
    """The named columns of all rows, in row order. Meant for metadata, facts and labels.

    Raises:
        StoreError: no store, or no such column.
    """
    if set(columns) <= set(NAMES) and (Path(directory) / INDEX).exists():
        return read_index(directory).names.select(list(columns))
    paths = shards(directory)
    with reading(paths[0], AGAIN):
        known = pq.read_schema(paths[0]).names
    missing = [name for name in columns if name not in known]
    if missing:
        raise StoreError(f"{directory} has no column {', '.join(map(repr, missing))}")
    tables = []
    for path in paths:
        with reading(path, AGAIN), pq.ParquetFile(path) as file:
            tables.append(columns_of(file, path, list(columns)))
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
    index = read_index(directory)
    return index.low, index.high


def row_groups(directory: Path | str) -> Groups:
    """Where the rows of a store lie."""
    return read_index(directory).groups


class OpenShards:
    """Shards kept open, the least recently used one closed beyond `limit`. For one thread."""

    def __init__(self, groups: Groups, limit: int) -> None:
        self._groups, self._limit = groups, limit
        self._open: OrderedDict[int, pq.ParquetFile] = OrderedDict()

    def signal(self, shard: int, numbers: Sequence[int], leads: Sequence[str]) -> np.ndarray:
        """int16 (rows, leads, samples) of some row groups of a shard; no other lead is decoded."""
        with reading(self._groups.paths[shard], AGAIN):
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
