"""How real and simulated hearts are distributed, for docs/pictures/simulated.svg.

    python -m benchmarks.distributions REAL FIRST NOW > docs/simulated/distributions.csv

Folders in PTB-XL's official layout: real PTB-XL, the first version's hearts, today's. Folds 1 to 8
are read and no other. A line is a number of the heart in the records of a class: how many records,
and the 10th, 25th, 50th, 75th and 90th percentile. The numbers are those of `benchmarks.hearts`,
and two of the raw signal by `benchmarks.apart`: what lead II holds between 20 and 30 Hz, and how
far its quiet samples are from a straight line.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import apart, hearts

CLASSES = ("NORM", "LVH", "CLBBB", "AFIB")
NO_P = ("AFIB",)  # classes in which there is no P wave to measure
SHARES = (10, 25, 50, 75, 90)
HIGH = "II 20-30 Hz"
NUMBERS = {
    "heart rate": ("Heart rate", "/min", 1.0),
    "rr variation": ("RR variation", "%", 100.0),
    "p to r": ("P peak to QRS", "ms", 1000.0),
    "qrs width": ("QRS", "ms", 1000.0),
    "qtc": ("QTc", "ms", 1000.0),
    "qrs axis": ("Frontal axis", "°", 1.0),
    "R V5": ("R in V5", "mV", 1.0),
    "S V2": ("S or QS in V2", "mV", 1.0),
    "T V5": ("T in V5", "mV", 1.0),
    "P II": ("P in II", "mV", 1.0),
    "P I": ("P in I", "mV", 1.0),
    HIGH: ("20-30 Hz in II", "dB", 1.0),
    "II noise": ("Noise in II", "µV", 1.0),
}
"""By feature: its name, unit, and what a value is multiplied by."""
OF_P = ("p to r", "P II", "P I")


def numbers(ecg: hearts.Array) -> dict[str, float]:
    """The numbers of one recording (12, sample) in mV; {} where three beats are not found."""
    found = hearts.features(ecg)
    if not found:
        return {}
    found["qrs axis"] = (found["qrs axis"] + 150) % 360 - 150  # cut where the fewest hearts point
    found["S V2"] = max(found["S V2"], found["Q V2"])  # a QS is a Q there
    for group in ("waves", "noise"):
        names, values = apart.GROUPS[group](ecg[None] * 1000)
        found |= dict(zip(names, values[0].tolist(), strict=True))
    return {name: found[name] * factor for name, (_, _, factor) in NUMBERS.items()}


def lines(corpus: str, root: Path) -> list[list[object]]:
    """The CSV's lines of one corpus."""
    measured = [(codes, numbers(ecg)) for _, codes, ecg in hearts.records(root)]
    found: list[list[object]] = []
    for code in CLASSES:
        inside = [values for codes, values in measured if code in codes and values]
        for key, (name, unit, _) in NUMBERS.items():
            if code in NO_P and key in OF_P:
                continue
            shares = np.percentile([values[key] for values in inside], SHARES)
            found.append([name, unit, code, corpus, len(inside), *(f"{x:.4g}" for x in shares)])
    return found


def main(arguments: Sequence[str]) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["number", "unit", "class", "corpus", "records", *(f"p{x}" for x in SHARES)])
    for corpus, root in zip(("real", "first", "now"), arguments, strict=True):
        out.writerows(lines(corpus, Path(root)))


if __name__ == "__main__":
    main(sys.argv[1:])
