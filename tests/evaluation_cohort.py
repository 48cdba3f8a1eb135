"""A small evaluation cohort on disk, as stages ingest, splits, embed_text and encode leave it."""

import json
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import save_file

from kmerl.files import read_yaml, write_json
from kmerl.leads import parse_leads
from kmerl.store import label_column, read_table
from kmerl.tasks import of_run
from kmerl.tasks.classes import TASKS, classes, official, tasks_of
from kmerl.tasks.cohort import SPLITS
from kmerl.tasks.prompts import Asked, by_name
from kmerl.tasks.splits import from_store
from tests.cohorts import merl_row, write_merl, write_signals

LEAD_SETS = {key: parse_leads(key) for key in [*map(str, range(1, 13)), "limb", "mimic:4"]}
RANDOM_SETS = ("1", "12")
ROWS = {"ptb-xl": 80, "cpsc2018": 0, "csn": 60}
DEMO = read_yaml(Path(__file__).parents[1] / "params/demo.yaml")
PROBE = {"learning_rate": 0.05, "weight_decays": [10.0], "seeds": 2, "neighbours": 5}
PARAMS = DEMO | {
    "seed": 3,
    "corpora": {name: {"root": f"raw/{name}", "manifest": "RECORDS"} for name in ROWS},
    "splits": {"source": "official", "labels": "corrected", "merl": "raw/merl"},
    "linear_probe": DEMO["linear_probe"]
    | PROBE
    | {"epochs": 6, "warmup_epochs": 1, "validate_every": 2},
    "statistics": {"replicates": 20, "level": 0.9, "min_positives": 2},
}


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


def build(root: Path) -> Path:
    """A working directory in which ingest, splits, embed_text and encode have run.

    Beside them, in raw/merl, are MERL's files of the same records.
    """
    for corpus, rows in ROWS.items():
        write_signals(root / "data/ecg", corpus, rows)
        labels = [
            label_column(task, kind.code) for task in tasks_of(corpus) for kind in classes(task)
        ]
        table = read_table(root / "data/ecg" / corpus, ["record", "split", *labels])
        write_encoded(root / "data/encode", corpus, table.to_pydict())
        counts = {corpus: {"records": rows, "rejected": 2, "rejected_flat": 2}}
        write_json(root / f"metrics/ingest/{corpus}.json", counts)
    tasks = [official(task) for task in TASKS]
    of_run.write(tasks, root / "data/tasks.json")
    for task in TASKS:
        cohort = from_store(root / "data/ecg", official(task))
        cohort.write(root / "data/splits")
        parts = {name: cohort.split(name) for name in SPLITS}
        codes = np.array([kind.code for kind in cohort.classes])
        rows = {
            name: [
                merl_row(task, str(record), codes[given])
                for record, given in zip(part.records, part.truth, strict=True)
            ]
            for name, part in parts.items()
        }
        nobody = {name: [merl_row(task, f"A{name}", ())] for name in SPLITS}
        write_merl(root / "raw/merl", task, rows if len(cohort.records) else nobody)
    names = sorted({kind.name for task in TASKS for kind in classes(task)})
    vectors = np.eye(len(names), dtype=np.float32)
    asked = by_name(tasks)
    rows = [names.index(name) for name in asked.values()]
    Asked("by name", asked, vectors[rows]).write(root / "data/asked", "names")
    text = {"entities": [f"entity {i:02}" for i in range(20)]}
    write_json(root / "data/text/names.json", text)
    tensors = {"entities": 2 * vectors[:20]}
    save_file(tensors, root / "data/text/names.safetensors")
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    return root
