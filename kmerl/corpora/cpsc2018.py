"""CPSC2018 in both its forms: `A*.hea` with `.mat` (PhysioNet Challenge 2020), or `A*.mat` alone.

A `.mat` file without a header is read as the corpus was first published, a struct with its own
millivolts. Labels come from the organisers' REFERENCE.csv (numbers 1 to 9); a record that it does
not list has the SNOMED codes of its header's `#Dx` line, or none where there is no header. Either
way they become MERL's nine class codes. The corpus names no patients, so records are split: 72 %
train, 8 % validation, 20 % test, the proportions of MERL's split.
"""

import os
from pathlib import Path

from kmerl.corpora.csv_files import RECORD, read_rows
from kmerl.corpora.folders import found_listing
from kmerl.corpora.records import Listing, Rejection, Scheme, corpus_file

CORPUS = "cpsc2018"
LABELS = ("First_label", "Second_label", "Third_label")
COLUMNS = {"Recording": RECORD} | dict.fromkeys(LABELS, r"^([1-9](\.0)?)?$")

CLASSES = {
    # REFERENCE.csv of the China Physiological Signal Challenge 2018
    "1": "NORM",
    "2": "AFIB",
    "3": "1AVB",
    "4": "CLBBB",
    "5": "CRBBB",
    "6": "PAC",
    "7": "VPC",
    "8": "STD",
    "9": "STE",
    # SNOMED CT codes that the Challenge 2020 gave the same nine labels
    "426783006": "NORM",
    "164889003": "AFIB",
    "270492004": "1AVB",
    "164909002": "CLBBB",
    "59118001": "CRBBB",
    "284470004": "PAC",
    "164884008": "VPC",
    "429622005": "STD",
    "164931005": "STE",
}
"""{label in the corpus: class code}. The corpus says "right bundle branch block" where MERL's
code says complete; its nine labels know no incomplete one."""


def listing(root: Path) -> Listing:
    """Every record under `root`: those with a header, then the structs, each sorted by path.

    Raises:
        CorpusError: REFERENCE.csv lacks a column, or a folder cannot be read.
    """
    numbers, bad = _reference(root)
    return found_listing(CORPUS, root, Scheme({CORPUS: CLASSES}), numbers, bad)


def _reference(root: Path) -> tuple[dict[str, list[str]], list[Rejection]]:
    """{record: its label numbers} and the unreadable rows; empty without a REFERENCE.csv."""
    if not os.path.lexists(root / "REFERENCE.csv"):
        return {}, []
    path = corpus_file(root, "REFERENCE.csv")
    rows = read_rows(path, COLUMNS)
    numbers: dict[str, list[str]] = {}
    for line, row in zip(rows.lines, rows.table.to_pylist(), strict=True):
        record = row["Recording"]
        given = sorted(row[name].removesuffix(".0") for name in LABELS if row[name])
        if numbers.setdefault(record, given) != given:
            told = f"{path.name} line {line}: other labels than before"
            rows.rejected.append(Rejection(record, "unreadable_codes", told))
    return numbers, rows.rejected
