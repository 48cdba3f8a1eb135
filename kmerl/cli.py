"""The `kmerl` command: ask a trained model about one recording, compare runs, print tables."""

import json
import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kmerl import files
from kmerl.errors import clear_errors
from kmerl.experiments import commands
from kmerl.leads import LEADS, NAMED_SETS, ORDERS
from kmerl.predict import recording as predict
from kmerl.report import ecg_paper
from kmerl.tasks import merl_splits

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="K-MERL: classify an ECG by any class names, from any leads.",
    epilog=predict.NOTICE,
)
app.add_typer(commands.app, name="experiments")
BAR = 24  # characters of a probability of 1
CAPTION_CLASSES = 6


@app.command(name="predict", epilog=predict.NOTICE)
def predict_command(
    record: Annotated[
        Path, typer.Argument(help="A WFDB record (.hea), or a .csv of lead columns.")
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
    rate: Annotated[float | None, typer.Option(help="Samples a second of a .csv.")] = None,
    unit: Annotated[str, typer.Option(help="Unit of a .csv: mV, uV or V.")] = "mV",
) -> None:
    """Print the probability of each class, likeliest first.

    Without --classes and --task the model is asked for every entity it was pretrained on.
    Probabilities are the model's own and not calibrated.
    """
    with clear_errors():
        if picture is not None and picture.suffix.lower() != ".svg":
            raise ValueError(f"--picture {picture}: pictures are .svg files")
        recording = predict.choose(predict.read(record, rate, unit), leads)
        scorer = load_model(model)
        prepared = predict.prepare(recording, scorer.config, start)
        names = predict.class_names(classes, task, scorer.entities)
        found = predict.ranked(scorer, prepared, names)
        if picture is not None:
            _draw(picture, record, prepared, scorer.config.rate, found)
    shown = found[:top] if top else found
    typer.echo(_as_json(record, prepared, shown) if as_json else _as_text(record, prepared, shown))


@app.command(name="splits")
def splits_command(
    root: Annotated[Path, typer.Argument(help="The folder that holds MERL's data_split.")],
) -> None:
    """Print the rows of MERL's split files, and which of their labels are wrong, as JSON."""
    with clear_errors():
        typer.echo(json.dumps(merl_splits.report(root), indent=1))


@app.command(name="compare")
def compare_command(
    a: Annotated[Path, typer.Argument(metavar="FOLDER_A", help="data/zero_shot of one run, say.")],
    b: Annotated[Path, typer.Argument(metavar="FOLDER_B", help="The other; seeds are averaged.")],
    *,
    leads: Annotated[str, typer.Option(help="Keys of lead sets, 12,I+II; or all.")] = "12",
    replicates: Annotated[int, typer.Option(min=1, help="Draws of the test patients.")] = 1000,
    level: Annotated[
        float, typer.Option(min=0.01, max=0.999, help="Share of replicates in an interval.")
    ] = 0.95,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Is A better than B? Difference in macro AUROC on the same patients, task by task.

    `ahead` is the share of the replicates in which A is above B.
    """
    from kmerl.evaluation import compare

    keys = None if leads == "all" else leads.split(",")
    with clear_errors():
        sides = compare.read_folder(a), compare.read_folder(b)
        table = compare.compare(*sides, keys, replicates, level, seed)
    typer.echo(
        json.dumps(files.rounded(table), indent=1) if as_json else compare.as_text(table, level)
    )


class Format(StrEnum):
    """What `kmerl tables` prints."""

    TEXT = "text"
    CSV = "csv"
    LATEX = "latex"
    MARKDOWN = "markdown"
    JSON = "json"


@app.command(name="tables")
def tables_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="table-2d, figure-6a; every one if none is named."
        ),
    ] = None,
    *,
    form: Annotated[Format, typer.Option("--format", help="How to print them.")] = Format.TEXT,
    out: Annotated[
        Path | None, typer.Option(help="Also write .csv, .tex and, of figures, .svg and .pdf here.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="Runs at this scale alone: demo, ptbxl, paper or own.")
    ] = None,
    wide: Annotated[bool, typer.Option("--wide", help="All columns beside each other.")] = False,
) -> None:
    """Print tables and figures of the paper: its values beside ours (experiments.json).

    Without a name: each table of which an experiment ran, then the names of the others.
    """
    from kmerl.experiments import catalogue, runs
    from kmerl.report import export, markdown, results, terminal

    with clear_errors():
        found = results.results(catalogue.read(), runs.read(), names or (), scale)
        if form is Format.TEXT:
            columns = shutil.get_terminal_size((terminal.WIDTH, 0)).columns
            typer.echo(terminal.pages(found, bool(names), max(columns, terminal.LEAST), wide))
        else:
            printed = {
                Format.CSV: export.as_csv,
                Format.LATEX: export.as_latex,
                Format.MARKDOWN: markdown.as_markdown,
                Format.JSON: export.as_json,
            }
            typer.echo(printed[form](found), nl=False)
        if out is not None:
            from kmerl.report import drawings

            written = export.write(found, out) + [
                path for result in found for path in drawings.write(result, out)
            ]
            typer.echo("\n".join(f"wrote {path}" for path in written), err=True)


@app.command(name="leads")
def leads_command() -> None:
    """List the names of the leads, the named sets, and the orders in which leads are added."""
    typer.echo(f"leads   {' '.join(LEADS)}")
    for name, members in NAMED_SETS.items():
        typer.echo(f"set     {name:11} {' '.join(members)}")
    for name, members in ORDERS.items():
        typer.echo(f"order   {name:11} {' '.join(members)}")
    typer.echo("Write a set as a name, or its leads with commas: --leads limb, --leads I,II,V2")


def load_model(directory: Path) -> predict.Scorer:
    """The predictor of a models directory; torch is imported here and not before."""
    from kmerl.predict import predictor

    return predictor.load(directory)


def _as_text(record: Path, prepared: predict.Prepared, found: list[tuple[str, float]]) -> str:
    width = max((len(name) for name, _ in found), default=0)
    rows = [
        f"  {name:{width}}  {probability:6.3f}  {'#' * round(BAR * probability)}".rstrip()
        for name, probability in found
    ]
    head = f"{record}: {len(prepared.leads)} leads ({', '.join(prepared.leads)})"
    notes = [f"note: {note}" for note in prepared.notes]
    return "\n".join([head, *notes, *rows, predict.NOTICE])


def _as_json(record: Path, prepared: predict.Prepared, found: list[tuple[str, float]]) -> str:
    answer = {
        "record": str(record),
        "leads": list(prepared.leads),
        "predictions": [{"name": name, "probability": round(p, 6)} for name, p in found],
        "notes": list(prepared.notes),
        "notice": predict.NOTICE,
    }
    return json.dumps(answer, indent=1)


def _draw(
    path: Path,
    record: Path,
    prepared: predict.Prepared,
    rate: int,
    found: list[tuple[str, float]],
) -> None:
    signals = dict(zip(prepared.leads, prepared.signal, strict=True))
    title = f"{record.name}, {', '.join(prepared.leads)}"
    caption = [f"{p:.2f}  {name}" for name, p in found[:CAPTION_CLASSES]]
    svg = ecg_paper.picture(signals, rate, title)
    files.write_text(path, ecg_paper.standalone(svg, [title, *caption, predict.NOTICE]))


if __name__ == "__main__":
    app()
