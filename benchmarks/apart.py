"""Real or simulated? A classifier of raw signals, and which of their features give it away.

    python -m benchmarks.apart --real PTBXL --version v1 >> docs/simulated/apart.jsonl

Real: PTB-XL's folds 1-8. Simulated: a PTB-XL of this code's hearts, which no training drew. A
forest over features of the signal alone, cross-validated by patient; the nearer its AUROC is to
0.5, the nearer the simulator to the clinic. A line holds the AUROC of all features, of those that
the heart makes, of each group by itself, and the features of each group that tell most.
"""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from jaxtyping import Float
from scipy import signal as filters

from benchmarks.simulated import STATISTICS, kept, real_store, simulated_store, simulator
from kmerl import seeds
from kmerl.evaluation.bootstrap import draw_patients, interval
from kmerl.evaluation.metrics import auroc, auroc_replicates
from kmerl.files import rounded
from kmerl.leads import LEADS
from kmerl.store import read_signals, read_table

BANDS = {
    "wander": (0, 0.3, 0.7),
    "waves": (0.7, 1.5, 3, 6, 12, 20, 30, 40),
    "mains": (47, 53, 57, 63),
    "hum": (63, 80, 97, 103, 125, 150, 200, 250),
}
"""Hz, by group: what breathing moves, what the heart writes, mains of 50 and 60 Hz, and what
muscle, electronics and the machines' filters leave above."""
QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
FOLDS, RATE, MOST = 5, 500, 4

Signals = Float[np.ndarray, "record 12 sample"]
Named = tuple[list[str], np.ndarray]
"""Names of features, and (record, feature)."""


def main(
    real: Annotated[Path, typer.Option(help="Real PTB-XL in its official layout.")],
    version: Annotated[str, typer.Option(help="Of the simulator.")],
    stores: Annotated[Path | None, typer.Option(help="Keeps what was ingested, for more.")] = None,
    threads: Annotated[int, typer.Option(help="Processes of ingest.")] = 1,
) -> None:
    """Train, and print a line."""
    with kept(stores) as folder:
        groups, truth, patients = both(
            real_store(folder, real, threads), simulated_store(folder, threads)
        )
    whole = list(groups)
    found = told(groups, whole, truth, patients)
    drawn = draw_patients(patients.tolist(), STATISTICS.replicates, seeds.generator(0, "apart"))
    replicates = auroc_replicates(truth[:, None], found[:, None], drawn)
    low, high = interval(replicates[:, 0], STATISTICS.level)
    alone = {name: _area(truth, told(groups, [name], truth, patients)) for name in groups}
    line = {
        "version": version,
        "code": simulator()[:12],
        "real": int(truth.sum()),
        "simulated": int((~truth).sum()),
        "auroc": _area(truth, found),
        "low": low,
        "high": high,
        "heart": _area(truth, told(groups, HEART, truth, patients)),
        "alone": alone,
        "features": single(groups, truth),
    }
    typer.echo(json.dumps(rounded(line)))


def both(real: Path, simulated: Path) -> tuple[dict[str, Named], np.ndarray, np.ndarray]:
    """Features by group, which records are real, and their patients."""
    parts: list[dict[str, Named]] = []
    truth, patients = [], []
    for store, is_real in ((real, True), (simulated, False)):
        table = read_table(store, ["split", "patient"])
        split = np.array(table["split"].to_pylist())
        rows = np.flatnonzero((split == "train") | (not is_real))
        for _, block in read_signals(store, LEADS, 64, rows):
            parts.append({name: make(block.astype(np.float64)) for name, make in GROUPS.items()})
        truth.append(np.full(len(rows), is_real))
        names = np.array(table["patient"].to_pylist())[rows]
        patients.append([f"{is_real} {name}" for name in names])
    groups = {
        name: (parts[0][name][0], np.concatenate([part[name][1] for part in parts]))
        for name in GROUPS
    }
    return groups, np.concatenate(truth), np.concatenate(patients)


