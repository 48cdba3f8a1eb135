"""Stage report: every result of the run on one page."""

from pathlib import Path

from kmerl import files, page, params
from kmerl.simulated import simulated


def main() -> None:
    report = params.load("report", page.Report)
    values = params.read()
    inputs = page.read_inputs(Path(), report)
    html = page.render(inputs, report, values, simulated(values["corpora"]))
    files.write_text("report/index.html", html)


if __name__ == "__main__":
    main()
