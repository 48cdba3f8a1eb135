"""What `kmerl probe` leaves in its folder: tables, the probe, and a card that says what it is."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kmerl.evaluation.own_probe import (
    BIN_COLUMNS,
    COLUMNS,
    LEFT_OUT_COLUMNS,
    SCORE_COLUMNS,
    Probed,
    Results,
    Settings,
)
from kmerl.evaluation.probe_file import Probe, ProbeConfig, write_probe
from kmerl.files import write_csv, write_json, write_text

CARD = """\
# A probe of {classes}

Logistic regressions on the features of {source}, one a class and lead set. For research. Not a
medical device: no probability of it may guide the care of a patient.

{rows}

Measured on {records} records of {patients} patients by {folds}-fold cross-validation in which no
patient is in two folds; features are standardised and C is chosen inside the training folds. The
scores of all folds are pooled. AUROC, AUPRC and nearest neighbours ({neighbours} of them) stand
with their {level:g} % intervals over {replicates} draws of the patients. Calibration: slope 1 and
intercept 0 are right; the error is the mean distance of predicted and observed shares.

The classifiers in `probe.safetensors` are fitted on all records. `metrics.csv` has these numbers,
`calibration.csv` ten bins a class, `scores.csv` every record's scores by a classifier that did not
see its patient, and `left_out.csv` the {left_out} records and classes that were left out, with the
reason.

Limits: these numbers hold for records like those above, from the same devices and the same
readers of them; for no others were they measured.
"""


def write(
    directory: Path,
    results: Results,
    settings: Settings,
    lead_sets: Mapping[str, tuple[str, ...]],
    source: str,
    model: str,
) -> None:
    """Everything, into a folder that is there.

    Args:
        lead_sets: the leads of each key, as far as they are leads of ours.
        source: what the features are of, in words.
        model: digest of the model's weights; empty for features from a file.
    """
    probed = results.probed
    rows = [[one.row[name] for name in COLUMNS] for one in probed]
    bins = [[one.leads, one.name, *b] for one in probed for b in one.calibration.bins]
    write_csv(directory / "metrics.csv", COLUMNS, rows)
    write_json(directory / "metrics.json", [one.row for one in probed])
    write_csv(directory / "calibration.csv", BIN_COLUMNS, bins)
    scores = [row for one in probed for row in one.score_rows()]
    write_csv(directory / "scores.csv", SCORE_COLUMNS, scores)
    write_csv(directory / "left_out.csv", LEFT_OUT_COLUMNS, results.left_out)
    write_probe(directory, _probe(probed, lead_sets, model))
    write_text(directory / "README.md", _card(results, settings, source))


def as_table(probed: list[Probed]) -> str:
    """The numbers as Markdown, a row a lead set and class."""
    head = ("leads", "class", "positives", "AUROC", "AUPRC", "k-NN AUROC", "slope", "error")
    lines = [head, ["---"] * len(head)]
    for one in probed:
        row = one.row
        measured = [_interval(row, name) for name in ("auroc", "auprc", "knn_auroc")]
        calibrated = [f"{row[f'calibration_{name}']:.2f}" for name in ("slope", "error")]
        positives = f"{row['positives']} of {row['records']}"
        lines.append([one.leads, one.name, positives, *measured, *calibrated])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _interval(row: Mapping[str, object], name: str) -> str:
    return f"{row[name]:.3f} ({row[f'{name}_lo']:.3f} to {row[f'{name}_hi']:.3f})"


def _probe(probed: list[Probed], lead_sets: Mapping[str, tuple[str, ...]], model: str) -> Probe:
    of: dict[str, list[Probed]] = {}
    for one in probed:
        of.setdefault(one.leads, []).append(one)
    return Probe(
        ProbeConfig(
            model=model,
            lead_sets={key: lead_sets.get(key, ()) for key in of},
            classes={key: tuple(one.name for one in members) for key, members in of.items()},
        ),
        {key: np.stack([one.whole.weight for one in members]) for key, members in of.items()},
        {key: np.array([one.whole.bias for one in members]) for key, members in of.items()},
    )


def _card(results: Results, settings: Settings, source: str) -> str:
    probed = results.probed
    patients = np.unique(np.concatenate([one.examples.patients for one in probed]))
    return CARD.format(
        classes=", ".join(dict.fromkeys(one.name for one in probed)),
        source=source,
        rows=as_table(probed),
        records=len({record for one in probed for record in one.records}),
        patients=len(patients),
        folds=settings.folds,
        neighbours=settings.neighbours,
        level=100 * settings.statistics.level,
        replicates=settings.statistics.replicates,
        left_out=len(results.left_out),
    )
