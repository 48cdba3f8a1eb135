"""A part of a corpus's store in memory, for training that reads each record many times."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Int16, Int64, Shaped
from torch import Tensor

from kmerl.leads import lead_indices
from kmerl.models.inputs import SignalParams, normalised
from kmerl.store import read_signals, read_table, row_groups, whole_range

READ_AT_ONCE = 256


@dataclass(frozen=True)
class MemoryStore:
    """Signals in microvolt, and each record's lowest and highest microvolt over all twelve leads.

    Takes 2 bytes a sample: CSN's 23,026 members with twelve leads are 2.8 GB.
    """

    leads: tuple[str, ...]
    row_of: dict[str, int]
    signal: Int16[np.ndarray, "record lead sample"]
    low: Int[np.ndarray, " record"]
    high: Int[np.ndarray, " record"]

    def rows(self, records: Shaped[np.ndarray, " wanted"]) -> Int64[np.ndarray, " wanted"]:
        """The row of each record."""
        return np.array([self.row_of[str(record)] for record in records], dtype=np.int64)

    def batch(
        self, rows: Int64[np.ndarray, " batch"], leads: tuple[str, ...], signal: SignalParams
    ) -> tuple[Float[Tensor, "batch lead sample"], Int[Tensor, "batch lead"]]:
        """What the encoder sees of some leads of some records: signal and lead indices."""
        columns = [self.leads.index(lead) for lead in leads]
        shown = self.signal[rows[:, None], columns]
        values = normalised(shown, (self.low[rows], self.high[rows]), signal)
        return torch.from_numpy(values), torch.tensor(lead_indices(leads)).expand(len(rows), -1)


def read_into_memory(
    directory: Path, leads: tuple[str, ...], records: Shaped[np.ndarray, " record"]
) -> MemoryStore:
    """Some leads of some records of a corpus's store.

    Raises:
        ValueError: a record that the store lacks.
    """
    known = np.array(read_table(directory, ["record"])["record"].to_pylist(), dtype=str)
    missing = np.setdiff1d(records, known)
    if len(missing):
        raise ValueError(
            f"{directory}: record {str(missing[0])!r} is missing ({len(missing)} such records); "
            f"run `dvc repro ingest@{directory.name}` again"
        )
    rows = np.flatnonzero(np.isin(known, records))
    signal = np.empty((len(rows), len(leads), row_groups(directory).samples), np.int16)
    filled = 0
    for _, block in read_signals(directory, leads, READ_AT_ONCE, rows):
        signal[filled : filled + len(block)] = block
        filled += len(block)
    low, high = whole_range(directory)
    return MemoryStore(
        leads=leads,
        row_of={str(record): row for row, record in enumerate(known[rows])},
        signal=signal,
        low=low[rows],
        high=high[rows],
    )
