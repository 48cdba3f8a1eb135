"""`kmerl tables`: the paper's tables and figures, its values beside ours."""

import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kmerl.experiments import catalogue, runs
from kmerl.report import claims, paper_page, paper_tables
from kmerl.report.results import comparing, left_out, results
from kmerl.report.writers import latex, markdown, records, terminal


class Format(StrEnum):
    """What `kmerl tables` prints."""

    TEXT = "text"
    CSV = "csv"
    LATEX = "latex"
    MARKDOWN = "markdown"
    JSON = "json"
    HTML = "html"


WRITERS = {
    Format.CSV: records.as_csv,
    Format.LATEX: latex.as_latex,
    Format.MARKDOWN: markdown.as_markdown,
    Format.JSON: records.as_json,
}


def tables_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="table-2d, figure-6a, claims; every one if none is named."
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
    """Print tables and figures of the paper: its values beside ours (experiments.json), what it
    claims, and its Tables 3 and 5 beside the data of this run (metrics/, data/).

    Without a name: each table of which an experiment ran, then the names of the others.
    """
    known, ran = catalogue.read(), runs.read()
    computed = claims.computed(known, ran, scale)
    own = {grid.name for grid in computed}
    asked = [name for name in names or () if name not in own]
    found = results(known, ran, asked, scale) if asked or not names else []
    shown = found if names else comparing(found)
    others = left_out(found, shown)
    computed = [grid for grid in computed if not names or grid.name in names]
    grids = [*computed, *map(paper_tables.grid, found)]
    if form is Format.TEXT:
        width = max(shutil.get_terminal_size((terminal.WIDTH, 0)).columns, terminal.LEAST)
        pages = [*computed, *map(paper_tables.grid, shown)]
        typer.echo(terminal.pages(pages, others, width, wide))
    elif form is Format.HTML:
        typer.echo(paper_page.render(known, shown, others, computed), nl=False)
    else:
        typer.echo(WRITERS[form](grids), nl=False)
    if out is not None:
        from kmerl.report.writers import files

        written = files.write_tables(grids, out) + files.write_figures(found, out)
        typer.echo("\n".join(f"wrote {path}" for path in written), err=True)
