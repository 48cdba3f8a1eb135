"""What healthy hearts vary in, from real ones: writes kmerl/synthetic/healthy.csv.

    python -m benchmarks.healthy REAL > kmerl/synthetic/healthy.csv

REAL is a folder in PTB-XL's official layout; read are its records of folds 1 to 8 with the code
NORM, and of them only means, slopes and standard deviations are written. The median beat of each is
turned into dipoles (Dower's leads, the limb leads counting more; P by the atria's), the dipoles
into the waves of `kmerl.synthetic.heart` by least squares, and the beat to the frontal axis AXIS,
for the axis is drawn by itself. A line of the table is one quantity: its mean at 55 years in men,
what 15 years and what a woman's heart add, and how it moves with MODES independent draws that many
quantities share, and with one of its own.
"""

import ast
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfiltfilt

from benchmarks.hearts import AFTER, BEFORE, RATE, Array, _qrs, beats
from kmerl.synthetic.body import ATRIAL, DOWER
from kmerl.synthetic.heart import (
    AXIS,
    QRS_PLACES,
    QRS_SPREAD,
    QUANTITIES,
    T_SHARE,
    frontal_axis,
    frontal_turn,
    rate_factor,
)

MODES = 9
LIMB = 2.5  # how much more a limb lead counts than a chest lead
FARTHEST = 4.0  # standard deviations beyond which a record is left out


def fitted(ecg: Array) -> Array | None:
    """QUANTITIES of one record (12, sample) in mV and its axis; None where a wave is not found."""
    smooth = sosfiltfilt(butter(2, (0.5, 60), "bandpass", fs=RATE, output="sos"), ecg)
    peaks = beats(smooth)
    whole = peaks[(peaks >= BEFORE) & (peaks < ecg.shape[1] - AFTER)]
    if len(whole) < 3:
        return None
    beat = np.median([smooth[:, p - BEFORE : p + AFTER] for p in whole], axis=0)
    rr = float(np.median(np.diff(peaks))) / RATE
    onset, end = _qrs(beat)
    beat = beat - beat[:, onset - 10 : onset].mean(axis=1, keepdims=True)
    eight = beat[[0, 1, 6, 7, 8, 9, 10, 11]]
    return _waves(_seen(DOWER, eight), _seen(ATRIAL, eight), onset, end, rr)


def _seen(field: Array, eight: Array) -> Array:
    """(3, sample): the dipole that explains I, II and V1..V6 best."""
    weight = np.diag([LIMB**2] * 2 + [1.0] * 6)
    return np.asarray(np.linalg.solve(field.T @ weight @ field, field.T @ weight) @ eight)


def _waves(dipole: Array, atrial: Array, onset: int, end: int, rr: float) -> Array | None:
    seconds = (np.arange(dipole.shape[1]) - onset) / RATE
    width = (end - onset) / RATE
    stop = min(end + int(0.42 * RATE), onset + int(0.75 * rr * RATE))
    first = onset - int(min(0.26, 0.4 * rr) * RATE)
    if stop - end < 90 or first < 0:
        return None
    t_peak, rise, fall = _peak(dipole, end + 30, stop)
    p_peak, p_rise, p_fall = _peak(atrial, first, onset - 12)
    t_peak, p_peak = t_peak - onset / RATE, p_peak - onset / RATE
    half = min(p_rise, p_fall)  # the other side may hold the end of T or the start of QRS
    level = (width - 0.012, max(t_peak, width + 0.05))
    rows = [_bell(seconds, c * width, *[QRS_SPREAD * width] * 2) for c in QRS_PLACES]
    middle, reach = (level[0] + level[1]) / 2, (level[1] - level[0]) / 2
    rows.append(np.exp(-0.5 * ((seconds - middle) / reach) ** 6))
    rows.append(_bell(seconds, t_peak, rise, fall))
    rows += [_bell(seconds, p_peak + 0.8 * k * half, *[0.75 * half] * 2) for k in (-1, 1)]
    rows.insert(0, np.where(seconds < -0.02, 1.0, 0.0))  # what T leaves before P: no wave
    counted = np.where((seconds > -0.01) & (seconds < width + 0.01), 2.0, 1.0)
    counted[(np.arange(len(seconds)) < first) | (seconds > t_peak + 2 * fall)] = 0
    basis = np.array(rows) * counted
    within = basis @ basis.T + 1e-2 * np.eye(len(basis))
    vector, p_vector = (
        np.linalg.solve(within, basis @ (each * counted).T) for each in (dipole, atrial)
    )
    qrs, factor = vector[1 : 1 + len(QRS_PLACES)], rate_factor(rr)
    axis = float(frontal_axis(qrs.sum(axis=0)))
    qrs = qrs @ frontal_turn(AXIS - axis).T
    t_vector = frontal_turn(T_SHARE * (AXIS - axis)) @ vector[-3]
    size = float(np.linalg.norm(qrs))
    p_onset = p_peak - 0.8 * half - 2 * 0.75 * half
    scalars = (np.log(size), np.log(width), np.log(half), np.log(rise / factor))
    more = (np.log(fall / factor), -p_onset, (t_peak + 2 * fall) / factor)
    parts = (
        scalars,
        more,
        (qrs / size).ravel(),
        vector[-4],
        t_vector,
        p_vector[-2:].ravel(),
        [axis],
    )
    return np.concatenate(parts)


