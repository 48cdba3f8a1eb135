"""A table of one's own recordings as a corpus: `corpora.<name>: {kind: table, ...}`.

The table is `manifest`, its paths are below `root`; its columns are those of
`kmerl.corpora.own_table`. The labels of a task are the columns named by its class codes, or
`label.<task>.<code>` where two tasks share one. A record is a member of a task where all its labels
are there; where some are, it is rejected. Without a column `split`, patients are split: 72/8/20
where there are tasks to test on, else 98/2, to pretrain on.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kmerl.corpora.entries import OwnTable
from kmerl.corpora.folders import MERL_TRAIN, MERL_VAL
from kmerl.corpora.mimic import TRAIN, VAL
from kmerl.corpora.own_table import column_names, read_own, told, truth_of
from kmerl.corpora.records import (
    Entry,
    Listing,
    Rejection,
    Scheme,
    corpus_file,
    hashed_split,
    listing_table,
)
from kmerl.recordings.rejecting import RejectedRecord
from kmerl.store import label_column

SPLITS = ("train", "val", "test")


def listing(corpus: str, root: Path, own: OwnTable) -> Listing:
    """The records of a table.

    Raises:
        CorpusError: it cannot be read, or a column is missing.
    """
    table = corpus_file(root, own.manifest)
    names = set(column_names(table))
    columns = {
        task: [full if (full := label_column(task, code)) in names else code for code in codes]
        for task, codes in own.tasks.items()
    }
    wanted = list(dict.fromkeys(column for of_task in columns.values() for column in of_task))
    rows = read_own(table, wanted)
    entries, rejected = [], list(rows.rejected)
    for row in rows.table.to_pylist():
        try:
            entries.append(_entry(corpus, row, columns))
        except RejectedRecord as why:
            rejected.append(Rejection(row["record"], why.reason, why.detail))
    return Listing(listing_table(entries), Scheme(), rows.listed, rejected)


def _entry(corpus: str, row: Mapping[str, str], columns: Mapping[str, Sequence[str]]) -> Entry:
    record, labels = row["record"], list[bool | None]()
    for task, names in columns.items():
        found = truth_of([row[name] for name in names])
        if None in found and found != [None] * len(found):
            raise RejectedRecord("labels_in_part", f"of task {task}")
        labels += found
    patient = row["patient"] or f"record {record}"
    split = row.get("split", "")
    if split and split not in SPLITS:
        raise RejectedRecord("unknown_split", f"split is none of {', '.join(SPLITS)}")
    shares = (MERL_TRAIN, MERL_VAL) if columns else (TRAIN, VAL)
    report = row.get("report", "")
    return Entry(
        record=record,
        patient=patient,
        split=split or hashed_split(corpus, patient, *shares),
        path=row["path"],
        report=[report] if report.strip() else [],
        codes=row.get("codes", "").split(),
        told=told(row),
        labels=labels,
    )
