"""Answers as files: parts that are kept on the way, and the whole as Parquet, CSV or JSON lines."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kmerl.files import atomic

SUFFIXES = (".parquet", ".csv", ".jsonl")
DIGITS = 6


def check(out: Path) -> None:
    """
    Raises:
        ValueError: no such kind of file is written.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--out {out}: answers are written as {', '.join(SUFFIXES)}")


def read(path: Path) -> pd.DataFrame:
    """Answers that were written."""
    if path.suffix.lower() == ".parquet":
        return pd.read_parquet(path)
    if path.suffix.lower() == ".csv":
        return pd.read_csv(path)
    return pd.read_json(path, lines=True)


def write_part(frame: pd.DataFrame, path: Path) -> None:
    """A Parquet file; vectors are a list of float32 of one length."""
    pq.write_table(_table(frame), path, compression="zstd")


def write(parts: Sequence[Path], out: Path, empty: pd.DataFrame) -> int:
    """The parts end to end, one in memory at a time; how many rows.

    Args:
        empty: the table where there is no part.
    """
    rows = 0

    def counted() -> Iterator[pa.Table]:
        nonlocal rows
        for part in parts:
            table = pq.read_table(part)
            rows += len(table)
            if len(table):
                yield table

    with atomic(out) as partial:
        if out.suffix.lower() == ".parquet":
            _write_parquet(counted(), partial, _table(empty))
        else:
            with open(partial, "w", encoding="utf-8", newline="") as file:
                kind = out.suffix.lower()
                header = True
                for table in counted():
                    file.write(_lines(table.to_pandas(), kind, header))
                    header = False
                if header:
                    file.write(_lines(empty, kind, header))
    return rows


def _table(frame: pd.DataFrame) -> pa.Table:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    if "vector" in frame:
        width = len(frame["vector"].iloc[0]) if len(frame) else 0
        flat = np.concatenate([np.empty(0, np.float32), *frame["vector"]]).astype(np.float32)
        if width:
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat), width)
        else:
            vectors = pa.array([], pa.list_(pa.float32()))
        table = table.set_column(table.schema.get_field_index("vector"), "vector", vectors)
    return table


def _write_parquet(tables: Iterator[pa.Table], path: Path, empty: pa.Table) -> None:
    first = next(tables, empty)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table.cast(first.schema))


def _lines(frame: pd.DataFrame, kind: str, header: bool) -> str:
    if kind == ".jsonl":
        told: str = frame.to_json(orient="records", lines=True, double_precision=DIGITS + 2)
        return told
    if "vector" in frame:
        place = list(frame.columns).index("vector")
        wide = np.stack(frame["vector"].tolist()) if len(frame) else np.empty((0, 0), np.float32)
        columns = pd.DataFrame(wide, columns=[f"v{k}" for k in range(wide.shape[1])])
        frame = pd.concat([frame.iloc[:, :place], columns, frame.iloc[:, place + 1 :]], axis=1)
    written: str = frame.to_csv(index=False, header=header, float_format=f"%.{DIGITS}g")
    return written
