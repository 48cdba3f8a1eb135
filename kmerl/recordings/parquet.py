"""Parquet: a channel in each column of numbers, or one row with a list in each column."""

import io

import numpy as np

from kmerl.recordings import columns
from kmerl.recordings.recording import Contents, RecordError, Told
from kmerl.recordings.samples import MOST_VALUES

RATE = (b"rate", b"fs", b"sampling_rate")
UNIT = (b"unit", b"units")


def read(content: bytes, told: Told) -> Contents:
    """The columns of numbers; others are left out by name. The file's metadata may say rate and
    unit.

    Raises:
        RecordError: several recordings in its rows, or more than is read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(content))
    about = file.metadata
    held = sum(about.row_group(k).total_byte_size for k in range(about.num_row_groups))
    if about.num_rows * about.num_columns > MOST_VALUES or held > 8 * MOST_VALUES:
        raise RecordError(
            f"{about.num_rows} rows of {about.num_columns} columns are more than is read"
        )
    table = file.read()
    left_out, found = {}, {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            if len(column) != 1:
                raise RecordError(f"column {name!r} has {len(column)} recordings; write one a file")
            column = column.flatten()
        if pa.types.is_timestamp(column.type):
            found[name] = column.to_numpy(zero_copy_only=False)
        elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            found[name] = column.to_numpy(zero_copy_only=False).astype(np.float64)
        else:
            left_out[name] = f"holds {column.type}"
    said = table.schema.metadata or {}
    rate = next((float(said[key]) for key in RATE if key in said), 0.0)
    unit = next((said[key].decode() for key in UNIT if key in said), "")
    units = ["" if columns.TIME.match(name) else unit for name in found]
    told = Told(told.rate or rate, told.unit, told.channels, told.leads, told.derive)
    made = columns.contents(list(found), list(found.values()), units, told, named=True)
    return Contents(made.channels, True, made.notes, {**made.left_out, **left_out})
