"""`kmerl predict`, `kmerl embed` and `kmerl leads`: ask a trained model about recordings."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kmerl import recordings
from kmerl.engines import Engine
from kmerl.leads import LEADS, NAMED_SETS, ORDERS, parse_leads
from kmerl.predict import asking, drawing, finding, options, preparing, printing
from kmerl.predict.finding import Said
from kmerl.predict.pieces import Bad, Question
from kmerl.report.writers import paper

if TYPE_CHECKING:
    from kmerl.predict.model import Model

SOME_BAD = 3
"""Status where answers are written, and some recordings could not be used."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the options say of many recordings."""

    records: list[str]
    said: Said
    leads: str | None
    cut: preparing.Cut
    engine: Engine


def predict_command(
    records: options.Records,
    *,
    leads: options.Leads = None,
    classes: Annotated[
        str | None,
        typer.Option(help='Class names, "atrial fibrillation,left bundle branch block".'),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="The classes of a downstream task, such as ptbxl_super.")
    ] = None,
    probe: Annotated[
        Path | None, typer.Option(help="A folder of `kmerl probe`, whose classes are answered.")
    ] = None,
    out: options.Out = None,
    model: options.ModelName = options.MODEL,
    revision: options.Revision = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the leads on ECG paper: .svg, .png or .pdf.")
    ] = None,
    timeline: Annotated[
        Path | None,
        typer.Option(help="Draw a recording's windows over time: .svg, .png or .pdf."),
    ] = None,
    anonymous: options.Anonymous = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    top: Annotated[int, typer.Option(min=0, help="Print so many classes; 0 prints all.")] = 0,
    start: options.Start = 0.0,
    window: options.Window = 0.0,
    step: options.Step = 0.0,
    rate: options.Rate = None,
    unit: options.Unit = None,
    channels: options.Channels = None,
    named: options.Named = None,
    derive: options.Derive = False,
    device: options.Device = "auto",
    batch: options.Batch = None,
    workers: options.Workers = 0,
    backend: options.Engines = "loky",
    address: options.Address = "",
) -> None:
    """Print the probability of each class, likeliest first; with --out, for many recordings.

    Without --classes and --task the model is asked for every entity it was pretrained on.
    Probabilities are the model's own and not calibrated. With --out, what could not be used is
    listed in a file beside it (answers.bad.csv), and the status is then 3; whoever runs the same
    command again after a kill goes on where it was.
    """
    if picture is not None:
        paper.check(picture)
    if timeline is not None:
        paper.check(timeline)
        if len(records) > 1 or finding.is_many(records[0]) or not window or out is None:
            raise ValueError("--timeline draws one recording: give one file, --window and --out")
    said = Said(rate, unit, channels or "", named, derive)
    cut = preparing.Cut(start, window, step)

    def ready() -> tuple[Model, tuple[str, ...]]:
        """The model, and what it is asked; torch is imported here and not before."""
        from kmerl.predict.model import load
        from kmerl.predict.probing import with_probe

        where = options.told(model)
        loaded = load(where, revision=revision, device=device, batch=batch)
        loaded = with_probe(loaded, probe, leads, where)
        return loaded, asking.class_names(classes, task, loaded.entities)

    if out is not None:
        asked = Asked(records, said, leads, cut, Engine(backend, _workers(workers), address))
        _to_file(asked, *ready(), out, timeline, anonymous)
        return
    if len(records) > 1 or finding.is_many(records[0]) or window:
        raise ValueError(
            f"{len(records)} arguments, a folder, a pattern, a list or windows: give "
            "--out answers.parquet"
        )
    (record,) = map(Path, records)
    found = recordings.read(record, **dataclasses.asdict(said))
    recording = preparing.choose(found, leads)
    loaded, names = ready()
    grid = loaded.config.rate, loaded.config.samples
    prepared = preparing.prepare(recording, *grid, start)
    probabilities = loaded.score(prepared.signal, prepared.leads, names)
    elsewhere = loaded.in_company(prepared.signal, prepared.leads, names)
    notes = [
        *asking.unknown(names, loaded.entities).values(),
        *asking.company_notes(names, probabilities, elsewhere),
    ]
    prepared = dataclasses.replace(prepared, notes=(*prepared.notes, *notes))
    answers = asking.ranked(names, probabilities)
    if picture is not None:
        drawn = drawing.drawn(recording, prepared, loaded.seconds, answers, anonymous=anonymous)
        paper.write(picture, drawn)
    written = printing.as_json if as_json else printing.as_text
    typer.echo(written(record, prepared, answers[:top] if top else answers))


