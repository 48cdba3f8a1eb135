"""A probe of one's own labels: cross-validated numbers, and a classifier of all records to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from kmerl.evaluation import metrics
from kmerl.evaluation.bootstrap import Statistics, draw_patients, interval
from kmerl.evaluation.calibration import Calibration, calibration
from kmerl.evaluation.cross_validation import (
    Examples,
    Linear,
    OutOfFold,
    cross_validate,
    fit,
    too_few,
)
from kmerl.evaluation.features_file import Features
from kmerl.evaluation.metrics import Weights
from kmerl.progress import track
from kmerl.seeds import generator

COLUMNS = (
    "leads", "class", "records", "patients", "positives", "auroc", "auroc_lo", "auroc_hi",
    "auprc", "auprc_lo", "auprc_hi", "knn_auroc", "knn_auroc_lo", "knn_auroc_hi",
    "calibration_slope", "calibration_intercept", "calibration_error", "c",
)  # fmt: skip
BIN_COLUMNS = ("leads", "class", "predicted", "observed", "records")
SCORE_COLUMNS = ("record", "patient", "leads", "class", "label", "probability", "knn", "fold")
LEFT_OUT_COLUMNS = ("leads", "class", "record", "reason")


@dataclass(frozen=True)
class Labels:
    """Labels of one's own: {class: one label a record}, None where it is not known."""

    records: tuple[str, ...]
    patients: tuple[str, ...]
    classes: dict[str, list[bool | None]]


@dataclass(frozen=True)
class Settings:
    """How a probe is made; `kmerl probe` has an option for each."""

    folds: int
    neighbours: int
    seed: int
    statistics: Statistics


@dataclass(frozen=True)
class Probed:
    """One class under one lead set."""

    leads: str
    name: str
    records: tuple[str, ...]
    examples: Examples
    scores: OutOfFold
    calibration: Calibration
    whole: Linear
    row: dict[str, object]

    def score_rows(self) -> list[list[object]]:
        """Rows of `SCORE_COLUMNS`."""
        probabilities = 1 / (1 + np.exp(-self.scores.logits))
        columns = (self.examples.truth, probabilities, self.scores.neighbours, self.scores.fold)
        patients = self.examples.patients.tolist()
        return [
            [record, patient, self.leads, self.name, int(label), p, share, int(fold)]
            for record, patient, label, p, share, fold in zip(
                self.records, patients, *columns, strict=True
            )
        ]


@dataclass(frozen=True)
class Results:
    """Classes that were probed, and rows of `LEFT_OUT_COLUMNS`: records and whole classes that
    were not, each with its reason."""

    probed: list[Probed]
    left_out: list[tuple[str, str, str, str]]


def probe(features: Mapping[str, Features], labels: Labels, settings: Settings) -> Results:
    """Every lead set and class.

    Raises:
        ValueError: no class can be probed.
    """
    weights = draw_patients(
        labels.patients,
        settings.statistics.replicates,
        generator(settings.seed, "bootstrap", "own labels"),
    )
    probed, left_out = [], list[tuple[str, str, str, str]]()
    jobs = [(leads, name) for leads in features for name in labels.classes]
    for leads, name in track(jobs, "probe", unit="classes"):
        known = set(features[leads].records)
        rows = []
        for row, (record, label) in enumerate(
            zip(labels.records, labels.classes[name], strict=True)
        ):
            if record not in known:
                left_out.append((leads, name, record, "no features"))
            elif label is None:
                left_out.append((leads, name, record, "no label"))
            else:
                rows.append(row)
        examples = _examples(features[leads], labels, name, rows)
        if why := too_few(examples, settings.folds):
            left_out.append((leads, name, "", why))
            continue
        records = tuple(labels.records[row] for row in rows)
        probed.append(_probe(leads, name, records, examples, weights[rows], settings))
    if not probed:
        reasons = "; ".join(f"{name}: {why}" for _, name, record, why in left_out if not record)
        raise ValueError(f"no class can be probed: {reasons or 'none is given'}")
    return Results(probed, left_out)


def _examples(features: Features, labels: Labels, name: str, rows: Sequence[int]) -> Examples:
    place = {record: row for row, record in enumerate(features.records)}
    vectors = features.vectors[[place[labels.records[row]] for row in rows]]
    truth = np.array([labels.classes[name][row] for row in rows], dtype=bool)
    patients = np.array([labels.patients[row] for row in rows], dtype=str)
    return Examples(np.asarray(vectors, np.float64), truth, patients)


def _probe(
    leads: str,
    name: str,
    records: tuple[str, ...],
    examples: Examples,
    weights: Weights,
    settings: Settings,
) -> Probed:
    scores = cross_validate(examples, settings.folds, settings.neighbours, settings.seed)
    whole, calibrated = fit(examples, settings.seed), calibration(examples.truth, scores.logits)
    level = settings.statistics.level
    row: dict[str, object] = {
        "leads": leads,
        "class": name,
        "records": len(records),
        "patients": len(np.unique(examples.patients)),
        "positives": int(examples.truth.sum()),
        **_measured("auroc", examples.truth, scores.logits, weights, level),
        **_measured("auprc", examples.truth, scores.logits, weights, level),
        **_measured("knn_auroc", examples.truth, scores.neighbours, weights, level),
        "calibration_slope": calibrated.slope,
        "calibration_intercept": calibrated.intercept,
        "calibration_error": calibrated.error,
        "c": whole.penalty,
    }
    return Probed(leads, name, records, examples, scores, calibrated, whole, row)


def _measured(
    metric: str,
    truth: Bool[np.ndarray, " record"],
    score: Float[np.ndarray, " record"],
    weights: Weights,
    level: float,
) -> dict[str, float]:
    """A metric with its interval over the drawn patients."""
    one, once = (truth[:, None], score[:, None]), np.ones((len(truth), 1), np.float32)
    kind = metrics.auprc_replicates if metric == "auprc" else metrics.auroc_replicates
    value = float(kind(*one, once)[0, 0])
    low, high = interval(kind(*one, weights)[:, 0], level)
    return {metric: value, f"{metric}_lo": low, f"{metric}_hi": high}
