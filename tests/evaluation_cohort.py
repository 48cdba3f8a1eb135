"""A small evaluation cohort on disk, as stages ingest, splits, embed_text and encode leave it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from safetensors.numpy import save_file

from kmerl.leads import parse_leads
from kmerl.store import label_column
from kmerl.tasks.classes import TASKS, classes, tasks_of
from kmerl.tasks.splits import from_store

LEAD_SETS = {key: parse_leads(key) for key in [*map(str, range(1, 13)), "limb", "mimic:4"]}
RANDOM_SETS = ("1", "12")
ROWS = {"ptb-xl": 80, "cpsc2018": 0, "csn": 60}
DEMO = yaml.safe_load((Path(__file__).parents[1] / "params/demo.yaml").read_text())
PARAMS = {
    "seed": 3,
    "corpora": {name: {"root": f"raw/{name}", "manifest": "RECORDS"} for name in ROWS},
    "splits": {"source": "official", "labels": "corrected", "merl": "raw/merl"},
    "zero_shot": {"score": "query"},
    "linear_probe": {
        "learning_rate": 0.05,
        "weight_decay": 0.0001,
        "weight_decays": [10.0],
        "batch": 16,
        "epochs": 6,
        "warmup_epochs": 1,
        "validate_every": 2,
        "standardise": False,
        "seeds": 2,
        "neighbours": 5,
        "merl_max_test": False,
    },
    "partial_leads": {"ratio": 100},
    "seen_unseen": {"threshold": 0.95},
    "statistics": {"replicates": 20, "level": 0.9, "min_positives": 2},
    "runtime": DEMO["runtime"],
}


def write_store(root: Path, corpus: str, **changes: Callable[[list], list]) -> dict[str, list]:
    """Two records a patient; every third record is no member of a task. Shuffled rows."""
    random, rows = np.random.default_rng(len(corpus)), ROWS[corpus]
    order = random.permutation(rows)
    splits = [("train", "train", "val", "test")[row // 2 % 4] for row in order]
    columns = {
        "record": [f"r{row:03}" for row in order],
        "patient": [f"p{row // 2}" for row in order],
        "split": splits,
    }
    kinds = {name: pa.string() for name in columns}
    for task in tasks_of(corpus):
        for kind in classes(task):
            values = [
                None if row % 3 == 0 else bool(v)
                for row, v in zip(order, random.random(rows) < 0.3, strict=True)
            ]
            columns[label_column(task, kind.code)] = values
            kinds[label_column(task, kind.code)] = pa.bool_()
    columns |= {name: change(columns[name]) for name, change in changes.items()}
    schema = pa.schema(list(kinds.items()))
    (root / corpus).mkdir(parents=True)
    table = pa.Table.from_pydict(columns, schema=schema)
    pq.write_table(table, root / corpus / "signals-00000.parquet")
    (root / corpus / "rejected.csv").write_text("record,reason,detail\nr900,flat,11 leads\n")
    return columns


def write_encoded(root: Path, corpus: str, columns: dict[str, list]) -> None:
    """Scores that know the label better the more leads there are; features that hold scores.

    The records of the training split have features alone, as stage encode leaves them.
    """
    random, rows = np.random.default_rng(0), len(columns["record"])
    order = random.permutation(rows)
    asked = np.array([columns["split"][row] != "train" for row in order], dtype=bool)
    tensors = {}
    for key, leads in LEAD_SETS.items() if rows else ():
        parts = []
        for task in tasks_of(corpus):
            labels = [columns[label_column(task, kind.code)] for kind in classes(task)]
            truth = np.array([[bool(v) for v in label] for label in labels], dtype=float).T[order]
            noise = random.standard_normal(truth.shape)
            score = truth + noise * 2 / len(leads)
            tensors[f"query/{task}/{key}"] = score[asked].astype(np.float32)
            tensors[f"cosine/{task}/{key}"] = -score[asked].astype(np.float32)
            parts.append(score)
        tensors[f"features/{key}"] = np.hstack(parts)[:, :8].astype(np.float32)
        if key in RANDOM_SETS:
            tensors[f"random/{key}"] = random.standard_normal((rows, 8)).astype(np.float32)
    root.mkdir(parents=True, exist_ok=True)
    save_file(tensors, root / f"{corpus}.safetensors")
    index = {
        "records": [columns["record"][row] for row in order],
        "scored": [columns["record"][row] for row in order[asked]],
        "lead_sets": LEAD_SETS,
        "random_sets": RANDOM_SETS,
        "score_kinds": ["query", "cosine"],
        "tasks": {task: [kind.code for kind in classes(task)] for task in tasks_of(corpus)},
    }
    (root / f"{corpus}.json").write_text(json.dumps(index))


def build(root: Path) -> None:
    """A working directory in which ingest, splits, embed_text and encode have run."""
    (root / "metrics/ingest").mkdir(parents=True)
    for corpus, rows in ROWS.items():
        columns = write_store(root / "data/ecg", corpus)
        write_encoded(root / "data/encode", corpus, columns)
        counts = {corpus: {"records": rows, "rejected": 2, "rejected_flat": 2}}
        (root / f"metrics/ingest/{corpus}.json").write_text(json.dumps(counts))
    for task in TASKS:
        from_store(root / "data/ecg", task).write(root / "data/splits")
    names = sorted({kind.name for task in TASKS for kind in classes(task)})
    vectors = np.eye(len(names), dtype=np.float32)
    (root / "data/text").mkdir()
    save_file(
        {"classes": vectors, "entities": 2 * vectors[:20]}, root / "data/text/names.safetensors"
    )
    text = {"classes": names, "entities": [f"entity {i:02}" for i in range(20)]}
    (root / "data/text/names.json").write_text(json.dumps(text))
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS))
