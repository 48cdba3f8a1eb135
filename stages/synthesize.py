"""Stage `synthesize`: the embedded cohort in official layouts, and its truth tables."""

from pathlib import Path

from kmerl import params, runtime
from kmerl.errors import clear_errors
from kmerl.synthetic.cohort import Synthesize, synthesize
from kmerl.tasks.simulated import ROOT


def main() -> None:
    synthesize(
        params.load("synthesize", Synthesize),
        params.seed(),
        root=ROOT,
        truth=Path("data/truth"),
        engine=runtime.load().engine,
    )


if __name__ == "__main__":
    with clear_errors("synthesize"):
        main()
