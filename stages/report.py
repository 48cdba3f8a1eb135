"""Stage report: every result of the run on one page."""

from pathlib import Path

from kmerl import files, params
from kmerl.errors import clear_errors
from kmerl.report import run_page
from kmerl.tasks.simulated import simulated

OUT = Path("report/index.html")


def main() -> None:
    report = params.load("report", run_page.Report)
    values = params.read()
    inputs = run_page.read_inputs(Path(), report)
    html = run_page.render(inputs, report, values, simulated(values["corpora"]))
    files.write_text(OUT, html)


if __name__ == "__main__":
    with clear_errors("report"):
        main()
