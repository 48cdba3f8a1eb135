"""MIMIC-IV-ECG 1.0: record_list.csv joined with machine_measurements.csv on `study_id`.

The pretraining corpus (Sec. 4.1): up to 18 machine statements a record and no labels. The two
tables are joined by key, never by row order. Patients, not records, are split: a fiftieth of
them is held out for validation.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kmerl.corpora.csv_files import ANY, PATH, RECORD, read_rows
from kmerl.corpora.records import LISTING, Listing, Scheme, corpus_file, hashed_split

CORPUS = "mimic-iv-ecg"
STATEMENTS = tuple(f"report_{i}" for i in range(18))
LISTED = {"study_id": RECORD, "subject_id": RECORD, "path": PATH}
MEASURED = {"study_id": RECORD, **dict.fromkeys(STATEMENTS, ANY)}
TRAIN, VAL = 0.98, 0.02


def listing(root: Path) -> Listing:
    """The records of record_list.csv with the statements of machine_measurements.csv.

    A study that machine_measurements.csv lists twice keeps the first row's statements; a study
    it does not list has no statement, and one whose line there cannot be read is left out.

    Raises:
        CorpusError: a file or a column is missing.
    """
    listed = read_rows(corpus_file(root, "record_list.csv"), LISTED)
    measurements = read_rows(corpus_file(root, "machine_measurements.csv"), MEASURED)
    torn = {line.record: line for line in measurements.rejected if line.record}
    lost = pc.is_in(listed.table["study_id"], value_set=pa.array(torn, pa.string()))
    unstated = listed.table["study_id"].filter(lost).to_pylist()
    records, measured = listed.table.filter(pc.invert(lost)), measurements.table
    unmeasured = len(measured)  # the row after the last: no statement
    row = pc.index_in(records["study_id"], value_set=measured["study_id"]).fill_null(unmeasured)
    subjects = records["subject_id"].to_pylist()
    table = pa.table(
        {
            "record": records["study_id"],
            "patient": records["subject_id"],
            "split": pa.array([hashed_split(CORPUS, s, TRAIN, VAL) for s in subjects], pa.string()),
            "path": records["path"],
            "report": statement_lists(measured).take(row.combine_chunks()),
            "codes": pa.array([[]] * len(records), pa.list_(pa.string())),
            "told": pa.array([[]] * len(records), pa.map_(pa.string(), pa.string())),
            "labels": pa.nulls(len(records), pa.list_(pa.bool_())),
        },
        schema=LISTING,
    )
    return Listing(
        table,
        Scheme(),
        listed.listed,
        rejected=[*listed.rejected, *(torn[study] for study in unstated)],
        unread=[line for line in measurements.rejected if line.record not in unstated],
    )


def statement_lists(measured: pa.Table) -> pa.ListArray:
    """The statements of each row, in the order of their columns, blank ones left out.

    One row more than `measured` has: the last is empty.
    """
    rows, values = [], []
    for name in STATEMENTS:
        column = measured[name].combine_chunks()
        filled = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(column)), 0)
        rows.append(np.flatnonzero(filled.to_numpy(zero_copy_only=False)))
        values.append(column.filter(filled))
    row = np.concatenate(rows)
    flat = pa.concat_arrays(values).take(pa.array(np.argsort(row, kind="stable")))
    offsets = np.zeros(len(measured) + 2, np.int32)
    np.cumsum(np.bincount(row, minlength=len(measured) + 1), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), flat)
