"""`kmerl probe` and `kmerl fine-tune`: a model learns labels of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from kmerl.leads import parse_leads

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
Model = Annotated[Path, typer.Option(help="Where stage pretrain wrote the model.")]
Seed = Annotated[int, typer.Option(min=0, help="Of every draw.")]
Replicates = Annotated[int, typer.Option(min=1, help="Draws of the patients.")]
Level = Annotated[float, typer.Option(min=0.01, max=0.999, help="Share of draws in an interval.")]
Threads = Annotated[int, typer.Option(min=1, help="Recordings read side by side.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]


def probe_command(
    source: Source,
    labels: Table,
    *,
    out: Annotated[Path, typer.Option(help="A folder for the probe, its numbers and its card.")],
    leads: Leads = "12",
    columns: Columns = None,
    model: Model = Path("models"),
    folds: Annotated[int, typer.Option(min=2, help="Parts that the patients are dealt into.")] = 5,
    neighbours: Annotated[int, typer.Option(min=1, help="Of the nearest-neighbour scores.")] = 20,
    replicates: Replicates = 1000,
    level: Level = 0.95,
    seed: Seed = 0,
    threads: Threads = 2,
    device: Device = "cpu",
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
    found = learning.features_of(
        source, table, {key: parse_leads(key) for key in leads.split(",")}, model, threads, device
    )
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
