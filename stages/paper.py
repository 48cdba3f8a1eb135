"""Stage paper: the paper's tables, figures and claims, ours beside them, as a page and files."""

from pathlib import Path

from kmerl import files
from kmerl.errors import clear_errors
from kmerl.experiments import catalogue, runs
from kmerl.report import claims, paper_page, paper_tables
from kmerl.report.results import comparing, left_out, results
from kmerl.report.writers.files import write_figures, write_tables

OUT = Path("report/paper.html")
TABLES, FIGURES = Path("report/tables"), Path("report/figures")


def main() -> None:
    known, ran = catalogue.read(), runs.read()
    found, computed = results(known, ran), claims.computed(known, ran)
    shown = comparing(found)
    for folder in (TABLES, FIGURES):
        files.fresh_directory(folder)
    write_tables([*computed, *map(paper_tables.grid, found)], TABLES)
    write_figures(shown, FIGURES)
    files.write_text(OUT, paper_page.render(known, shown, left_out(found, shown), computed))


if __name__ == "__main__":
    with clear_errors("paper"):
        main()
