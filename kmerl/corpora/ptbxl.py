"""PTB-XL 1.0.3: ptbxl_database.csv, scp_statements.csv and the 500 Hz records.

Labels as the corpus's own benchmark makes them: every SCP code of a record counts, whatever its
likelihood; super- and subclasses through `diagnostic_class` and `diagnostic_subclass` of
scp_statements.csv. Splits by the official folds: 1-8 train, 9 validation, 10 test (Sec. 4.1).
"""

import re
from pathlib import Path

from kmerl.corpora.csv_files import (
    ANY,
    CODE,
    CODE_OR_NONE,
    NUMBER_OR_NONE,
    PATH,
    RECORD,
    read_codes,
    read_rows,
)
from kmerl.corpora.records import (
    Entry,
    Listing,
    Rejection,
    Scheme,
    corpus_file,
    listing_table,
)
from kmerl.recordings.rejecting import RejectedRecord

CORPUS = "ptb-xl"
COLUMNS = {
    "ecg_id": RECORD,
    "patient_id": NUMBER_OR_NONE,
    "report": ANY,
    "scp_codes": ANY,
    "strat_fold": NUMBER_OR_NONE,
    "filename_hr": PATH,
}
CODES = {"": CODE} | dict.fromkeys(
    ("diagnostic_class", "diagnostic_subclass", "form", "rhythm"), CODE_OR_NONE
)
LIKELIHOOD = re.compile(r"'([^']+)'\s*:\s*[0-9.]+")
SPLITS = {**{str(fold): "train" for fold in range(1, 9)}, "9": "val", "10": "test"}


def listing(root: Path) -> Listing:
    """The records of ptbxl_database.csv, each with its report and its SCP codes.

    Raises:
        CorpusError: a file or a column is missing.
    """
    rows = read_rows(corpus_file(root, "ptbxl_database.csv"), COLUMNS)
    entries, rejected = [], list(rows.rejected)
    for row in rows.table.to_pylist():
        try:
            entries.append(_entry(row))
        except RejectedRecord as why:
            rejected.append(Rejection(row["ecg_id"], why.reason, why.detail))
    return Listing(listing_table(entries), scheme(root), rows.listed, rejected)


def scheme(root: Path) -> Scheme:
    """{SCP code: class} of the four tasks, from the corpus's own scp_statements.csv."""
    rows = read_codes(corpus_file(root, "scp_statements.csv"), CODES)

    def classes_by(column: str, named: str) -> dict[str, str]:
        return {row[""]: row[named].strip("_") for row in rows if row[column]}

    return Scheme(
        {
            "ptbxl_super": classes_by("diagnostic_class", "diagnostic_class"),
            "ptbxl_sub": classes_by("diagnostic_subclass", "diagnostic_subclass"),
            "ptbxl_form": classes_by("form", ""),  # by the code itself
            "ptbxl_rhythm": classes_by("rhythm", ""),
        }
    )


def _entry(row: dict[str, str]) -> Entry:
    fold = row["strat_fold"].removesuffix(".0")
    if fold not in SPLITS:
        raise RejectedRecord("unknown_fold", f"strat_fold is {fold!r}, not 1 to 10")
    record = row["ecg_id"]
    return Entry(
        record=record,
        patient=row["patient_id"].removesuffix(".0") or f"record {record}",
        split=SPLITS[fold],
        path=row["filename_hr"],
        report=[row["report"]] if row["report"].strip() else [],
        codes=scp_codes(row["scp_codes"]),
    )


def scp_codes(text: str) -> list[str]:
    """The codes of a `scp_codes` cell such as "{'NORM': 80.0, 'SBRAD': 0.0}", sorted.

    Raises:
        RejectedRecord: the cell is no such mapping.
    """
    inner = re.fullmatch(r"\s*\{(.*)\}\s*", text)
    pairs = inner[1].split(",") if inner and inner[1].strip() else []
    codes = [LIKELIHOOD.fullmatch(pair.strip()) for pair in pairs]
    if inner is None or None in codes:
        raise RejectedRecord("unreadable_codes", "scp_codes is no {code: likelihood}")
    return sorted({code[1] for code in codes if code})
