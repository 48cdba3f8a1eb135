"""`kmerl explain`: which leads and times an answer comes from."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, cast

import typer

from kmerl import recordings
from kmerl.predict import asking, drawing, options, preparing, printing
from kmerl.predict.explanation import How
from kmerl.report.writers import paper


def explain_command(
    record: Annotated[Path, typer.Argument(help="A recording, as `kmerl predict` reads it.")],
    *,
    classes: Annotated[
        str | None,
        typer.Option(help="Class names, with commas; by default the likeliest of all entities."),
    ] = None,
    how: Annotated[
        str, typer.Option(help="occlusion (a part is left out) or attention (where it is read).")
    ] = "occlusion",
    leads: options.Leads = None,
    model: options.ModelName = options.MODEL,
    revision: options.Revision = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Shade it on the ECG: .svg, .png or .pdf; a file each of several names."),
    ] = None,
    anonymous: options.Anonymous = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all values.")] = False,
    start: options.Start = 0.0,
    rate: options.Rate = None,
    unit: options.Unit = None,
    channels: options.Channels = None,
    named: options.Named = None,
    derive: options.Derive = False,
    device: options.Device = "auto",
) -> None:
    """Print which leads, and which parts of them, an answer comes from.

    An explanation is of the model, not of the heart; docs/explain.md says how faithful each way is.
    """
    if picture is not None:
        paper.check(picture)
    found = recordings.read(
        record, rate=rate, unit=unit, channels=channels or (), leads=named, derive=derive
    )
    recording = preparing.choose(found, leads)
    from kmerl.predict import model as models  # torch is imported here and not before

    loaded = models.load(options.told(model), revision=revision, device=device)
    prepared = preparing.prepare(recording, loaded.config.rate, loaded.config.samples, start)
    names = asking.class_names(classes, None, loaded.entities)
    answers = asking.ranked(names, loaded.score(prepared.signal, prepared.leads, names))
    wanted = answers if classes is not None else answers[:1]
    explanations = [
        loaded.explain(recording, name, start=start, how=cast(How, how)) for name, _ in wanted
    ]
    if picture is not None:
        for number, one in enumerate(explanations):
            several = f"-{number + 1}" if len(explanations) > 1 else ""
            path = picture.with_name(f"{picture.stem}{several}{picture.suffix}")
            answer = [(one.name, one.probability)]
            drawn = drawing.drawn(
                recording, prepared, loaded.seconds, answer, explanation=one, anonymous=anonymous
            )
            paper.write(path, drawn)
    if as_json:
        told = [printing.explained_json(one) for one in explanations]
        notes = list(explanations[0].notes)
        answer_json = {"record": str(record), "explanations": told, "notes": notes}
        typer.echo(json.dumps(answer_json | {"notice": printing.NOTICE}, indent=1))
        return
    prepared = dataclasses.replace(prepared, notes=explanations[0].notes)
    head = printing.as_text(record, prepared, []).splitlines()[:-1]
    typer.echo("\n".join([*head, *map(printing.as_explained, explanations), printing.NOTICE]))
