"""A finished run on disk, small and made up, through the writers of the real stages."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from safetensors.numpy import save_file

from kmerl import store
from kmerl.evaluation import (
    linear_probe,
    metric_rows,
    paired_rows,
    partial_leads,
    probe_metrics,
    seen_unseen,
)
from kmerl.evaluation import zero_shot as zero_shot_protocol
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.scores import Scores, scored
from kmerl.experiments import catalogue, runs
from kmerl.files import write_csv, write_json, write_text
from kmerl.leads import LEADS, parse_leads
from kmerl.tasks.classes import TASKS, classes, tasks_of
from kmerl.tasks.cohort import Cohort
from kmerl.tasks.subsets import RATIOS
from tests.experiment_runs import made_up
from tests.import_closure import ROOT

RATE, SAMPLES, RECORDS = 500, 5000, {"ptb-xl": 60, "cpsc2018": 24, "csn": 36}
KEYS = (*map(str, range(1, 13)), "I+II", "limb")
LEAD_SETS = {key: parse_leads(key) for key in KEYS}
STATISTICS = Statistics(replicates=12, level=0.95, min_positives=2)
AXES = dict(zip(LEADS[:6], np.deg2rad([0, 60, 120, -150, -30, 90]), strict=True))
CHEST = dict(zip(LEADS[6:], [-0.8, -0.3, 0.3, 1.1, 1.3, 1.0], strict=True))
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


def cohort(task: str, generator: np.random.Generator, records: int) -> Cohort:
    names = classes(task)
    truth = generator.random((records, len(names))) < np.linspace(0.45, 0.08, len(names))
    truth[np.arange(records), generator.integers(len(names), size=records)] = True
    ids = np.array([str(100 + k) for k in range(records)])
    patients = np.array([f"p{k // 2}" for k in range(records)])
    splits = np.array([("train", "val", "test")[(k // 2) % 3] for k in range(records)])
    return Cohort(task, TASKS[task], names, ids, patients, splits, truth)


def scores(
    members: Cohort, skill: float, generator: np.random.Generator, keys: tuple[str, ...] = KEYS
) -> Scores:
    """Noisy logits, the better the more leads there are."""
    lead_sets = {key: LEAD_SETS[key] for key in keys}
    validation, test = members.split("val"), members.split("test")
    logits = [
        {key: _logits(part.truth, skill, len(leads), generator) for key, leads in lead_sets.items()}
        for part in (validation, test)
    ]
    for part in logits:
        part["2"] = part["I+II"]  # the same leads, and so the same scores
    lead_sets["2"] = LEAD_SETS["2"]
    return scored(validation, test, logits[0], logits[1], lead_sets)


def _logits(
    truth: np.ndarray, skill: float, leads: int, generator: np.random.Generator
) -> np.ndarray:
    noise = generator.normal(0, 1.2, truth.shape)
    return (skill * leads**0.3 * (2.0 * truth - 1.6) + noise).astype(np.float32)


def write_run(root: Path, records: dict[str, int] = RECORDS) -> None:
    """Everything that stage `report` reads. A corpus with 0 records has null metrics."""
    generator = np.random.default_rng(7)
    cohorts = [cohort(task, generator, records[corpus]) for task, corpus in TASKS.items()]
    zero_shot = [scores(one, 0.25, generator) for one in cohorts]
    for one in zero_shot:
        (root / "data/zero_shot").mkdir(parents=True, exist_ok=True)
        one.write(root / "data/zero_shot")
    evaluations = metric_rows.evaluate(zero_shot, STATISTICS, 0)
    beside = zero_shot_protocol.table(evaluations, evaluations, "cosine", STATISTICS)
    write_json(root / "metrics/zero_shot.json", beside)
    rows = metric_rows.class_rows(zero_shot, evaluations, 0.95)
    write_csv(root / "plots/zero_shot_classes.csv", metric_rows.CLASS_COLUMNS, rows)
    probed = _write_probe(root, cohorts, generator)
    curves = {"zero_shot": evaluations, "linear_probe": probed}
    _write_fine_tune(root, evaluations)
    _write_partial(root, curves)
    _write_seen(root, zero_shot, evaluations)
    _write_ingest(root, cohorts, records)
    _write_training(root)
    _write_entities(root)
    _write_experiments(root)
    if records["ptb-xl"]:
        _write_signals(root, zero_shot, generator)


def _write_probe(root: Path, cohorts: list[Cohort], generator: np.random.Generator) -> dict:
    table: dict[str, dict] = {}
    for ratio in RATIOS:
        keys = KEYS if ratio == 100 else ("1", "12", "2", "I+II")  # the curve has the last ratio's
        probed = [
            linear_probe.ProbedTask(
                [scores(one, 0.2 + 0.15 * np.log10(ratio), generator, keys)],
                others={},
                choices={key: [] for key in LEAD_SETS},
                train_records=len(one.split("train").records) * ratio // 100,
                train_classes=len(one.classes),
            )
            for one in cohorts
        ]
        by_seed = probe_metrics.evaluate_seeds(probed, STATISTICS, 0)
        for task, by_leads in probe_metrics.table(probed, by_seed, STATISTICS, 0).items():
            table.setdefault(task, {})[str(ratio)] = by_leads
    write_json(root / "metrics/linear_probe.json", table)
    return by_seed[0]


def _write_fine_tune(root: Path, evaluations: metric_rows.Evaluations) -> None:
    chosen = {task: {"I+II": by_leads["I+II"]} for task, by_leads in evaluations.items()}
    table = metric_rows.metric_table(chosen, STATISTICS)
    for task, by_leads in table.items():
        members = list(chosen) if task == "average" else [task]
        found = [chosen[one]["I+II"] for one in members]
        by_leads["I+II"] |= {"train_records": 20, "train_classes": 3}
        by_leads["I+II"] |= paired_rows.auroc_row("scratch_auroc", found, 0.95)
        by_leads["I+II"] |= paired_rows.difference_row("above_scratch", found, found, 0.95)
    metrics = {task: {"100": by_leads} for task, by_leads in table.items()}
    write_json(root / "metrics/fine_tune.json", metrics)


def _write_partial(root: Path, curves: dict[str, dict]) -> None:
    points = partial_leads.points(LEAD_SETS)
    metrics = {
        protocol: partial_leads.curve(found, points, 0.95) for protocol, found in curves.items()
    }
    write_json(root / "metrics/partial_leads.json", metrics)
    rows = [
        row
        for protocol, found in curves.items()
        for row in partial_leads.curve_rows(protocol, found, points, 0.95)
    ]
    write_csv(root / "plots/partial_leads.csv", partial_leads.COLUMNS, rows)


def _write_seen(root: Path, tasks: list[Scores], evaluations: dict) -> None:
    names = sorted({name for task in tasks for name in task.names})
    found = [
        seen_unseen.Overlap(name, "sinus rhythm", 0.97 - k % 3 / 10, ("seen", "unseen")[k % 3 > 0])
        for k, name in enumerate(names)
    ]
    groups = seen_unseen.group_metrics(found, tasks, evaluations, 0.95)
    write_json(root / "metrics/seen_unseen.json", groups)


def _write_ingest(root: Path, cohorts: list[Cohort], records: dict[str, int]) -> None:
    entries: dict[str, dict] = {}
    for corpus, n in {"mimic-iv-ecg": 1180, **records}.items():
        splits = {f"records_{s}": n // 3 for s in ("train", "val", "test")}
        entries[corpus] = {"records": n, "patients": n // 2, "rejected": 0, "tasks": {}} | splits
    entries["mimic-iv-ecg"] |= {"rejected": 3, "rejected_truncated": 2, "rejected_all_nan": 1}
    for one in cohorts:
        entries[one.corpus]["tasks"][one.task] = {
            "test": {
                "rows": len(one.split("test").truth),
                "positives": int(one.split("test").truth.sum()),
                "classes": int(one.split("test").truth.any(axis=0).sum()),
            }
        }
    write_json(root / "metrics/ingest.json", entries)


def _write_training(root: Path) -> None:
    columns = ("epoch", "step", "loss", "contrast", "query", "learning_rate", "val_loss")
    rows = [
        [e, 18 * e, 4.6 * 0.9**e, 4.1 * 0.9**e, 0.5 * 0.9**e, 1e-3 / e, 4.7 * 0.92**e]
        for e in range(1, 15)
    ]
    write_csv(root / "plots/pretrain.csv", columns, rows)
    last = dict(zip(columns, rows[-1], strict=True))
    sizes = {"pairs": 1150, "pairs_val": 30, "entities": 64, "best_epoch": 14}
    sizes |= {"parameters": 812_345, "parameters_encoder": 402_001}
    write_json(root / "metrics/pretrain.json", last | sizes)
    mining = {
        "expressions": 210,
        "verdicts": {"negated": 31},
        "labels_per_record": 2.5,
        "gap": None,
    }
    write_json(root / "metrics/mining.json", mining)


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
    ran = ("kmerl", "simclr", "tokens-50", "no-segment-masking")
    runs.write(
        made_up(catalogue.read(root / "experiments.yaml", root / "params.yaml"), ran),
        root / "experiments.json",
    )


def _write_signals(root: Path, tasks: list[Scores], generator: np.random.Generator) -> None:
    """The store and the encodings of the PTB-XL test records."""
    mine = [task for task in tasks if task.task in tasks_of("ptb-xl")]
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
