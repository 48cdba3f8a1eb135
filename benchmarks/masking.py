"""Dynamic lead masking on and off, at equal epochs and at equal time, over seeds.

    python -m benchmarks.masking --seed 0 --seed 1 --seed 2 --run on:8 --run off:2 --run on:3

Reads data/ as `dvc repro embed_text splits` leaves it; trains in a temporary directory; asks F_CQ
for the super classes of PTB-XL's held-out patients. One JSON document last. Only the seed of
training changes, not the cohort.
"""

import copy
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from safetensors.torch import load_file

from kmerl import params, seeds
from kmerl.evaluation.bootstrap import draw_patients, interval
from kmerl.evaluation.metrics import auroc, auroc_replicates, macro
from kmerl.files import read_json, rounded
from kmerl.leads import lead_indices, parse_leads
from kmerl.methods import Query
from kmerl.models.inputs import normalised
from kmerl.store import read_signals, read_table
from kmerl.tasks.classes import classes
from kmerl.tasks.cohort import Cohort, read_cohort
from kmerl.training.model import load
from kmerl.training.session import Session

TASK, CORPUS, LEADS, REPLICATES = "ptbxl_super", "ptb-xl", ("12", "I+II", "I"), 1000
DATA = Path("data")


def main(
    seed: Annotated[list[int], typer.Option(help="seeds of training")],
    run: Annotated[list[str], typer.Option(help="on|off:epochs, lead masking and length")],
) -> None:
    """Train each run with each seed and print macro AUROC with intervals."""
    rows = []
    for number in seed:
        for name in run:
            masking, _, epochs = name.partition(":")
            rows.append({"seed": number, "run": name, **_train(number, masking, int(epochs))})
            print(json.dumps(rounded(rows[-1])), file=sys.stderr, flush=True)
    print(json.dumps(rounded(rows), indent=1))


def _train(seed: int, masking: str, epochs: int) -> dict[str, Any]:
    """One training; a warm-up of an eighth of it, as the demo has."""
    values = copy.deepcopy(params.read())
    values["seed"] = seed
    values["mask"]["leads"] = {"on": "dynamic", "off": "none"}[masking]
    values["pretrain"] |= {"epochs": epochs, "warmup_epochs": epochs / 8}
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        Session.from_params(values, DATA).train(Path(folder), "cpu")
        seconds = time.monotonic() - start
        return {"seconds": seconds, **_zero_shot(Path(folder) / "models")}


def _zero_shot(models: Path) -> dict[str, dict[str, float]]:
    cohort = read_cohort(DATA / "splits", TASK).split("test")
    patients = [str(patient) for patient in cohort.patients]
    weights = draw_patients(patients, REPLICATES, seeds.generator(0, "masking"))
    found = {}
    for key in LEADS:
        score = _scores(models, cohort, parse_leads(key))
        replicates = auroc_replicates(cohort.truth, score, weights)
        low, high = interval(macro(replicates, 1), 0.95)
        found[key] = {"auroc": float(macro(auroc(cohort.truth, score), 0)), "lo": low, "hi": high}
    return found


def _scores(models: Path, cohort: Cohort, leads: tuple[str, ...]) -> np.ndarray:
    """Logits (records of the cohort, classes)."""
    config, model = load(models)
    assert isinstance(model, Query)
    names = read_json(DATA / "text/names.json")["classes"]
    vectors = load_file(DATA / "text/names.safetensors")["classes"]
    asked = vectors[[names.index(kind.name) for kind in classes(TASK)]]
    store = DATA / "ecg" / CORPUS
    place = {r: i for i, r in enumerate(read_table(store, ["record"])["record"].to_pylist())}
    rows = np.array([place[record] for record in cohort.records])
    order = np.argsort(rows)
    parts = []
    with torch.inference_mode():
        for _, block in read_signals(store, leads, 8, rows[order]):
            index = torch.tensor(lead_indices(leads)).expand(len(block), -1)
            tokens = model.encoder(torch.from_numpy(normalised(block, None, config.signal)), index)
            parts.append(model.score(tokens, asked)[0].numpy())
    return np.concatenate(parts)[np.argsort(order)]


if __name__ == "__main__":
    typer.run(main)
