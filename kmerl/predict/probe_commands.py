"""`kmerl probe` and `kmerl fine-tune`: a model learns labels of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from kmerl.leads import parse_leads
from kmerl.predict import options

Source = Annotated[
    Path,
    typer.Argument(
        metavar="RECORDINGS|FEATURES",
        help="The folder that the table's paths are in; or a Parquet file of features with columns "
        "record, leads, vector.",
    ),
]
Table = Annotated[
    Path,
    typer.Argument(
        metavar="LABELS",
        help="A CSV or Parquet file with columns path, patient and a column of 1 and 0 a class.",
    ),
]
Leads = Annotated[str, typer.Option(help="Lead sets, with commas between: 12,I,I+II.")]
Columns = Annotated[
    str | None,
    typer.Option(
        "--labels", help="The columns that are labels; by default all that hold 1, 0 and nothing."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Of every draw.")]
Replicates = Annotated[int, typer.Option(min=1, help="Draws of the patients.")]
Level = Annotated[float, typer.Option(min=0.01, max=0.999, help="Share of draws in an interval.")]
Threads = Annotated[int, typer.Option(min=1, help="Recordings read side by side.")]


def probe_command(
    source: Source,
    labels: Table,
    *,
    out: Annotated[Path, typer.Option(help="A folder for the probe, its numbers and its card.")],
    leads: Leads = "12",
    columns: Columns = None,
    model: options.ModelName = options.MODEL,
    folds: Annotated[int, typer.Option(min=2, help="Parts that the patients are dealt into.")] = 5,
    neighbours: Annotated[int, typer.Option(min=1, help="Of the nearest-neighbour scores.")] = 20,
    replicates: Replicates = 1000,
    level: Level = 0.95,
    seed: Seed = 0,
    threads: Threads = 2,
    device: options.Device = "auto",
) -> None:
    """Learn labels of your own from frozen features, cross-validated by patient.

    Logistic regressions, one a class: AUROC, AUPRC, nearest neighbours and calibration with
    intervals over the patients, and a probe that `kmerl predict --probe` uses. Features of another
    encoder go the same way: give their Parquet file in place of the folder.
    """
    from kmerl.evaluation import own_probe, probe_card
    from kmerl.evaluation.bootstrap import Statistics
    from kmerl.predict import learning, own_labels

    table = own_labels.read_labels(labels, columns.split(",") if columns else ())
    statistics = Statistics(replicates, level, 0)
    settings = own_probe.Settings(folds, neighbours, seed, statistics)
    where = options.told(model) if source.is_dir() else ""
    lead_sets = {key: parse_leads(key) for key in leads.split(",")}
    found = learning.features_of(source, table, lead_sets, where, threads, device)
    results = own_probe.probe(found.features, table.labels, settings)
    results = learning.explained(results, found, table)
    out.mkdir(parents=True, exist_ok=True)
    probe_card.write(out, results, settings, found.lead_sets, found.source, found.model)
    for note in table.notes:
        typer.echo(f"note: {note}")
    typer.echo(probe_card.as_table(results.probed))
    typer.echo(
        f"{len(results.left_out)} left out, see {out / 'left_out.csv'}; the probe is in {out}"
    )


def fine_tune_command(
    source: Annotated[
        Path,
        typer.Argument(metavar="RECORDINGS", help="The folder that the table's paths are in."),
    ],
    labels: Table,
    *,
    out: Annotated[Path, typer.Option(help="A folder for the model, its numbers and its card.")],
    leads: Annotated[str, typer.Option(help="One lead set: 12, I or I+II.")] = "12",
    columns: Columns = None,
    model: options.ModelName = options.MODEL,
    epochs: Annotated[int, typer.Option(min=1, help="The best by validation is kept.")] = 10,
    batch: Annotated[int, typer.Option(min=1, help="Records a step.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="Of the encoder, AdamW, peak.")] = 1e-3,
    head_learning_rate: Annotated[float, typer.Option(help="Of the linear head.")] = 3e-2,
    replicates: Replicates = 1000,
    level: Level = 0.95,
    seed: Seed = 0,
    threads: Threads = 2,
    device: options.Device = "auto",
) -> None:
    """Train all weights of a model on labels of your own, split by patient.

    The table's column split says train, val or test; without it patients are dealt 72/8/20.
    """
    from kmerl.evaluation.bootstrap import Statistics
    from kmerl.evaluation.fine_tune_fit import FineTune
    from kmerl.params import build
    from kmerl.predict import own_labels, tuning

    values = {
        "ratios": [100], "leads": [leads], "seeds": 1, "from_scratch": False,
        "learning_rate": learning_rate, "scratch_learning_rate": learning_rate,
        "head_learning_rate": head_learning_rate, "weight_decay": 1e-4, "batch": batch,
        "epochs": epochs, "warmup_epochs": min(0.5, epochs / 2), "clip": 1.0, "precision": "fp32",
    }  # fmt: skip
    settings = build(FineTune, values, "kmerl fine-tune")
    statistics = Statistics(replicates, level, 0)
    table = own_labels.read_labels(labels, columns.split(",") if columns else ())
    where = options.told(model)
    rows = tuning.fine_tune(source, table, where, out, settings, statistics, seed, threads, device)
    for note in table.notes:
        typer.echo(f"note: {note}")
    typer.echo(rows)
    typer.echo(f"the model is in {out}; {out / 'left_out.csv'} has what was left out")
