"""Options that `kmerl predict` and `kmerl embed` share."""

from pathlib import Path
from typing import Annotated

import typer

from kmerl.engines import Backend
from kmerl.predict import shipped

Records = Annotated[
    list[str],
    typer.Argument(
        help="Recordings: WFDB, EDF, DICOM, XML of HL7, GE or Philips, SCP-ECG, CSV, MATLAB, NumPy "
        'or Parquet; folders; patterns ("*.edf"); lists (.csv with a column path, and perhaps '
        "record, rate, unit, channels, map)."
    ),
]
Leads = Annotated[
    str | None, typer.Option(help="Leads to use: I,II or limb; by default all there are.")
]

ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        show_default="models, else simulated",
        help="Folder of a model, its name on the Hugging Face Hub (ORGANISATION/NAME), or "
        "simulated: the one that comes with K-MERL.",
    ),
]
Revision = Annotated[str | None, typer.Option(help="Commit, tag or branch of a model of the Hub.")]
Start = Annotated[float, typer.Option(help="Seconds into the recording to begin at.")]
Window = Annotated[
    float, typer.Option(min=0, help="A row for each window of so many seconds, for a Holter.")
]
Step = Annotated[
    float, typer.Option(min=0, help="Seconds between the windows' beginnings; 0 is --window.")
]
Rate = Annotated[
    float | None, typer.Option(help="Samples a second, of a file that does not say it.")
]
Unit = Annotated[
    str | None, typer.Option(help="Unit of such a file: mV, uV, V, or of a step: 4.88uV.")
]
Channels = Annotated[str | None, typer.Option(help="Names of its channels, in order: I,II,V1.")]
Named = Annotated[
    str | None,
    typer.Option("--map", help='Which channel is which lead: "ECG1=I,ECG2=II,RESP=-".'),
]
Derive = Annotated[
    bool, typer.Option("--derive", help="Compute III, aVR, aVL, aVF from two limb leads.")
]
Anonymous = Annotated[
    bool,
    typer.Option("--anonymous", help="Leave the file's name, date, id, age and sex out of it."),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Recordings that pass the model at a time.")]
Workers = Annotated[
    int, typer.Option(min=0, help="Processes that read and prepare; 0 is one a core.")
]
Engines = Annotated[Backend, typer.Option("--backend", help="Who reads: loky (here), dask or ray.")]
Address = Annotated[str, typer.Option(help="Of the Dask or Ray cluster.")]
OUT = "Write a row each recording or window into this .parquet, .csv or .jsonl file."
MODEL = ""
Out = Annotated[Path | None, typer.Option(help=OUT)]


def told(model: str) -> str:
    """The model that was asked for, or the one that stands for it, which is said."""
    where = str(shipped.chosen(model))
    if not model and where == shipped.SIMULATED:
        typer.echo(f"note: {shipped.NOTE}", err=True)
    return where
