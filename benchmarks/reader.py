"""The training reader with lead masking on: row groups of 4 and of 64, and a decoded copy.

    python -m benchmarks.reader [root]     # root holds a `ptb-xl` folder in the official layout

Samples a second of processor time, which all threads together take; one thread reads. Files are
in the page cache; `file_bytes_over_decoded` is what counts where they are not.
"""

import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.ingest import ROOT, load_settings, subset, to_store
from kmerl.models.masking import draw_leads
from kmerl.store import Index, read_index, shards
from kmerl.training.cache import decoded
from kmerl.training.reader import DrawLeads, TrainingReader

RECORDS, BATCH, EPOCHS, MASKED = 1024, 512, 8, (9, 11)


def measure(root: Path) -> dict[str, float]:
    """Samples a CPU-second of the readers, as numbers and as ratios, and bytes on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        subset(root / "ptb-xl", here / "ptb-xl", RECORDS)
        four, many = (_store(here, group) for group in (4, 64))
        held = decoded(here / "cache", four, 1)
        by_four, by_many = _rate(four, 4), _rate(many, 64)
        copied = {neighbours: _rate(four, neighbours, held) for neighbours in (1, 4, 64)}
        return {
            "group_4_samples_per_cpu_s": by_four,
            "group_64_samples_per_cpu_s": by_many,
            "decoded_samples_per_cpu_s": copied[4],
            "group_64_over_group_4": by_many / by_four,
            "decoded_over_group_4": copied[4] / by_four,
            "decoded_over_group_64": copied[64] / by_many,
            "decoded_single_records_over_group_64": copied[1] / by_many,
            "group_4_single_records_over_group_4": _rate(four, 1) / by_four,
            "dlm_over_all_leads": by_four / _rate(four, 4, draw=_unmasked),
            "dlm_scope_record_over_group": _rate(four, 4, scope="record") / by_four,
            "file_bytes_over_decoded": sum(p.stat().st_size for p in shards(four.directory))
            / held.nbytes,
        }


def _store(here: Path, group: int) -> Index:
    settings = dataclasses.replace(load_settings(), group=group, shard=RECORDS // 2)
    to_store(here / "ptb-xl", here / str(group), 1, settings)
    return read_index(here / str(group))


def _masked(generator: np.random.Generator, subsets: int) -> np.ndarray:
    return draw_leads(subsets, *MASKED, generator)


def _unmasked(generator: np.random.Generator, subsets: int) -> np.ndarray:
    return draw_leads(subsets, 0, 0, generator)


def _rate(
    index: Index,
    neighbours: int,
    held: np.ndarray | None = None,
    draw: DrawLeads = _masked,
    scope: str = "group",
) -> float:
    """Samples a CPU-second over some epochs, after one that fills the page cache."""
    reader = TrainingReader(
        index,
        rows=np.arange(index.groups.rows),
        batch_size=BATCH,
        draw_leads=draw,
        seed=0,
        neighbours=neighbours,
        scope=scope,  # type: ignore[arg-type]
        decoded=held,
    )
    start, samples = 0.0, 0
    for epoch in range(EPOCHS + 1):
        read = sum(len(batch.rows) for batch in reader.epoch(epoch))
        if epoch == 0:
            start = time.process_time()
        else:
            samples += read
    return samples / (time.process_time() - start)


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]) if sys.argv[1:] else ROOT), indent=1))
