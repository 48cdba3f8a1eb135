"""A finished run on disk: the metrics and plots that the repository keeps of the demo's, and what
the page reads of data/, small and made up, through the writers of the real stages."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml
from safetensors.numpy import save_file

from kmerl import store
from kmerl.evaluation.scores import Scores, scored
from kmerl.experiments import catalogue, runs
from kmerl.files import read_json, write_csv, write_json, write_text
from kmerl.leads import LEADS, parse_leads
from kmerl.tasks.classes import classes, tasks_of
from kmerl.tasks.cohort import Cohort
from tests.experiment_runs import made_up
from tests.import_closure import ROOT

RATE, SAMPLES, RECORDS = 500, 5000, 60
LEAD_SETS = {key: parse_leads(key) for key in ("12", "I+II")}
AXES = dict(zip(LEADS[:6], np.deg2rad([0, 60, 120, -150, -30, 90]), strict=True))
CHEST = dict(zip(LEADS[6:], [-0.8, -0.3, 0.3, 1.1, 1.3, 1.0], strict=True))
COUNTED = {"records", "classes", "common_classes", "f1_classes", "train_records"}
VALUES = {
    "seed": 0,
    "method": "kmerl",
    "encoder": {"size": "nano", "token_samples": 100},
    "mask": {"leads": "dynamic", "min_leads": 9, "max_leads": 11},
    "text": {"source": "report"},
    "zero_shot": {"score": "query"},
    "partial_leads": {"ratio": 100},
    "statistics": {"replicates": 12, "level": 0.95, "min_positives": 2},
}


def write_run(root: Path) -> None:
    """Everything that stages `report` and `paper` read."""
    for folder in ("metrics", "plots"):
        shutil.copytree(ROOT / folder, root / folder)
    _write_entities(root)
    _write_experiments(root)
    _write_records(root, np.random.default_rng(7))


def write_empty_run(root: Path) -> None:
    """A run whose only corpus with test records is CPSC2018; of the others all is null or 0."""
    write_run(root)
    for name in ("zero_shot", "linear_probe", "fine_tune"):
        found = read_json(root / f"metrics/{name}.json")
        kept = {task: row for task, row in found.items() if task in ("cpsc2018", "average")}
        emptied = {task: _emptied(row) for task, row in found.items() if task not in kept}
        write_json(root / f"metrics/{name}.json", kept | emptied)
    for path in (root / "plots/zero_shot_classes.csv", root / "plots/partial_leads.csv"):
        columns, *rows = csv.reader(path.read_text().splitlines())
        task = columns.index("task")
        write_csv(path, columns, [row for row in rows if row[task] in ("cpsc2018", "average")])


def _emptied(node: Any, key: str = "") -> Any:
    if isinstance(node, dict):
        return {key: _emptied(inner, key) for key, inner in node.items()}
    return 0 if key in COUNTED else None


def heartbeats(rate: float, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Ten seconds of a made-up rhythm: int16 microvolt by lead, Einthoven's law kept."""
    time = np.arange(SAMPLES) / RATE
    waves = ((-0.18, 0.025, 120), (-0.02, 0.008, -90), (0.0, 0.010, 1100), (0.25, 0.05, 260))
    beat = np.zeros(SAMPLES)
    for start in np.arange(0.4, 10, 60 / rate) + generator.normal(0, 0.01):
        for offset, width, height in waves:
            beat += height * np.exp(-(((time - start - offset) / width) ** 2) / 2)
    towards = np.deg2rad(generator.uniform(10, 70))
    gains = {lead: np.cos(angle - towards) for lead, angle in AXES.items()} | CHEST
    noise = generator.normal(0, 8, (12, SAMPLES))
    rows = {lead: gains[lead] * beat + noise[i] for i, lead in enumerate(LEADS)}
    return {lead: np.rint(row).astype(np.int16) for lead, row in rows.items()}


