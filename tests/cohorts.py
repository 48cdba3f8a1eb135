"""A tiny data/ directory as the earlier stages leave it, for tests of what follows them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from kmerl import files
from kmerl.leads import LEADS
from kmerl.store import ShardWriter, label_column, schema
from kmerl.tasks.classes import classes, tasks_of

ENTITIES = ["atrial fibrillation", "left bundle branch block", "normal ecg"]
TEXT_WIDTH = 8
RATE, SECONDS = 100, 5


def write_cohort(root: Path, records: int = 40, corpus: str = "mimic-iv-ecg") -> Path:
    """data/ under `root`: store, labels and text vectors; entity k shifts lead k's mean.

    Every patient has two records."""
    rng = np.random.default_rng(0)
    data = root / "data"
    labels = rng.random((records, len(ENTITIES))) < 0.4
    names = [f"r{i:03d}" for i in range(records)]
    store = data / "ecg" / corpus
    store.mkdir(parents=True)
    layout = schema(RATE, RATE * SECONDS)
    with (
        files.atomic(store / "signals-00000.parquet") as path,
        ShardWriter(path, layout, 4) as out,
    ):
        for name, row in zip(names, labels, strict=True):
            signal = rng.normal(0, 100, (12, RATE * SECONDS))
            signal += np.pad(400 * row, (0, 12 - len(ENTITIES)))[:, None]
            out.add(_row(name, signal.astype(np.int16)), signal.astype(np.int16))
    files.write_json(root / "metrics" / "ingest" / f"{corpus}.json", {corpus: {"records": records}})
    _write_knowledge(data, names, labels, rng)
    return data


def write_signals(root: Path, corpus: str, records: int) -> np.ndarray:
    """The store `root/<corpus>` of labelled records, shuffled; answers with their signals.

    Two records a patient; every third record is no member of a task. The k-th class of the first
    task lifts the k-th lead.
    """
    random = np.random.default_rng(len(corpus))
    asked = {task: [kind.code for kind in classes(task)] for task in tasks_of(corpus)}
    labels = [label_column(task, code) for task, codes in asked.items() for code in codes]
    signals = random.normal(0, 300, (records, 12, RATE * SECONDS))
    (root / corpus).mkdir(parents=True)
    with (
        files.atomic(root / corpus / "signals-00000.parquet") as path,
        ShardWriter(path, schema(RATE, RATE * SECONDS, labels), 4) as out,
    ):
        for number in random.permutation(records):
            truth = {task: random.random(len(codes)) < 0.4 for task, codes in asked.items()}
            first = next(iter(truth.values()))[:12]
            signals[number, : len(first)] += 400 * first[:, None]
            row = _row(f"r{number:03d}", signals[number].astype(np.int16))
            split = ("train", "train", "val", "test")[number // 2 % 4]
            row |= {"patient": f"p{number // 2}", "split": split}
            values = [
                bool(value) if number % 3 else None for one in truth.values() for value in one
            ]
            out.add(row | dict(zip(labels, values, strict=True)), signals[number].astype(np.int16))
    return signals.astype(np.int16)


def _row(name: str, signal: np.ndarray) -> dict[str, object]:
    number = int(name[1:])
    row: dict[str, object] = {
        "record": name, "patient": f"p{number // 10}.{number % 5}",
        "split": "val" if number % 5 == 0 else "train",
        "source_rate": RATE, "source_samples": RATE * SECONDS, "report": [], "codes": [],
    }  # fmt: skip
    for i, lead in enumerate(LEADS):
        row |= {f"min.{lead}": int(signal[i].min()), f"max.{lead}": int(signal[i].max())}
        row[f"nan.{lead}"] = 0
    return row


def _write_knowledge(data: Path, names: list[str], labels: np.ndarray, rng) -> None:
    (data / "labels").mkdir()
    (data / "text").mkdir()
    columns = {"record": names} | {e: labels[:, i] for i, e in enumerate(ENTITIES)}
    pq.write_table(pa.table(columns), data / "labels" / "labels.parquet")
    vectors = rng.normal(size=(len(ENTITIES), TEXT_WIDTH)).astype(np.float32)
    texts = np.unique(labels, axis=0)
    reports = np.ascontiguousarray(texts.astype(np.float32) @ vectors)
    row = [int(np.flatnonzero((texts == label).all(axis=1))[0]) for label in labels]
    save_file({"reports": reports}, data / "text" / "reports.safetensors")
    save_file({"entities": vectors, "classes": vectors}, data / "text" / "names.safetensors")
    table = pa.table({"record": names, "vector": pa.array(row, pa.int32())})
    pq.write_table(table, data / "text" / "reports.parquet")
