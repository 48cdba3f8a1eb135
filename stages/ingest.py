"""Stage ingest@<corpus>: a corpus in its official layout into data/ecg/<corpus>/."""

import sys
from pathlib import Path

from kmerl import params, runtime
from kmerl.corpora.ingest import Ingest, corpus_files, ingest
from kmerl.errors import clear_errors


def main(corpus: str) -> None:
    """Read the corpus at corpora.<corpus>.root; write its store, rejected.csv and its metrics."""
    ingest(
        corpus,
        root=Path(corpus_files(corpus).root),
        out=Path("data/ecg") / corpus,
        metrics=Path("metrics/ingest") / f"{corpus}.json",
        settings=params.load("ingest", Ingest),
        engine=runtime.load().engine,
    )


if __name__ == "__main__":
    with clear_errors(" ".join(["ingest", *sys.argv[1:]])):
        main(" ".join(sys.argv[1:]))