def scores(task: str, generator: np.random.Generator) -> Scores:
    """Noisy logits of made-up records, the better the more leads there are."""
    names = classes(task)
    truth = generator.random((RECORDS, len(names))) < np.linspace(0.45, 0.08, len(names))
    truth[np.arange(RECORDS), generator.integers(len(names), size=RECORDS)] = True
    ids = np.array([str(100 + k) for k in range(RECORDS)])
    patients = np.array([f"p{k // 2}" for k in range(RECORDS)])
    splits = np.array([("train", "val", "test")[(k // 2) % 3] for k in range(RECORDS)])
    members = Cohort(task, "ptb-xl", names, ids, patients, splits, truth)
    parts = [members.split("val"), members.split("test")]
    logits = [
        {
            key: (
                0.25 * len(leads) ** 0.3 * (2.0 * part.truth - 1.6)
                + generator.normal(0, 1.2, part.truth.shape)
            ).astype(np.float32)
            for key, leads in LEAD_SETS.items()
        }
        for part in parts
    ]
    return scored(*parts, *logits, LEAD_SETS)


def _write_entities(root: Path) -> None:
    def entity(name: str, records: int, *expressions: str) -> dict:
        kind = {"kind": "entity", "children": [], "records": records}
        return {"name": name, "expressions": [name, *expressions], **kind}

    entities = [
        entity("first degree av block", 61, "1st degree a-v block", "1° <av> block"),
        entity("left bundle branch block", 40, "lbbb"),
        entity("right bundle branch block", 52, "rbbb"),
        entity("atrial fibrillation", 97, "afib", "auricular fibrillation"),
        entity("sinus rhythm", 711),
        entity("low voltage", 33, "low qrs voltages"),
    ]
    above = {"conduction disturbance": (140, range(3)), "rhythm": (790, (3, 4))}
    for name, (records, children) in above.items():
        names = [entities[k]["name"] for k in children]
        parent = {"name": name, "kind": "superclass", "children": names, "expressions": []}
        entities.append(parent | {"records": records})
    write_text(root / "data/labels/entities.yaml", yaml.safe_dump(entities, sort_keys=False))


def _write_experiments(root: Path) -> None:
    """experiments.yaml, and runs of a few rows: of a long table, a short one and a figure."""
    shutil.copy(ROOT / "experiments.yaml", root)
    shutil.copy(ROOT / "params/demo.yaml", root / "params.yaml")
    known = catalogue.read(root / "experiments.yaml", root / "params.yaml")
    ran = ("kmerl", "simclr", "tokens-50", "no-segment-masking")
    runs.write(made_up(known, ran), root / "experiments.json")


def _write_records(root: Path, generator: np.random.Generator) -> None:
    """The store, the scores and the encodings of the PTB-XL test records."""
    mine = [scores(task, generator) for task in tasks_of("ptb-xl")]
    (root / "data/zero_shot").mkdir()
    for one in mine:
        one.write(root / "data/zero_shot")
    records = sorted(mine[0].records, key=lambda record: (record[-1], record))
    layout = store.schema(RATE, SAMPLES)
    directory = root / "data/ecg/ptb-xl"
    directory.mkdir(parents=True)
    with store.ShardWriter(directory / store.NAME.format(0), layout, 4) as writer:
        for record in records:
            beats = heartbeats(60 + int(record) % 50, generator)
            signal = np.stack([beats[lead] for lead in LEADS])
            writer.add(_facts(record, layout), signal)
    tensors = {
        f"query/{task.task}/{key}": task.score[key] for task in mine for key in task.lead_sets
    }
    (root / "data/encode").mkdir()
    save_file(tensors, root / "data/encode/ptb-xl.safetensors")
    index = {
        "records": list(mine[0].records),
        "scored": list(mine[0].records),
        "random_sets": [],
        "score_kinds": ["query"],
        "lead_sets": {k: list(v) for k, v in LEAD_SETS.items()},
    }
    index |= {"tasks": {task.task: list(task.codes) for task in mine}}
    write_text(root / "data/encode/ptb-xl.json", json.dumps(index))


def _facts(record: str, layout: pa.Schema) -> dict[str, object]:
    words = {"record": record, "patient": f"p{record}", "split": "test"}
    values: dict[str, object] = {"report": [], "codes": [], "source_rate": RATE}
    values["source_samples"] = SAMPLES
    return dict.fromkeys(layout.names, 0) | values | words
