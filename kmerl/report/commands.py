"""`kmerl tables`: the paper's tables and figures, its values beside ours."""

import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kmerl.errors import clear_errors
from kmerl.experiments import catalogue, runs
from kmerl.report import export, markdown, results, terminal


class Format(StrEnum):
    """What `kmerl tables` prints."""

    TEXT = "text"
    CSV = "csv"
    LATEX = "latex"
    MARKDOWN = "markdown"
    JSON = "json"


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
