"""One shard of the store, written record by record."""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kmerl.leads import LEADS
from kmerl.store.layout import SAMPLES


class ShardWriter:
    """Writes one shard in row groups of `group` records; memory does not grow with their number.

    The file appears under its name only when the block ends without an error; `path` is the
    temporary path that `kmerl.files.atomic` gives.
    """

    BUFFERED = 64  # records encoded at once, or a row group where that is more

    def __init__(self, path: Path, layout: pa.Schema, group: int) -> None:
        self._layout, self._group = layout, group
        self._rows: list[dict[str, object]] = []
        self._held = -(-self.BUFFERED // group) * group
        self._signals = np.empty((0, 0, 0), np.int16)  # one buffer, written over
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
        if not self._signals.shape[0]:
            self._signals = np.empty((len(LEADS), self._held, signal.shape[1]), np.int16)
        self._signals[:, len(self._rows)] = signal
        self._rows.append(row)
        if len(self._rows) == self._held:
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
