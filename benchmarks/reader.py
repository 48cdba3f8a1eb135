"""The training reader with lead masking on, beside itself reading all leads and a memory map.

    python -m benchmarks.reader [root]     # root holds a `ptb-xl` folder in the official layout

The memory map holds whole records, int16 (record, 12, sample), as MERL's pretraining array does;
a batch takes its records in random order, then the leads that are kept. All three read files that
are in the page cache, the best case of a memory map; `file_bytes_over_memory_map` is what counts
where they are not.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.ingest import ROOT, load_settings, subset, to_store
from kmerl.leads import LEADS
from kmerl.models.masking import draw_leads
from kmerl.store import read_signals, row_groups, shards
from kmerl.training.reader import DrawLeads, Scope, TrainingReader

RECORDS, BATCH, EPOCHS, MASKED = 600, 64, 3, (9, 11)


def measure(root: Path) -> dict[str, float]:
    """Samples/s of the three readers, as numbers and as ratios, and the bytes they keep on disk."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        subset(root / "ptb-xl", here / "ptb-xl", RECORDS)
        store = here / "store"
        to_store(here / "ptb-xl", store, 1, load_settings())
        whole = _memory_map(store, here / "whole.npy")
        group = _rate(partial(_reader, store, _masked, "group"))
        record = _rate(partial(_reader, store, _masked, "record"))
        every = _rate(partial(_reader, store, _unmasked, "group"))
        mapped = _rate(partial(_mapped, whole))
        return {
            "dlm_samples_per_s": group,
            "dlm_scope_record_samples_per_s": record,
            "all_leads_samples_per_s": every,
            "memory_map_samples_per_s": mapped,
            "dlm_over_all_leads": group / every,
            "dlm_scope_record_over_all_leads": record / every,
            "dlm_over_memory_map": group / mapped,
            "file_bytes_over_memory_map": sum(p.stat().st_size for p in shards(store))
            / whole.nbytes,
        }


def _masked(generator: np.random.Generator, subsets: int) -> np.ndarray:
    return draw_leads(subsets, *MASKED, generator)


def _unmasked(generator: np.random.Generator, subsets: int) -> np.ndarray:
    return draw_leads(subsets, 0, 0, generator)


def _reader(store: Path, draw: DrawLeads, scope: Scope, epoch: int) -> Iterator[int]:
    rows = np.arange(row_groups(store).rows)
    reader = TrainingReader(
        store, rows=rows, batch_size=BATCH, draw_leads=draw, seed=0, scope=scope
    )
    for batch in reader.epoch(epoch):
        yield len(batch.rows)


def _memory_map(store: Path, path: Path) -> np.memmap:
    groups = row_groups(store)
    shape = (groups.rows, len(LEADS), groups.samples)
    written = np.lib.format.open_memmap(path, "w+", np.int16, shape)
    for rows, signal in read_signals(store, LEADS, 64):
        written[rows] = signal
    written.flush()
    return np.load(path, mmap_mode="r")


def _mapped(whole: np.memmap, epoch: int) -> Iterator[int]:
    generator = np.random.default_rng(epoch)
    order = generator.permutation(len(whole))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        records = whole[order[start : start + BATCH]]
        kept = _masked(generator, BATCH)
        yield len(np.take_along_axis(records, kept[..., None], axis=1))


def _rate(epoch: Callable[[int], Iterator[int]]) -> float:
    """Samples/s of the fastest of some epochs, after one that fills the page cache."""
    sum(epoch(0))
    rates = []
    for number in range(1, EPOCHS + 1):
        start = time.perf_counter()
        samples = sum(epoch(number))
        rates.append(samples / (time.perf_counter() - start))
    return max(rates)


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]) if sys.argv[1:] else ROOT), indent=1))
