"""All benchmarks as one JSON document on standard output; how far they are goes to stderr.

    python -m benchmarks [root]     # root holds a `ptb-xl` folder in the official layout

Model, batch and ingest settings are those of params.yaml in the working directory. The document
holds `machine`, `sizes`, and what `measure()` of each module of this folder gives; the probe's is
there once data/ and models/ are. What each method costs is measured by `python -m
benchmarks.methods`.
"""

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks import ingest, probe, reader, start, training
from kmerl import params
from kmerl.training.loop import PretrainParams


def main(root: Path = ingest.ROOT) -> None:
    """Run every benchmark on `root`/ptb-xl and print the document."""
    check(root)
    document: dict[str, object] = {"machine": machine(), "sizes": sizes(root)}
    if not probe.ready():
        print("benchmark probe: left out, `dvc repro pretrain` has not run", file=sys.stderr)
    wanted = {name: one for name, one in BENCHMARKS.items() if name != "probe" or probe.ready()}
    for name, measure in wanted.items():
        start = time.monotonic()
        print(f"benchmark {name} ...", file=sys.stderr, flush=True)
        document[name] = {key: four_digits(value) for key, value in measure(root).items()}
        print(f"benchmark {name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    print(json.dumps(document, indent=1))


def check(root: Path) -> None:
    """Stop with what to do where there is nothing to measure on."""
    if not (root / "ptb-xl" / "ptbxl_database.csv").exists():
        raise SystemExit(
            f"{root / 'ptb-xl'} is no PTB-XL in its official layout: run `dvc repro synthesize` "
            f"for the synthetic cohort, or name the folder that holds a ptb-xl folder: "
            f"python -m benchmarks FOLDER"
        )


def machine() -> dict[str, object]:
    """What the numbers depend on beside the code."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
    }


def sizes(root: Path) -> dict[str, int]:
    """Records of the corpus, and how many each benchmark takes; beyond its own, they recur."""
    with open(root / "ptb-xl" / "ptbxl_database.csv", encoding="utf-8") as file:
        listed = sum(1 for _ in file) - 1
    pretrain = params.load("pretrain", PretrainParams)
    return {
        "corpus_records": listed,
        "ingest_records": ingest.RECORDS,
        "reader_records": reader.RECORDS,
        "start_records": start.RECORDS,
        "training_batch": pretrain.batch,
        "training_records": training.STEPS * pretrain.batch,
    }


def train_from(root: Path) -> dict[str, float]:
    """The training benchmark, on a store that is ingested for it."""
    records = sizes(root)["training_records"]
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        ingest.subset(root / "ptb-xl", here / "ptb-xl", records)
        workers = len(os.sched_getaffinity(0))
        ingest.to_store(here / "ptb-xl", here / "store", workers, ingest.load_settings())
        return training.measure(here / "store")


def four_digits(value: float) -> float:
    """Four significant digits; whole numbers stay whole."""
    return value if isinstance(value, int) else float(f"{value:.4g}")


BENCHMARKS: dict[str, Callable[[Path], dict[str, float]]] = {
    "ingest": ingest.measure,
    "reader": reader.measure,
    "start": lambda _: start.measure(),
    "training": train_from,
    "probe": lambda _: probe.measure(),
}


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
