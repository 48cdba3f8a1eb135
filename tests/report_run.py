"""A finished run on disk: the metrics and plots that the repository keeps of the demo's, and below
data/ what evaluation_cohort.py makes, scored as stage zero_shot does."""

import contextlib
import csv
import shutil
from pathlib import Path

import numpy as np

from kmerl.experiments import catalogue, runs
from kmerl.files import read_json, write_csv, write_json, write_text
from kmerl.leads import LEADS
from kmerl.tasks.classes import TASKS, official
from kmerl.tasks.cohort import read_cohort
from stages import zero_shot
from tests.experiment_runs import made_up
from tests.import_closure import ROOT

RATE, SAMPLES = 500, 5000
COUNTED = {"records", "classes", "common_classes", "f1_classes", "train_records"}


def write_run(root: Path, cohort: Path) -> None:
    """Everything that stages `report` and `paper` read; runs of a few rows of a long table, a short
    one and a figure."""
    shutil.copytree(cohort / "data", root / "data")
    for folder in ("metrics", "plots"):
        shutil.copytree(ROOT / folder, root / folder)
    (root / "data/labels").mkdir()
    shutil.copy(ROOT / "tests/cases/run_entities.yaml", root / "data/labels/entities.yaml")
    shutil.copy(ROOT / "experiments.yaml", root)
    params = (ROOT / "params/demo.yaml").read_text(encoding="utf-8")
    write_text(root / "params.yaml", params.replace("  leads: I+II  ", '  leads: "2"  '))
    with contextlib.chdir(root):
        Path("data/zero_shot").mkdir()
        cohorts = [read_cohort(Path("data/splits"), official(task)) for task in TASKS]
        zero_shot.score(cohorts, "query", ("test",), Path("data/zero_shot"))
        ran = ("kmerl", "simclr", "tokens-50", "no-segment-masking")
        runs.write(made_up(catalogue.read(), ran))


def empty(root: Path) -> None:
    """Leaves CPSC2018 as the only corpus with test records; of the others all is null or 0."""
    for name in ("zero_shot", "linear_probe", "fine_tune"):
        found = read_json(root / f"metrics/{name}.json")
        kept = {task: row for task, row in found.items() if task in ("cpsc2018", "average")}
        emptied = {task: _emptied(row) for task, row in found.items() if task not in kept}
        write_json(root / f"metrics/{name}.json", kept | emptied)
    for path in (root / "plots/zero_shot_classes.csv", root / "plots/partial_leads.csv"):
        columns, *rows = csv.reader(path.read_text().splitlines())
        task = columns.index("task")
        write_csv(path, columns, [row for row in rows if row[task] in ("cpsc2018", "average")])


def _emptied(node, key=""):
    if isinstance(node, dict):
        return {key: _emptied(inner, key) for key, inner in node.items()}
    return 0 if key in COUNTED else None


def heartbeats(rate: float, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Ten seconds of a made-up rhythm: int16 microvolt by lead."""
    phase = np.arange(SAMPLES) / RATE * rate / 60 % 1
    beat = 1100 * np.exp(-(((phase - 0.4) / 0.02) ** 2))
    beat += 260 * np.exp(-(((phase - 0.7) / 0.08) ** 2))
    noise = generator.normal(0, 8, (len(LEADS), SAMPLES))
    signals = generator.uniform(-1, 1, (len(LEADS), 1)) * beat + noise
    return dict(zip(LEADS, np.rint(signals).astype(np.int16), strict=True))


def lawful(leads: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same with limb leads that follow from I and II (Einthoven, Goldberger)."""
    one, two = leads["I"].astype(int), leads["II"].astype(int)
    limb = {"III": two - one, "aVR": -(one + two) // 2}
    limb |= {"aVL": one - two // 2, "aVF": two - one // 2}
    return leads | {lead: values.astype(np.int16) for lead, values in limb.items()}
