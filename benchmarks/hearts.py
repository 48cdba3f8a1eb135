"""Simulated hearts beside real ones: what differs in their beats, and by how much.

    python -m benchmarks.hearts REAL SIMULATED [--classes NORM LVH ...] [--seed 0]

Both are folders in PTB-XL's official layout, of which folds 1 to 8 are read and no other: folds 9
and 10 are what the simulator is judged by. From each record's median beat come the numbers of
`features`; printed are, for each class of `scp_codes`, their 10th, 50th and 90th percentile in
both, and how well gradient boosting tells simulated from real by these numbers: its AUROC,
cross-validated by patient, over all records and over each class, 0.5 where they cannot be told
apart, with the features that tell most by themselves. One JSON document.
"""

import argparse
import ast
import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, find_peaks, sosfiltfilt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from kmerl.leads import LEADS

Array = NDArray[np.float64]
Index = NDArray[np.int_]

RATE = 500
BEFORE, AFTER = 200, 320  # samples of a median beat before and after R
CLASSES = (
    *("NORM", "LVH", "LAFB", "CLBBB", "CRBBB", "IRBBB", "IVCD", "IMI", "ASMI", "AMI", "ISC_"),
    *("NDT", "LVOLT", "PACE", "AFIB", "1AVB", "LAO/LAE"),
)
FEWEST = 20  # records of a class that a classifier is trained on
LOUDEST = 12  # features named of each comparison


@dataclass(frozen=True)
class Corpus:
    """Records of one corpus: patients (n,), codes of each, and features (n, feature)."""

    patients: list[str]
    codes: list[frozenset[str]]
    table: Array

    def of(self, code: str) -> NDArray[np.int_]:
        return np.flatnonzero([code in codes for codes in self.codes])


def read(root: Path) -> Corpus:
    """Features of all records of folds 1 to 8; a record without three beats is left out."""
    patients, codes, found = [], [], []
    for patient, said, ecg in records(root):
        numbers = features(ecg)
        if numbers:
            patients.append(patient)
            codes.append(said)
            found.append(list(numbers.values()))
    return Corpus(patients, codes, np.array(found))


