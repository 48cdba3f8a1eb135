"""A tiny data/ directory as the earlier stages leave it, for tests of what follows them."""

import csv
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from kmerl import files
from kmerl.leads import LEADS
from kmerl.store import NAME, ShardWriter, label_column, pairs, schema, write_index
from kmerl.tasks import merl_splits
from kmerl.tasks.classes import classes, tasks_of

ENTITIES = ["atrial fibrillation", "left bundle branch block", "normal ecg"]
TEXT_WIDTH = 8
RATE, SECONDS = 100, 5
SAMPLES = RATE * SECONDS


def write_store(
    directory: Path,
    signals: np.ndarray,
    columns: Mapping[str, Sequence],
    labels: Sequence[str] = (),
    shards: Sequence[int] = (),
    group: int = 4,
) -> Path:
    """A store of int16 (record, 12, sample) signals, with no record rejected.

    `columns` has a value a row: record, patient and split, and each of `labels`; `shards` has
    their sizes, if there is more than one.
    """
    directory.mkdir(parents=True)
    rows, layout = enumerate(signals), schema(RATE, SAMPLES, labels)
    for shard, size in enumerate(shards or [len(signals)]):
        with (
            files.atomic(directory / NAME.format(shard)) as path,
            ShardWriter(path, layout, group) as out,
        ):
            for number, signal in itertools.islice(rows, size):
                row = {"source_rate": RATE, "source_samples": SAMPLES, "report": [], "codes": []}
                row |= {name: values[number] for name, values in columns.items()}
                for lead, values in zip(LEADS, signal, strict=True):
                    row |= {f"min.{lead}": int(values.min()), f"max.{lead}": int(values.max())}
                    row[f"nan.{lead}"] = 0
                out.add(row, signal)
    write_index(directory)
    (directory / "rejected.csv").write_text("record,reason,detail\nr900,flat,11 leads\n")
    return directory


def write_cohort(root: Path, records: int = 40, corpus: str = "mimic-iv-ecg") -> Path:
    """data/ under `root`: store, labels and text vectors; entity k shifts lead k's mean.

    Every patient has two records."""
    rng = np.random.default_rng(0)
    data, numbers = root / "data", range(records)
    labels = rng.random((records, len(ENTITIES))) < 0.4
    columns = {
        "record": [f"r{k:03d}" for k in numbers],
        "patient": [f"p{k // 10}.{k % 5}" for k in numbers],
        "split": ["train" if k % 5 else "val" for k in numbers],
    }
    signals = rng.normal(0, 100, (records, 12, SAMPLES))
    signals[:, : len(ENTITIES)] += 400 * labels[:, :, None]
    write_store(data / "ecg" / corpus, signals.astype(np.int16), columns)
    pairs.choose([corpus], [], data)
    write_knowledge(data, columns["record"], labels, rng)
    return data


def write_signals(root: Path, corpus: str, records: int) -> np.ndarray:
    """The store `root/<corpus>` of labelled records, shuffled; answers with their signals.

    Two records a patient; every third record is no member of a task. The k-th class of the first
    task lifts the k-th lead.
    """
    random, tasks = np.random.default_rng(len(corpus)), tasks_of(corpus)
    labels = [label_column(task, kind.code) for task in tasks for kind in classes(task)]
    signals = random.normal(0, 300, (records, 12, SAMPLES))
    truth = random.random((records, len(labels))) < 0.4
    lifted = truth[:, : min(12, len(classes(tasks[0])))]
    signals[:, : lifted.shape[1]] += 400 * lifted[:, :, None]
    order = random.permutation(records)
    columns: dict[str, list] = {
        "record": [f"r{k:03d}" for k in order],
        "patient": [f"p{k // 2}" for k in order],
        "split": [("train", "train", "val", "test")[k // 2 % 4] for k in order],
    }
    for name, given in zip(labels, truth.T, strict=True):
        columns[name] = [bool(given[k]) if k % 3 else None for k in order]
    signals = signals.astype(np.int16)
    write_store(root / corpus, signals[order], columns, labels)
    return signals


def write_knowledge(data: Path, names: list[str], labels: np.ndarray, rng) -> None:
    (data / "labels").mkdir()
    (data / "text").mkdir()
    columns = {"record": names} | {e: labels[:, i] for i, e in enumerate(ENTITIES)}
    pq.write_table(pa.table(columns), data / "labels" / "labels.parquet")
    vectors = rng.normal(size=(len(ENTITIES), TEXT_WIDTH)).astype(np.float32)
    texts = np.unique(labels, axis=0)
    reports = np.ascontiguousarray(texts.astype(np.float32) @ vectors)
    row = [int(np.flatnonzero((texts == label).all(axis=1))[0]) for label in labels]
    save_file({"reports": reports}, data / "text" / "reports.safetensors")
    save_file({"entities": vectors}, data / "text" / "names.safetensors")
    table = pa.table({"record": names, "vector": pa.array(row, pa.int32())})
    pq.write_table(table, data / "text" / "reports.parquet")


def merl_row(task: str, record: str, given: Iterable[str]) -> dict[str, str]:
    """A line of MERL's files: CSN's columns ask whether a code is a part of the diagnoses."""
    codes = [kind.code for kind in classes(task)]
    head = {"ecg_id" if task.startswith("ptbxl") else "filename": record}
    if task == "csn":
        diagnose = ",".join(given)
        head = {"ecg_path": f"/chapman/01/{record}.mat", "age": "12", "diagnose": diagnose}
        given = [code for code in codes if code in diagnose]
    return head | {code: str(int(code in given)) for code in codes}


def write_merl(root: Path, task: str, rows: Mapping[str, Sequence[Mapping[str, str]]]) -> Path:
    """The files of a task, one a split: the columns of the first row, in their order."""
    for split, lines in rows.items():
        path = merl_splits.path(root, task, split)
        files.write_csv(path, list(lines[0]), [list(line.values()) for line in lines])
    return root


def files_below(root: Path, *folders: str) -> dict[str, bytes]:
    """Every file's bytes by its path, of all of `root` or of some folders."""
    found = sorted(p for one in folders or (".",) for p in (root / one).rglob("*") if p.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def read_rows(path: Path | str) -> list[dict[str, str]]:
    """Of a CSV file."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))
