"""Stage report: every result of the run on one page."""

from pathlib import Path

from kmerl import files, page, params

SIMULATED = Path("raw/synthetic")
"""Where stage `synthesize` writes: a corpus whose root lies there is not the real one."""


def main() -> None:
    report = params.load("report", page.Report)
    values = params.read()
    simulated = {
        corpus
        for corpus, place in values["corpora"].items()
        if SIMULATED in Path(place["root"]).parents
    }
    inputs = page.read_inputs(Path(), report)
    files.write_text("report/index.html", page.render(inputs, report, values, simulated))


if __name__ == "__main__":
    main()
