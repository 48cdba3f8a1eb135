"""What a process of the training does before its first batch: with the store's index, and without.

    python -m benchmarks.start [records [group]]

The store's signals are short, as none is read: what counts are the records, and their row groups.
Labels and text vectors are as many and as wide as the paper's. Each way runs in a process of its
own, whose seconds of processor time and peak of memory are those beyond its imports.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from kmerl.leads import LEADS
from kmerl.models.inputs import SignalParams
from kmerl.models.masking import MaskParams
from kmerl.store import NAME, ShardWriter, read_index, schema, write_index
from kmerl.store.index import INDEX
from kmerl.training.data import load_pairs, loader

RECORDS, GROUP, SHARD, SAMPLES = 16_384, 4, 2048, 10
ENTITIES, WIDTH = 302, 768  # of the paper: 277 entities and 25 superclasses; BERT's width


def measure(records: int = RECORDS, group: int = GROUP) -> dict[str, float]:
    """CPU-seconds and MiB of both ways, and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        store = data / "ecg" / "mimic-iv-ecg"
        write(data, store, records, group)
        write_index(store)
        quick = _started(data)
        (store / INDEX).unlink()
        slow = _started(data)
    ratios = {f"without_index_over_with_{name}": slow[name] / quick[name] for name in quick}
    return {
        "records": records,
        "group": group,
        **{f"with_index_{name}": value for name, value in quick.items()},
        **{f"without_index_{name}": value for name, value in slow.items()},
        **ratios,
    }


def write(data: Path, store: Path, records: int, group: int) -> None:
    """What pretraining reads, but the index of the store."""
    random = np.random.default_rng(0)
    ids = [str(number) for number in 40_000_000 + random.permutation(records)]
    store.mkdir(parents=True)
    signal = np.zeros((len(LEADS), SAMPLES), np.int16)
    facts = {f"{fact}.{lead}": 0 for fact in ("min", "max", "nan") for lead in LEADS}
    row = {"source_rate": 500, "source_samples": SAMPLES, "report": ["x"], "codes": [], **facts}
    for start in range(0, records, SHARD):
        path = store / NAME.format(start // SHARD)
        with ShardWriter(path, schema(500, SAMPLES), group) as shard:
            for name in ids[start : start + SHARD]:
                patient = int(name) % (records // 5)
                split = "train" if patient % 50 else "val"
                shard.add({**row, "record": name, "patient": str(patient), "split": split}, signal)
    for part in ("labels", "text"):
        (data / part).mkdir()
    labels = {f"entity {k}": random.random(records) < 0.02 for k in range(ENTITIES)}
    pq.write_table(pa.table({"record": sorted(ids), **labels}), data / "labels" / "labels.parquet")
    texts = random.normal(size=(max(records // 5, 1), WIDTH)).astype(np.float32)
    vector = pa.array(random.integers(0, len(texts), records), pa.int32())
    reports = pa.table({"record": sorted(ids), "vector": vector})
    pq.write_table(reports, data / "text" / "reports.parquet")
    save_file({"reports": texts}, data / "text" / "reports.safetensors")
    save_file({"entities": texts[:1].repeat(ENTITIES, 0)}, data / "text" / "names.safetensors")


def start(data: Path) -> dict[str, float]:
    """What a process takes until it can ask for a batch, beyond what its imports took."""
    seconds, memory = time.process_time(), _peak()
    pairs = load_pairs(read_index(data / "ecg" / "mimic-iv-ecg"), data / "labels", data / "text")
    mask = MaskParams("dynamic", 9, 11, "group", 0.25, per_lead=True)
    for split in ("train", "val"):
        batches = loader(
            pairs, split, 64, mask, SignalParams("minmax", "global12"), 0, (0, 1), "cpu", 64
        )
        assert len(batches)
    return {"cpu_s": time.process_time() - seconds, "mib": _peak() - memory}


def _peak() -> float:
    """MiB; what getrusage tells counts the process that began this one too."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _started(data: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.start", "--in", str(data)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, float] = json.loads(answer)
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in"]:
        print(json.dumps(start(Path(sys.argv[2]))))
    else:
        print(json.dumps(measure(*map(int, sys.argv[1:])), indent=1))
