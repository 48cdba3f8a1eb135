"""The index beside the shards: what every reader asks first, so that no footer need be read.

`index.parquet` has a row a record, in row order: its names, its split, its range over the twelve
leads, its shard and its row group there. Its metadata has each shard's name, size and SHA-256; one
that lies there with another size, or without being named, is an error. A store without an index is
read from its shards, which takes a CPU-second for some tens of thousands of records.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kmerl.files import DamagedError, atomic, reading
from kmerl.leads import LEADS
from kmerl.progress import track
from kmerl.runtime import in_order
from kmerl.store.layout import AGAIN, LENGTH, RATE, StoreError, columns_of, shards

INDEX = "index.parquet"
NAMES = ("record", "patient", "split")
_SHARDS = b"kmerl.shards"
_EXTREMES = {"low": "min", "high": "max"}
_COLUMNS = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in NAMES),
        *(pa.field(name, pa.int16(), nullable=False) for name in _EXTREMES),
        *(pa.field(name, pa.int32(), nullable=False) for name in ("shard", "group")),
    ]
)


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


@dataclass(frozen=True)
class Index:
    """What is known of a store without its signals.

    `digests` are the SHA-256 of the shards, in hexadecimal; none where there is no index file.
    """

    directory: Path
    groups: Groups
    names: pa.Table  # record, patient, split (rows,)
    low: np.ndarray  # int16 (rows,): lowest microvolt over the twelve leads
    high: np.ndarray
    digests: tuple[str, ...]

    @cached_property
    def records(self) -> pa.Array:
        """Every record's id, in row order."""
        return self.names["record"].combine_chunks()


def write_index(directory: Path | str, threads: int = 1) -> None:
    """Write the index of a store whose shards are all there, in place of any that was.

    Raises:
        StoreError: no store.
        DamagedError: a shard is torn.
    """
    path = Path(directory) / INDEX
    table = _scanned(shards(directory), threads, with_digests=True)
    with atomic(path) as partial_path:
        pq.write_table(
            table,
            partial_path,
            compression="zstd",
            write_statistics=False,
            write_page_checksum=True,
        )


def read_index(directory: Path | str) -> Index:
    """The index of a store.

    Raises:
        StoreError: no store, or other shards than the index names.
        DamagedError: the index is torn, or it is another file, or a shard has another size.
    """
    directory = Path(directory)
    path, paths = directory / INDEX, shards(directory)
    if not path.exists():
        return _index(directory, paths, _scanned(paths, 1, with_digests=False))
    with reading(path, AGAIN):
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        if not table.schema.equals(_COLUMNS):
            raise DamagedError(f"{path} has other columns than an index; {AGAIN}")
        table.validate(full=True)
        index = _index(directory, paths, table)
        named = {name: size for name, size, _ in json.loads(table.schema.metadata[_SHARDS])}
    if named.keys() != {each.name for each in paths}:
        raise StoreError(f"{directory} has other shards than its {INDEX} names; {AGAIN}")
    for each in paths:
        if (size := each.stat().st_size) != named[each.name]:
            raise DamagedError(
                f"{each} is damaged or of another store: it has {size:,} bytes, "
                f"{INDEX} says {named[each.name]:,}; {AGAIN}"
            )
    return index


def _index(directory: Path, paths: list[Path], table: pa.Table) -> Index:
    shard, number = (table[name].to_numpy() for name in ("shard", "group"))
    first = (np.diff(shard, prepend=-1) != 0) | (np.diff(number, prepend=-1) != 0)
    start = np.flatnonzero(first)
    metadata = table.schema.metadata
    groups = Groups(
        paths=tuple(paths),
        samples=int(metadata[LENGTH]),
        rate=int(metadata[RATE]),
        shard=shard[start].astype(np.int64),
        number=number[start].astype(np.int64),
        start=np.append(start, len(table)),
    )
    return Index(
        directory=directory,
        groups=groups,
        names=table.select(NAMES).replace_schema_metadata(None),
        low=table["low"].to_numpy(),
        high=table["high"].to_numpy(),
        digests=tuple(sha for _, _, sha in json.loads(metadata[_SHARDS]) if sha),
    )


def _scanned(paths: list[Path], threads: int, *, with_digests: bool) -> pa.Table:
    """The index's table, from the shards themselves."""
    work = partial(_described, with_digest=with_digests)
    parts = in_order(work, enumerate(paths), threads)
    if with_digests:
        parts = track(parts, f"index of {paths[0].parent.name}", len(paths), "shards")
    tables, named = zip(*parts, strict=True)
    forms = {(one.schema.metadata[RATE], one.schema.metadata[LENGTH]) for one in tables}
    if len(forms) != 1:
        raise DamagedError(f"{paths[0].parent}: shards differ in rate or length; {AGAIN}")
    table = pa.concat_tables([one.replace_schema_metadata(None) for one in tables])
    [(rate, samples)] = forms
    metadata = {RATE: rate, LENGTH: samples, _SHARDS: json.dumps(named)}
    return table.combine_chunks().replace_schema_metadata(metadata)


def _described(
    item: tuple[int, Path], *, with_digest: bool
) -> tuple[pa.Table, tuple[str, int, str]]:
    """A shard's part of the table, and its name, size and SHA-256, empty unless it is wanted."""
    shard, path = item
    facts = {name: [f"{fact}.{lead}" for lead in LEADS] for name, fact in _EXTREMES.items()}
    with reading(path, AGAIN), pq.ParquetFile(path) as file:
        held = columns_of(file, path, [*NAMES, *facts["low"], *facts["high"]])
        footer = file.metadata
        form = {key: str(int((footer.metadata or {})[key])) for key in (RATE, LENGTH)}
        sizes = [footer.row_group(number).num_rows for number in range(footer.num_row_groups)]
    ranges = (np.stack([held[one].to_numpy() for one in names]) for names in facts.values())
    low, high = next(ranges).min(axis=0), next(ranges).max(axis=0)
    columns = [
        *(held[name].combine_chunks() for name in NAMES),
        *(pa.array(one) for one in (low, high)),
        pa.array(np.full(len(held), shard, np.int32)),
        pa.array(np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)),
    ]
    table = pa.Table.from_arrays(columns, schema=_COLUMNS.with_metadata(form))
    return table, (path.name, path.stat().st_size, sha256(path) if with_digest else "")


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
