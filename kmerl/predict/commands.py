"""`kmerl predict` and `kmerl leads`: ask a trained model about a recording."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from kmerl import recordings
from kmerl.leads import LEADS, NAMED_SETS, ORDERS
from kmerl.predict import asking, preparing, printing


def predict_command(
    record: Annotated[
        Path,
        typer.Argument(
            help="A recording: WFDB, EDF, DICOM, XML of HL7, GE or Philips, SCP-ECG, CSV, MATLAB, "
            "NumPy or Parquet."
        ),
    ],
    *,
    leads: Annotated[
        str | None, typer.Option(help="Leads to use: I,II or limb; by default all there are.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help='Class names, "atrial fibrillation,left bundle branch block".'),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="The classes of a downstream task, such as ptbxl_super.")
    ] = None,
    model: Annotated[Path, typer.Option(help="Where stage pretrain wrote the model.")] = Path(
        "models"
    ),
    picture: Annotated[
        Path | None, typer.Option(help="Draw the leads on ECG paper into this .svg file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    top: Annotated[int, typer.Option(min=0, help="Print so many classes; 0 prints all.")] = 0,
    start: Annotated[float, typer.Option(help="Seconds into the recording to begin at.")] = 0.0,
    rate: Annotated[
        float | None, typer.Option(help="Samples a second, of a file that does not say it.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Unit of such a file: mV, uV, V, or of a step: 4.88uV.")
    ] = None,
    channels: Annotated[
        str | None, typer.Option(help="Names of its channels, in order: I,II,V1.")
    ] = None,
    named: Annotated[
        str | None,
        typer.Option("--map", help='Which channel is which lead: "ECG1=I,ECG2=II,RESP=-".'),
    ] = None,
    derive: Annotated[
        bool, typer.Option("--derive", help="Compute III, aVR, aVL, aVF from two limb leads.")
    ] = False,
) -> None:
    """Print the probability of each class, likeliest first.

    Without --classes and --task the model is asked for every entity it was pretrained on.
    Probabilities are the model's own and not calibrated.
    """
    if picture is not None and picture.suffix.lower() != ".svg":
        raise ValueError(f"--picture {picture}: pictures are .svg files")
    found = recordings.read(
        record, rate=rate, unit=unit, channels=channels or (), leads=named, derive=derive
    )
    recording = preparing.choose(found, leads)
    from kmerl.predict import scoring  # torch is imported here and not before

    predictor = scoring.load(model)
    grid = predictor.config.rate, predictor.config.samples
    prepared = preparing.prepare(recording, *grid, start)
    names = asking.class_names(classes, task, predictor.entities)
    probabilities = predictor.score(prepared.signal, prepared.leads, names)
    elsewhere = predictor.in_company(prepared.signal, prepared.leads, names)
    notes = asking.company_notes(names, probabilities, elsewhere)
    prepared = dataclasses.replace(prepared, notes=(*prepared.notes, *notes))
    answers = asking.ranked(names, probabilities)
    if picture is not None:
        printing.draw(picture, record, prepared, grid[0], answers)
    written = printing.as_json if as_json else printing.as_text
    typer.echo(written(record, prepared, answers[:top] if top else answers))


def leads_command() -> None:
    """List the names of the leads, the named sets, and the orders in which leads are added."""
    typer.echo(f"leads   {' '.join(LEADS)}")
    for name, members in NAMED_SETS.items():
        typer.echo(f"set     {name:11} {' '.join(members)}")
    for name, members in ORDERS.items():
        typer.echo(f"order   {name:11} {' '.join(members)}")
    typer.echo("Write a set as a name, or its leads with commas: --leads limb, --leads I,II,V2")
