"""Stage report: every result of the run on one page, the paper's tables and figures as files."""

from pathlib import Path

from kmerl import files, params
from kmerl.report import drawings, export, page
from kmerl.report.results import comparing
from kmerl.tasks.simulated import simulated

OUT = Path("report")


def main() -> None:
    report = params.load("report", page.Report)
    values = params.read()
    inputs = page.read_inputs(Path(), report)
    html = page.render(inputs, report, values, simulated(values["corpora"]))
    files.fresh_directory(OUT)
    export.write(inputs.results, OUT / "tables")
    for result in comparing(inputs.results):
        drawings.write(result, OUT / "figures")
    files.write_text(OUT / "index.html", html)


if __name__ == "__main__":
    main()
