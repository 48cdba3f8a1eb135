"""Ingest beside a loop over `wfdb.rdrecord` on the same files, and its memory at N and 4N records.

    python -m benchmarks.ingest [root]     # root holds a `ptb-xl` folder in the official layout

Records/s of the loop are those of reading alone; ingest reads, checks and writes the store. Both
run several times, and the fastest counts: the files are in the page cache.
"""

import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from kmerl import params
from kmerl.corpora.ingest import Ingest, ingest
from kmerl.engines import Engine
from kmerl.leads import LEADS, canonical
from kmerl.store import read_signals, read_table

Result = TypeVar("Result")
RECORDS = 240
ROOT = Path("raw/synthetic")


def measure(root: Path) -> dict[str, float]:
    """Ratios of ingest to the loop, whether the bits are the same, and its memory at 4N over N."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        headers = subset(root / "ptb-xl", here / "ptb-xl", RECORDS)
        settings, workers = load_settings(), len(os.sched_getaffinity(0))
        loop, reference = _fastest(lambda: _through_wfdb(headers))
        one, _ = _fastest(lambda: to_store(here / "ptb-xl", here / "one", 1, settings))
        every, _ = _fastest(lambda: to_store(here / "ptb-xl", here / "all", workers, settings))
        subset(root / "ptb-xl", here / "4n", 4 * RECORDS)
        small = peak_memory(here / "ptb-xl", here / "n")
        large = peak_memory(here / "4n", here / "4n-out")
        return {
            "records": len(headers),
            "wfdb_records_per_s": len(headers) / loop,
            "ingest_records_per_s_one_process": len(headers) / one,
            "ingest_records_per_s_all_processes": len(headers) / every,
            "ingest_over_wfdb_one_process": loop / one,
            "ingest_over_wfdb_all_processes": loop / every,
            "processes": workers,
            "same_bits": float(_same(here / "all", reference)),
            "peak_memory_mib": small / 2**20,
            "peak_memory_4n_over_n": large / small,
        }


def subset(corpus: Path, target: Path, records: int) -> list[Path]:
    """PTB-XL of `records` records; beyond the corpus's own, under new ids."""
    target.mkdir(parents=True)
    shutil.copy(corpus / "scp_statements.csv", target)
    with open(corpus / "ptbxl_database.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    with open(target / "ptbxl_database.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for i in range(records):
            writer.writerow([str(i + 1), *rows[i % len(rows)][1:]])
    path = header.index("filename_hr")
    for row in rows[:records]:  # copied, as a link that leads out of the folder is not followed
        (target / row[path]).parent.mkdir(parents=True, exist_ok=True)
        for name in (f"{row[path]}.hea", f"{row[path]}.dat"):
            shutil.copy(corpus / name, target / name)
    return [target / f"{rows[i % len(rows)][path]}.hea" for i in range(records)]


def load_settings() -> Ingest:
    """The `ingest` section, with shards small enough for few records to be shared out."""
    return dataclasses.replace(params.load("ingest", Ingest), shard=RECORDS // 4)


def to_store(corpus: Path, out: Path, workers: int, settings: Ingest) -> None:
    """Ingest as the stage does it."""
    metrics = out.with_suffix(".json")
    ingest("ptb-xl", corpus, out, metrics, settings=settings, engine=Engine(workers=workers))


def peak_memory(corpus: Path, out: Path) -> int:
    """The largest resident memory, in bytes, of one process that ingests `corpus`."""
    command = [sys.executable, "-m", "benchmarks.ingest", "store", str(corpus), str(out)]
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return usage.ru_maxrss * 1024


def _through_wfdb(headers: list[Path]) -> list[np.ndarray]:
    with warnings.catch_warnings():  # wfdb 4.3 calls what pandas 3 deprecates
        warnings.simplefilter("ignore")
        import wfdb
    signals = []
    for path in headers:
        record = wfdb.rdrecord(str(path.with_suffix("")))
        names = [canonical(name) for name in record.sig_name]
        order = [names.index(lead) for lead in LEADS]
        signals.append(np.round(record.p_signal * 1000).T[order].astype(np.int16))
    return signals


def _same(store: Path, reference: list[np.ndarray]) -> bool:
    ids = [int(record) for record in read_table(store, ["record"])["record"].to_pylist()]
    blocks = [block for _, block in read_signals(store, LEADS, 64)]
    stored = dict(zip(ids, np.concatenate(blocks), strict=True))
    return len(stored) == len(reference) and all(
        np.array_equal(stored[i + 1], signal) for i, signal in enumerate(reference)
    )


def _fastest(work: Callable[[], Result], runs: int = 3) -> tuple[float, Result]:
    """Seconds of the fastest run (the first one fills the page cache), and what work gave."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


if __name__ == "__main__":
    if sys.argv[1:2] == ["store"]:
        to_store(Path(sys.argv[2]), Path(sys.argv[3]), 1, load_settings())
    else:
        print(json.dumps(measure(Path(sys.argv[1]) if sys.argv[1:] else ROOT), indent=1))
