"""The records of a corpus in the order of the store, whichever corpus it is."""

import hashlib
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from kmerl.corpora import table
from kmerl.corpora.conform import Ingest
from kmerl.corpora.entries import OwnTable
from kmerl.corpora.records import CORPORA, CorpusError, Listing, Rejection


def read_listing(corpus: str, root: Path, settings: Ingest, own: OwnTable | None = None) -> Listing:
    """The records of a corpus in store order, without duplicates and unreported ones.

    Args:
        own: the table below `root`, of a corpus that is one's own.

    Raises:
        CorpusError: the root, an official file or a column of one is missing.
    """
    if not root.is_dir():
        raise CorpusError(
            f"corpora.{corpus}.root is {root}, which is no directory; set it in params.yaml to the "
            f"corpus's official folder, or run `dvc repro synthesize` for the synthetic cohort"
        )
    if own is None:
        listing: Listing = import_module(f"kmerl.corpora.{CORPORA[corpus]}").listing(root)
    else:
        listing = table.listing(corpus, root, own)
    rejected, seen, kept = list(listing.rejected), set[str](), []
    unreported = "no statement" + ("; unread.csv may have it" if listing.unread else "")
    statements = pc.list_value_length(listing.table["report"]).to_pylist()
    for row, record in enumerate(listing.table["record"].to_pylist()):
        if record in seen:
            rejected.append(Rejection(record, "duplicate_id", "listed before"))
        elif corpus in settings.require_report and not statements[row]:
            rejected.append(Rejection(record, "missing_report", unreported))
        else:
            kept.append((hashlib.sha256(record.encode()).digest(), row))
        seen.add(record)
    order = pa.array([row for _, row in sorted(kept)], pa.int64())
    return replace(listing, table=listing.table.take(order), rejected=rejected)
