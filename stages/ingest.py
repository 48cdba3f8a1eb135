"""Stage ingest@<corpus>: a corpus, official or one's own, into data/ecg/<corpus>/."""

import sys
from pathlib import Path

from kmerl import params, runtime
from kmerl.corpora.entries import corpus_files, own_table
from kmerl.corpora.ingest import Ingest, ingest
from kmerl.errors import clear_errors


def main(corpus: str) -> None:
    """Read the corpus at corpora.<corpus>.root; write its store, rejected.csv and its metrics."""
    files = corpus_files(corpus)
    ingest(
        corpus,
        root=Path(files.root),
        out=Path("data/ecg") / corpus,
        metrics=Path("metrics/ingest") / f"{corpus}.json",
        settings=params.load("ingest", Ingest),
        engine=runtime.load().engine,
        own=own_table(corpus, files),
    )


if __name__ == "__main__":
    with clear_errors(" ".join(["ingest", *sys.argv[1:]])):
        main(" ".join(sys.argv[1:]))