def told(
    groups: dict[str, Named], wanted: Sequence[str], truth: np.ndarray, patients: np.ndarray
) -> Float[np.ndarray, " record"]:
    """The share of trees that call a record real, by a forest that saw none of its patient."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import GroupKFold

    values = np.concatenate([groups[name][1] for name in wanted], axis=1)
    found = np.zeros(len(truth))
    for train, test in GroupKFold(FOLDS).split(values, truth, patients):
        forest = ExtraTreesClassifier(200, min_samples_leaf=2, random_state=0, n_jobs=1)
        forest.fit(values[train], truth[train])
        found[test] = forest.predict_proba(values[test])[:, 1]
    return found


def single(groups: dict[str, Named], truth: np.ndarray) -> dict[str, list[list[object]]]:
    """Of each group the features with the most to tell: name, AUROC (below 0.5: larger in
    simulated hearts), and the median of real and of simulated recordings."""
    found = {}
    for name, (features, values) in groups.items():
        areas = auroc(np.repeat(truth[:, None], len(features), axis=1), values)
        medians = (np.median(values[chosen], axis=0) for chosen in (truth, ~truth))
        rows = zip(features, areas, *medians, strict=True)
        ordered = sorted(rows, key=lambda row: -abs(row[1] - 0.5))[:MOST]
        found[name] = [[one, *map(float, rest)] for one, *rest in ordered]
    return found


def spectrum(group: str) -> Callable[[Signals], Named]:
    """Decibel of a group's bands in each lead."""

    def make(block: Signals) -> Named:
        frequency, power = filters.welch(block, RATE, nperseg=2048)
        names, columns = [], []
        for low, high in pairwise(BANDS[group]):
            inside = (frequency >= low) & (frequency < high)
            columns.append(10 * np.log10(power[:, :, inside].mean(axis=2) + 1e-3))
            names += [f"{lead} {low:g}-{high:g} Hz" for lead in LEADS]
        return names, np.concatenate(columns, axis=1)

    return make


def amplitude(block: Signals) -> Named:
    """Quantiles of each lead in microvolt, about its median."""
    centred = block - np.median(block, axis=2, keepdims=True)
    found = np.quantile(centred, QUANTILES, axis=2)
    names = [f"{lead} quantile {share:g}" for share in QUANTILES for lead in LEADS]
    return names, np.concatenate(list(found), axis=1)


def rounding(block: Signals) -> Named:
    """Of each lead the smallest step in microvolt, and how far the limb leads are from what
    Einthoven and Goldberger say: what the converter and the format leave, and no heart."""
    moved = np.abs(np.diff(block, axis=2))
    smallest = np.where(moved > 0, moved, np.inf).min(axis=2)
    smallest[np.isinf(smallest)] = 0
    one, two, three, right, left, foot = (block[:, i] for i in range(6))
    gaps = [one + three - two, right + (one + two) / 2, left - (one - three) / 2]
    gaps.append(foot - (two + three) / 2)
    columns = [np.abs(gap - gap.mean(axis=1, keepdims=True)).mean(axis=1) for gap in gaps]
    names = [*(f"{lead} smallest step" for lead in LEADS), "I + III - II", "aVR", "aVL", "aVF"]
    return names, np.concatenate([smallest, np.stack(columns, axis=1)], axis=1)


def noise(block: Signals) -> Named:
    """Of each lead: microvolt between neighbouring samples where little happens, the share of
    samples without a step, and how far the first tenth of a second is from the rest."""
    small = np.quantile(np.abs(np.diff(block, 2, axis=2)), 0.25, axis=2)
    still = (np.diff(block, axis=2) == 0).mean(axis=2)
    edge = np.abs(block[:, :, :50].mean(axis=2) - np.median(block, axis=2))
    names = [f"{lead} {what}" for what in ("noise", "no step", "edge") for lead in LEADS]
    return names, np.concatenate([small, still, edge], axis=1)


def likeness(block: Signals) -> Named:
    """The correlation of any two leads."""
    scaled = block - block.mean(axis=2, keepdims=True)
    scaled /= scaled.std(axis=2, keepdims=True) + 1e-6
    alike = np.einsum("rls,rms->rlm", scaled, scaled) / block.shape[2]
    pairs = [(i, j) for i in range(12) for j in range(i)]
    names = [f"{LEADS[i]} and {LEADS[j]}" for i, j in pairs]
    return names, np.stack([alike[:, i, j] for i, j in pairs], axis=1)


GROUPS: dict[str, Callable[[Signals], Named]] = {
    **{group: spectrum(group) for group in BANDS},
    "amplitude": amplitude,
    "likeness": likeness,
    "noise": noise,
    "rounding": rounding,
}
HEART = ("waves", "amplitude", "likeness")
"""What a model of ECGs should look at; the others are the machine and the skin."""


def _area(truth: np.ndarray, found: np.ndarray) -> float:
    return float(auroc(truth[:, None], found[:, None])[0])


if __name__ == "__main__":
    typer.run(main)