def embed_command(
    records: options.Records,
    *,
    out: Annotated[Path, typer.Option(help=options.OUT)] = Path("features.parquet"),
    leads: options.Leads = None,
    model: options.ModelName = options.MODEL,
    revision: options.Revision = None,
    start: options.Start = 0.0,
    window: options.Window = 0.0,
    step: options.Step = 0.0,
    rate: options.Rate = None,
    unit: options.Unit = None,
    channels: options.Channels = None,
    named: options.Named = None,
    derive: options.Derive = False,
    device: options.Device = "auto",
    batch: options.Batch = None,
    workers: options.Workers = 0,
    backend: options.Engines = "loky",
    address: options.Address = "",
) -> None:
    """Write the encoder's features of recordings: record, start, seconds, leads, vector.

    What could not be used is listed in a file beside it (features.bad.csv), and the status is then
    3; whoever runs the same command again after a kill goes on where it was.
    """
    said = Said(rate, unit, channels or "", named, derive)
    cut = preparing.Cut(start, window, step)
    asked = Asked(records, said, leads, cut, Engine(backend, _workers(workers), address))
    from kmerl.predict.model import load

    loaded = load(options.told(model), revision=revision, device=device, batch=batch)
    _end(_many(loaded, asked, None, out))


def _to_file(
    asked: Asked,
    loaded: Model,
    names: tuple[str, ...],
    out: Path,
    timeline: Path | None,
    anonymous: bool,
) -> None:
    """The answers for many, and the windows of one drawn over time."""
    from kmerl.predict import tables
    from kmerl.predict import timeline as timelines

    for note in asking.unknown(names, loaded.entities).values():
        typer.echo(f"note: {note}", err=True)
    loaded.asked(names)  # whatever is wrong with them is said before anything is read
    bad = _many(loaded, asked, names, out)
    if timeline is not None and all(one.start is not None for one in bad):
        found = recordings.read(asked.records[0], **dataclasses.asdict(asked.said))
        shown = preparing.choose(found, asked.leads)
        over_time = timelines.timeline(shown, tables.read(out), bad, names, asked.cut)
        paper.save(timeline, timelines.figure(shown, over_time, asked.cut, anonymous=anonymous))
    _end(bad)


def _many(loaded: Model, asked: Asked, names: tuple[str, ...] | None, out: Path) -> list[Bad]:
    """Answer them all, and say how it went; what could not be used."""
    from kmerl.predict import many

    if asked.leads is not None:
        parse_leads(asked.leads)
    found = finding.find(asked.records, asked.said)
    if found.unused:
        typer.echo(
            f"note: columns of the list that are not used: {', '.join(found.unused)}", err=True
        )
    grid = loaded.config.rate, loaded.config.samples
    question = Question(*grid, asked.leads, asked.cut)
    done = many.run(loaded, found.wanted, out, question, names, asked.engine)
    typer.echo(f"{done.rows} rows of {done.recordings} recordings in {out}")
    if found.not_tried:
        kinds = ", ".join(f"{suffix} {count}" for suffix, count in found.not_tried.most_common(8))
        typer.echo(f"{found.not_tried.total()} files have no recording's suffix: {kinds}")
    if names is not None:
        typer.echo(printing.NOTICE)
    if done.bad:
        listed = many.bad_file(out)
        typer.echo(f"{len(done.bad)} could not be used: {listed} has the reasons")
    return done.bad


def _end(bad: list[Bad]) -> None:
    """
    Raises:
        typer.Exit: some could not be used.
    """
    if bad:
        raise typer.Exit(SOME_BAD)


def _workers(said: int) -> int:
    return said or len(os.sched_getaffinity(0))


def export_command(
    folder: Annotated[Path, typer.Argument(help="Folder to write.")],
    *,
    model: options.ModelName = options.MODEL,
    run: Annotated[Path, typer.Option(help="Folder of the run that made it.")] = Path(),
    licence: Annotated[str, typer.Option(help="Of the weights, as the Hub spells it.")] = "other",
) -> None:
    """Write a model as a folder for the Hugging Face Hub: weights, config, names and a card.

    `hf upload ORGANISATION/NAME FOLDER` pushes it, `kmerl.load("ORGANISATION/NAME")` reads it.
    """
    from kmerl.predict.model import load

    loaded = load(options.told(model), device="cpu")
    loaded.save_pretrained(folder, run=run, licence=licence)
    typer.echo(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def leads_command() -> None:
    """List the names of the leads, the named sets, and the orders in which leads are added."""
    typer.echo(f"leads   {' '.join(LEADS)}")
    for name, members in NAMED_SETS.items():
        typer.echo(f"set     {name:11} {' '.join(members)}")
    for name, members in ORDERS.items():
        typer.echo(f"order   {name:11} {' '.join(members)}")
    typer.echo("Write a set as a name, or its leads with commas: --leads limb, --leads I,II,V2")
