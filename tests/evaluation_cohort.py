"""A small evaluation cohort on disk, as stages ingest, splits, embed_text and encode leave it."""

import json
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import save_file

from kmerl.files import write_json
from kmerl.leads import parse_leads
from kmerl.store import label_column, read_table
from kmerl.tasks.classes import TASKS, classes, tasks_of
from kmerl.tasks.cohort import SPLITS, read_cohort
from kmerl.tasks.splits import from_store
from tests.cohorts import write_signals
from tests.test_merl_splits import csn_row, write_files

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


def write_merl(root: Path) -> None:
    """MERL's files of the same records: labels as the store has them, CSN's by substring."""
    for task, corpus in TASKS.items():
        cohort = read_cohort(root / "data/splits", task)
        codes = [kind.code for kind in classes(task)]
        rows: dict[str, list[dict[str, str]]] = {split: [] for split in SPLITS}
        for record, labels, split in zip(cohort.records, cohort.truth, cohort.splits, strict=True):
            given = {code for code, label in zip(codes, labels, strict=True) if label}
            rows[str(split)].append(_merl_row(corpus, str(record), task, given))
        if not len(cohort.records):
            rows = {split: [_merl_row(corpus, f"A{split}", task, set())] for split in SPLITS}
        write_files(root / "raw/merl", task, rows)


def _merl_row(corpus: str, record: str, task: str, given: set[str]) -> dict[str, str]:
    if corpus == "csn":
        diagnose = ",".join(sorted(given))
        return csn_row(record, diagnose, {c for c, _ in classes("csn") if c in diagnose})
    labels = {code: str(int(code in given)) for code, _ in classes(task)}
    return {"ecg_id" if corpus == "ptb-xl" else "filename": record, **labels}


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
    for task in TASKS:
        from_store(root / "data/ecg", task).write(root / "data/splits")
    write_merl(root)
    names = sorted({kind.name for task in TASKS for kind in classes(task)})
    vectors = np.eye(len(names), dtype=np.float32)
    text = {"classes": names, "entities": [f"entity {i:02}" for i in range(20)]}
    write_json(root / "data/text/names.json", text)
    tensors = {"classes": vectors, "entities": 2 * vectors[:20]}
    save_file(tensors, root / "data/text/names.safetensors")
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    return root
