"""What there is to learn from and to measure on: records, patients, splits, labels."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from kmerl import files, store
from kmerl.tasks import merl_splits
from kmerl.tasks.cohort import SPLITS, Cohort
from kmerl.tasks.splits import TaskSplits

CLASS_COLUMNS = ("task", "code", "name", *SPLITS)


class LeakageError(ValueError):
    """Records of one patient are in two splits: a test patient has been trained on."""


def corpora_report(
    ingest_metrics: Path, store_root: Path, corpora: Iterable[str], cohorts: Iterable[Cohort]
) -> dict[str, dict[str, Any]]:
    """{corpus: the counts of stage `ingest`, with patients, records a split, and "tasks"}.

    Of a task, for each split: rows, labels given (`positives`), and classes with a positive row.

    Raises:
        LeakageError: a patient is in two splits.
    """
    entries: dict[str, dict[str, Any]] = {}
    for corpus in corpora:
        table = store.read_table(store_root / corpus, ["patient", "split"])
        patients, splits = (np.array(table[c].to_pylist(), dtype=str) for c in ("patient", "split"))
        check_leakage(corpus, patients, splits)
        entries[corpus] = {
            **files.read_json(ingest_metrics / f"{corpus}.json")[corpus],
            **{f"records_{name}": int((splits == name).sum()) for name in SPLITS},
            "patients": len(np.unique(patients)),
            "patients_crossing_splits": 0,
            "tasks": {},
        }
    for cohort in cohorts:
        truths = {name: cohort.split(name).truth for name in SPLITS}
        entries[cohort.corpus]["tasks"][cohort.task] = {
            name: {
                "rows": len(truth),
                "positives": int(truth.sum()),
                "classes": int(truth.any(axis=0).sum()),
            }
            for name, truth in truths.items()
        }
    return entries


def check_leakage(
    where: str, patients: Shaped[np.ndarray, " record"], splits: Shaped[np.ndarray, " record"]
) -> None:
    """
    Raises:
        LeakageError: a patient is in two splits. `where`: the corpus or task to name.
    """
    of_patient = defaultdict(set)
    for patient, split in zip(patients.tolist(), splits.tolist(), strict=True):
        of_patient[patient].add(split)
    crossing = sorted(patient for patient, found in of_patient.items() if len(found) > 1)
    if crossing:
        parts = ", ".join(sorted(of_patient[crossing[0]]))
        raise LeakageError(
            f"{where}: {len(crossing)} patients are in more than one split, the first is "
            f"{crossing[0]!r} ({parts}); correct the split before measuring anything on it"
        )


def task_report(found: TaskSplits) -> dict[str, Any]:
    """Rows, patients and positives of a task, and how MERL's files differ, where they were read.

    `without_positives` names the classes of each split that nothing can be measured on;
    `records_missing` counts MERL's records that the store lacks, by reason.

    Raises:
        LeakageError: a patient is in two splits.
    """
    cohort = found.cohort
    check_leakage(cohort.task, cohort.patients, cohort.splits)
    parts = {name: cohort.split(name) for name in SPLITS}
    positives = {name: _positives(part) for name, part in parts.items()}
    report: dict[str, Any] = {
        "classes": len(cohort.classes),
        "rows": {name: len(part.records) for name, part in parts.items()},
        "patients": {name: len(np.unique(part.patients)) for name, part in parts.items()},
        "patients_crossing_splits": 0,
        "positives": positives,
        "without_positives": {
            name: [kind.name for kind in cohort.classes if not positives[name][kind.code]]
            for name in SPLITS
        },
    }
    if found.merl is not None:
        report["merl"] = merl_splits.summary(found.merl)
        report["records_missing"] = dict(Counter(reason for *_, reason in found.missing))
    return report


def _positives(cohort: Cohort) -> dict[str, int]:
    counts = cohort.truth.sum(axis=0).tolist()
    return {kind.code: count for kind, count in zip(cohort.classes, counts, strict=True)}


def class_rows(cohorts: Iterable[Cohort]) -> list[list[object]]:
    """Rows of `CLASS_COLUMNS`: the positive records of each class and split."""
    rows: list[list[object]] = []
    for cohort in cohorts:
        counts = [_positives(cohort.split(name)) for name in SPLITS]
        for code, name in cohort.classes:
            rows.append([cohort.task, code, name, *(positives[code] for positives in counts)])
    return sorted(rows, key=lambda row: [str(part) for part in row[:2]])