def records(root: Path) -> Iterator[tuple[str, frozenset[str], Array]]:
    """Patient, codes and recording (12, sample) in mV of each record of folds 1 to 8."""
    with open(root / "ptbxl_database.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["strat_fold"]) <= 8]
    for row in rows:
        samples = np.fromfile(root / f"{row['filename_hr']}.dat", dtype="<i2").reshape(-1, 12)
        yield row["patient_id"], frozenset(ast.literal_eval(row["scp_codes"])), samples.T / 1000


def features(ecg: Array) -> dict[str, float]:
    """Numbers of one record (12, sample) in mV; {} where fewer than three beats are found."""
    steady = sosfiltfilt(butter(2, 0.5, "highpass", fs=RATE, output="sos"), ecg)
    smooth = sosfiltfilt(butter(3, 40, fs=RATE, output="sos"), steady)
    peaks = beats(smooth)
    whole = peaks[(peaks >= BEFORE) & (peaks < ecg.shape[1] - AFTER)]
    if len(whole) < 3:
        return {}
    rr = np.diff(peaks) / RATE
    median = np.median([smooth[:, p - BEFORE : p + AFTER] for p in whole], axis=0)
    spikes = np.abs(np.diff(steady, 2)).max(axis=0)
    numbers = {
        "heart rate": 60 / float(np.median(rr)),
        "rr variation": float(rr.std() / rr.mean()),
        "rr successive": float(np.abs(np.diff(rr)).mean() / rr.mean()) if len(rr) > 1 else 0.0,
        "sharpest step": float(np.log(np.sort(spikes)[-10] + 1e-4)),
        "f waves": _between(smooth, peaks),
    }
    return numbers | _of_beat(median, numbers["heart rate"])


def beats(ecg: Array) -> NDArray[np.int_]:
    """Samples of the QRS complexes: peaks of the energy between 6 and 28 Hz in all leads."""
    band = sosfiltfilt(butter(2, (6, 28), "bandpass", fs=RATE, output="sos"), ecg)
    energy = np.sqrt((band**2).mean(axis=0))
    energy = np.convolve(energy, np.hanning(51) / 25, "same")
    found, _ = find_peaks(energy, height=0.35 * np.percentile(energy, 98), distance=140)
    return np.asarray(found)


def _between(ecg: Array, peaks: NDArray[np.int_]) -> float:
    """Standard deviation (mV) in V1 between 4 and 9 Hz, outside QRS and T."""
    band = sosfiltfilt(butter(2, (4, 9), "bandpass", fs=RATE, output="sos"), ecg[6])
    parts = [band[int(a + 0.6 * (b - a)) : b - 40] for a, b in pairwise(peaks)]
    quiet = np.concatenate([part for part in parts if len(part) > 20] or [np.zeros(2)])
    return float(quiet.std())


def _of_beat(beat: Array, heart_rate: float) -> dict[str, float]:
    """Intervals, axes and each lead's amplitudes of a median beat (12, BEFORE + AFTER)."""
    onset, end = _qrs(beat)
    beat = beat - beat[:, onset - 10 : onset].mean(axis=1, keepdims=True)
    reach = int(min(0.30, 0.45 * 60 / heart_rate) * RATE)
    early = beat[:, max(onset - reach, 0) : onset - 6]
    p_size = np.sqrt(((early - np.median(early, axis=1, keepdims=True)) ** 2).sum(axis=0))
    stop = min(end + int(0.42 * RATE), onset + int(0.75 * 60 / heart_rate * RATE))
    late = beat[:, end + 30 : max(stop, end + 80)]
    qrs = beat[:, onset:end]
    t_size = np.sqrt((late**2).sum(axis=0))
    t_peak = int(t_size.argmax())
    below = np.flatnonzero(t_size[t_peak:] < 0.25 * t_size[t_peak])
    t_end = end + 30 + t_peak + (int(below[0]) if len(below) else len(t_size) - t_peak)
    area, t_area = qrs.sum(axis=1), late[:, t_peak]
    lead = dict(zip(LEADS, range(12), strict=True))
    s_v1, r_v5 = -qrs[lead["V1"]].min(), qrs[lead["V5"]].max()
    ratio = [float(qrs[6 + k].max() > -qrs[6 + k].min()) for k in range(6)]
    return {
        "p to r": (reach - int(p_size.argmax())) / RATE,
        "qrs width": (end - onset) / RATE,
        "qt": (t_end - onset) / RATE,
        "qtc": (t_end - onset) / RATE * float(np.cbrt(heart_rate / 60)),
        "qrs axis": _axis(area),
        "t axis": _axis(t_area),
        "sokolow": float(s_v1 + r_v5),
        "transition": 6.0 - sum(ratio),
        "limb size": float(np.ptp(qrs[:6], axis=1).max()),
        "chest size": float(np.ptp(qrs[6:], axis=1).max()),
        **_of_leads(qrs, beat[:, end + 30], late, early),
    }


def _of_leads(qrs: Array, st: Array, late: Array, early: Array) -> dict[str, float]:
    """Amplitudes (mV) of Q, R, S, ST, T and P in each lead, and seconds of Q."""
    numbers = {}
    for k, name in enumerate(LEADS):
        top = int(qrs[k].argmax())
        before = qrs[k, : top + 1]
        numbers[f"Q {name}"] = float(-min(before.min(), 0.0))
        numbers[f"Q width {name}"] = float((before < -0.04).sum() / RATE)
        numbers[f"R {name}"] = float(max(qrs[k, top], 0.0))
        numbers[f"S {name}"] = float(-min(qrs[k, top:].min(), 0.0))
        numbers[f"ST {name}"] = float(st[k])
        numbers[f"T {name}"] = float(late[k, np.abs(late[k]).argmax()])
        numbers[f"P {name}"] = float(early[k, np.abs(early[k]).argmax()])
    return numbers


def _qrs(beat: Array) -> tuple[int, int]:
    """Samples at which QRS begins and ends: where the speed of all leads falls to a share."""
    speed = np.sqrt((np.gradient(beat, axis=1) ** 2).sum(axis=0))
    speed = np.convolve(speed, np.ones(5) / 5, "same")
    near = speed[BEFORE - 60 : BEFORE + 70]
    level = 0.13 * near.max() + np.percentile(speed, 20)
    fast = np.flatnonzero(near > level)
    return BEFORE - 60 + int(fast[0]) - 2, BEFORE - 60 + int(fast[-1]) + 3


def _axis(area: Array) -> float:
    """Degrees in the frontal plane, from I and aVF."""
    return float(np.degrees(np.arctan2(area[5] * 2 / np.sqrt(3), area[0])))


def separation(
    real: Corpus, simulated: Corpus, names: Sequence[str], rows: tuple[Index, Index], seed: int
) -> dict[str, object]:
    """How well simulated records are told from real ones, and the features that tell most."""
    one, two = rows
    table = np.concatenate([real.table[one], simulated.table[two]])
    truth = np.repeat([0, 1], [len(one), len(two)])
    patients = [f"r{real.patients[k]}" for k in one] + [f"s{simulated.patients[k]}" for k in two]
    model = HistGradientBoostingClassifier(max_iter=120, class_weight="balanced", random_state=seed)
    guess = cross_val_predict(
        model, table, truth, groups=patients, cv=GroupKFold(5), method="predict_proba"
    )[:, 1]
    single = {name: roc_auc_score(truth, table[:, k]) - 0.5 for k, name in enumerate(names)}
    loudest = sorted(single, key=lambda name: -abs(single[name]))[:LOUDEST]
    return {
        "auroc": round(float(roc_auc_score(truth, guess)), 3),
        "records": [len(one), len(two)],
        "alone": {name: round(0.5 + single[name], 3) for name in loudest},
    }


def percentiles(table: Array, names: Sequence[str]) -> dict[str, list[float]]:
    values = np.percentile(table, (10, 50, 90), axis=0)
    return {name: [round(float(v), 3) for v in values[:, k]] for k, name in enumerate(names)}


def compare(
    real: Corpus, simulated: Corpus, names: Sequence[str], classes: Sequence[str], seed: int
) -> Mapping[str, object]:
    """The document: each class's percentiles in both corpora, and what tells them apart."""
    document: dict[str, object] = {}
    everything = (np.arange(len(real.codes)), np.arange(len(simulated.codes)))
    chosen = {code: (real.of(code), simulated.of(code)) for code in classes}
    for code, (one, two) in {"all": everything, **chosen}.items():
        if not len(one) or not len(two):
            continue
        told, drawn = percentiles(real.table[one], names), percentiles(simulated.table[two], names)
        entry: dict[str, object] = {"features": {n: [told[n], drawn[n]] for n in names}}
        if min(len(one), len(two)) >= FEWEST:
            entry |= separation(real, simulated, names, (one, two), seed)
        document[code] = entry
    return document


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("simulated", type=Path)
    parser.add_argument("--classes", nargs="+", default=list(CLASSES))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    names = list(features(np.random.default_rng(0).normal(size=(12, 5000))))
    both = read(given.real), read(given.simulated)
    print(json.dumps(compare(*both, names, given.classes, given.seed)))


if __name__ == "__main__":
    main(sys.argv[1:])
