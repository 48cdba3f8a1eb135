"""The paper's tables and figures as files for other programs and for a manuscript."""

from collections.abc import Sequence
from pathlib import Path

from kmerl.files import write_text
from kmerl.report import paper_charts
from kmerl.report.grid import Grid
from kmerl.report.results import Result
from kmerl.report.writers import latex, manuscript, records


def write_tables(grids: Sequence[Grid], folder: Path) -> list[Path]:
    """Each table as <name>.csv and <name>.tex below `folder`, all its scales in one file."""
    written = {}
    for name in dict.fromkeys(grid.name for grid in grids):
        same = [grid for grid in grids if grid.name == name]
        written[folder / f"{name}.csv"] = records.as_csv(same)
        written[folder / f"{name}.tex"] = latex.as_latex(same)
    for path, text in written.items():
        write_text(path, text)
    return list(written)


def write_figures(results: Sequence[Result], folder: Path) -> list[Path]:
    """Each figure with a number as <name>.svg and <name>.pdf; with its scale in the name where
    something ran."""
    written = []
    for result in results:
        stem = "-".join(filter(None, (result.table.name, result.scale)))
        note = (
            f"Ours: {result.words}.\nNot the paper's measurement; bands and bars are intervals."
            if result.ran
            else "Ours: not run"
        )
        caption = f"{result.table.caption}\n{note}"
        written += manuscript.write(paper_charts.charts(result), caption, folder, stem)
    return written
