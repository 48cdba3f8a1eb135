"""Features of recordings in a Parquet file, whatever encoder they come from.

A row a recording and lead set: `record`, `leads` ("I+II", or any other name of the set) and
`vector`, a list of numbers. Windows of one recording, a row each with a column `start` or
`window`, count as their mean. `kmerl embed` writes such files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from kmerl.files import atomic, reading

COLUMNS = ("record", "leads", "vector")
_AGAIN = f"write a Parquet file with the columns {', '.join(COLUMNS)}"


@dataclass(frozen=True)
class Features:
    """The vectors of some records under one lead set."""

    records: tuple[str, ...]
    vectors: Float[np.ndarray, "record width"]


def read_features(path: Path) -> dict[str, Features]:
    """By lead set, in the order of the file.

    Raises:
        FileNotFoundError: there is no file.
        DamagedError: it is no Parquet file, or a column is missing.
        ValueError: a vector is empty, holds what is no finite number, or is of another length than
            the others of its lead set; a record has two vectors and the file no column
            `start` or `window`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; {_AGAIN}")
    with reading(path, _AGAIN):
        table = pq.read_table(path)
        if missing := [name for name in COLUMNS if name not in table.column_names]:
            raise ValueError(f"has no column {', '.join(missing)}")
        records, leads = (table[name].cast(pa.string()).to_pylist() for name in COLUMNS[:2])
        vectors = table["vector"].to_pylist()
    rows: dict[str, dict[str, list[int]]] = {}
    for row, (record, key) in enumerate(zip(records, leads, strict=True)):
        if record is None or key is None or not vectors[row]:
            raise ValueError(f"{path}: row {row + 1} has no record, leads or vector; {_AGAIN}")
        rows.setdefault(key, {}).setdefault(record, []).append(row)
    windows = {"start", "window"} & set(table.column_names)
    found = {}
    for key, of_record in rows.items():
        width = len(vectors[next(iter(of_record.values()))[0]])
        for record, places in of_record.items():
            if len(places) > 1 and not windows:
                raise ValueError(f"{path}: record {record!r} has {len(places)} vectors of {key!r}")
            if any(len(vectors[place]) != width for place in places):
                raise ValueError(f"{path}: record {record!r} has not the {width} numbers of others")
        values = [
            np.mean(np.array([vectors[place] for place in places], np.float64), axis=0)
            for places in of_record.values()
        ]
        stacked = np.stack(values)
        if not np.isfinite(stacked).all():
            row = int(np.argwhere(~np.isfinite(stacked))[0][0])
            raise ValueError(f"{path}: record {list(of_record)[row]!r}: a number is not finite")
        found[key] = Features(tuple(of_record), stacked)
    if not found:
        raise ValueError(f"{path} has no row; {_AGAIN}")
    return found


def write_features(path: Path, features: Mapping[str, Features]) -> None:
    """What `read_features` reads."""
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}
    for key, one in features.items():
        columns["record"] += one.records
        columns["leads"] += [key] * len(one.records)
        columns["vector"] += list(one.vectors.astype(np.float32))
    layout = [("record", pa.string()), ("leads", pa.string()), ("vector", pa.list_(pa.float32()))]
    with atomic(path) as partial:
        pq.write_table(pa.table(columns, pa.schema(layout)), partial, compression="zstd")


def rows_of(features: Features, records: Sequence[str]) -> Float[np.ndarray, "record width"]:
    """The vectors of these records, each of which must be there."""
    place = {record: row for row, record in enumerate(features.records)}
    return features.vectors[[place[record] for record in records]]