def _bell(seconds: Array, centre: float, rise: float, fall: float) -> Array:
    return np.asarray(
        np.exp(-0.5 * ((seconds - centre) / np.where(seconds < centre, rise, fall)) ** 2)
    )


def _peak(dipole: Array, first: int, stop: int) -> tuple[float, float, float]:
    """Seconds of the largest dipole between two samples, and its widths before and after."""
    size = np.linalg.norm(dipole[:, first:stop], axis=0)
    top = int(size.argmax())
    low = size < size[top] / 2
    before = np.flatnonzero(low[:top])
    after = np.flatnonzero(low[top:])
    rise = top - (before[-1] if len(before) else 0)
    fall = after[0] if len(after) else len(size) - top
    widths = np.clip([rise, fall], 4, 60) / RATE / 1.177
    return (first + top) / RATE, float(widths[0]), float(widths[1])


def normal(root: Path) -> Iterator[tuple[Array, float, float]]:
    """Quantities, age and sex (1 is a woman) of each normal record of folds 1 to 8."""
    with open(root / "ptbxl_database.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if int(row["strat_fold"]) <= 8 and "NORM" in ast.literal_eval(row["scp_codes"]):
                samples = np.fromfile(root / f"{row['filename_hr']}.dat", dtype="<i2")
                found = fitted(samples.reshape(-1, 12).T / 1000)
                if found is not None and np.isfinite(found).all() and row["age"]:
                    yield found, min(float(row["age"]), 90.0), float(row["sex"])


def main(root: Path) -> None:
    found = list(normal(root))
    values = np.array([one for one, _, _ in found])
    known = np.array([[1, (age - 55) / 15, sex] for _, age, sex in found])
    for _ in range(2):
        slopes = np.linalg.lstsq(known, values, rcond=None)[0]
        left = values - known @ slopes
        near = (np.abs(left) < FARTHEST * left.std(axis=0)).all(axis=1)
        values, known, left = values[near], known[near], left[near]
    spread = left[:, :-1].std(axis=0)
    _, size, modes = np.linalg.svd(left[:, :-1] / spread, full_matrices=False)
    shared = (modes[:MODES].T * size[:MODES] / np.sqrt(len(left))) * spread[:, None]
    own = np.sqrt(np.clip(spread**2 - (shared**2).sum(axis=1), 0, None))
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(
        ["quantity", "mean", "age", "female", "own", *(f"m{k + 1}" for k in range(MODES))]
    )
    for k, name in enumerate(QUANTITIES):
        numbers = (*slopes[:, k], own[k], *shared[k])
        table.writerow([name, *(f"{number:.4f}" for number in numbers)])
    print(len(left), "records; axis", slopes[:, -1], left[:, -1].std(), file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
