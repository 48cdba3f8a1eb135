"""Ingest: a corpus in its official layout in, a store and a list of rejections out.

Records are taken in the order of sha256(record id) and cut into shards of `ingest.shard` of them;
each shard is read, converted and written by one worker, record by record (`kmerl.corpora.shards`).
So what is written does not depend on the number of workers, nor on the machines they run on;
memory does not grow with the number of records, and one bad record costs one line of rejected.csv:
a corpus's records and rejections are together what it lists, or the ingest ends with an error.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import pyarrow as pa

from kmerl.corpora.conform import Ingest
from kmerl.corpora.entries import OwnTable, official_codes
from kmerl.corpora.listing import read_listing
from kmerl.corpora.records import CorpusError, Entry, Listing, Rejection
from kmerl.corpora.shards import Form, Shard, write_shard
from kmerl.corpora.staging import Staging, alone, staging
from kmerl.engines import Engine, LostError, code
from kmerl.files import write_csv, write_json
from kmerl.progress import track
from kmerl.store import NAME, label_column, schema


def ingest(
    corpus: str,
    root: Path,
    out: Path,
    metrics: Path,
    *,
    settings: Ingest,
    engine: Engine,
    own: OwnTable | None = None,
) -> None:
    """Write the store of a corpus to `out`, with rejected.csv, and its counts to `metrics`.

    Lines of the corpus's files that could not be read and name no record are in unread.csv. `out`
    is as it was until all is there; shards that are done are kept through a kill.

    Args:
        engine: who does it; what is written does not depend on it.
        own: the table, of a corpus that is one's own (`entries.own_table`).

    Raises:
        CorpusError: the root, an official file or a column of one is missing; another ingest
            writes to `out`; the workers of a shard were lost; no record can be used; one was lost.
        EngineError: the workers cannot be had.
    """
    with alone(out):
        listing = read_listing(corpus, root, settings, own)
        tasks = own.tasks if own else official_codes(corpus)
        labels = [label_column(task, code) for task, codes in tasks.items() for code in codes]
        layout = schema(settings.rate, settings.samples, labels)
        form = Form(corpus, root.resolve(), listing.scheme, layout, settings)
        with staging(out, fingerprint(form, listing)) as staged:
            names, counts, rejected = _write_shards(listing.table, form, staged, engine)
            rejected += listing.rejected
            write_csv(staged.store / "rejected.csv", Rejection._fields, sorted(rejected))
            if listing.unread:
                write_csv(staged.store / "unread.csv", Rejection._fields, listing.unread)
            _check(corpus, listing.listed, counts["records"], rejected, staged)
            staged.finish(out, names, engine.workers)
            write_json(metrics, {corpus: summary(counts, rejected, listing)})


def fingerprint(form: Form, listing: Listing) -> str:
    """A name for all that decides the bytes of the shards, but the recordings themselves."""
    scheme = listing.scheme
    known = scheme.known and sorted(scheme.known)
    told = [code(), form.corpus, str(form.root), form.settings, scheme.tasks, known]
    digest = hashlib.sha256(repr(told).encode() + form.layout.serialize().to_pybytes())
    for batch in listing.table.to_batches(max_chunksize=2**16):
        digest.update(batch.serialize())
    return digest.hexdigest()[:16]


def _write_shards(
    table: pa.Table, form: Form, staged: Staging, engine: Engine
) -> tuple[list[str], Counter[str], list[Rejection]]:
    """All shards of a store: their names, counts and rejections of the records of `table`.

    Raises:
        CorpusError: the workers of a shard were lost.
    """
    size = form.settings.shard
    starts = range(0, max(len(table), 1), size)
    names = [NAME.format(number) for number in range(len(starts))]

    def shards() -> Iterator[Shard]:
        for name, start in zip(names, starts, strict=True):
            rows = table.slice(start, size).to_pylist()
            yield Shard(name, [Entry(**row) for row in rows])

    counts, rejected = Counter[str](), list[Rejection]()
    what, work = f"ingest {form.corpus}", partial(write_shard, form=form, staged=staged)
    try:
        with engine.open() as workers:
            done = track(workers.run(work, shards()), what, total=len(starts), unit="shards")
            for part in done:
                counts.update(part.counts)
                rejected += part.rejected
    except LostError as error:
        shard = cast(Shard, error.item)
        raise CorpusError(
            f"{what}: {error.args[0]}: {shard.name}, records {shard.entries[0].record} to "
            f"{shard.entries[-1].record} in the store's order. If memory ran out, lower "
            "runtime.workers. If it ends there again, one of these records makes a library crash: "
            "please report it"
        ) from None
    return names, counts, rejected


def _check(
    corpus: str, listed: int, stored: int, rejected: Sequence[Rejection], staged: Staging
) -> None:
    if stored + len(rejected) != listed:
        raise CorpusError(
            f"{corpus} lists {listed} records, but {stored} are stored and {len(rejected)} "
            "rejected; this is a fault of kmerl.corpora: please report it"
        )
    if listed and not stored:
        ((reason, count),) = Counter(each.reason for each in rejected).most_common(1)
        example = next(each for each in rejected if each.reason == reason)
        raise CorpusError(
            f"{corpus}: none of {listed} records can be used, {count} for {reason}, such as "
            f"{example.record} ({example.detail}); all are in {staged.store / 'rejected.csv'}. "
            "The store is as it was"
        )


def summary(counts: Counter[str], rejected: list[Rejection], listing: Listing) -> dict[str, int]:
    """The metrics of a corpus: records listed and kept, what was done to them, rejections by
    reason, and lines that belong to no record where there are any."""
    noted = ("extra_leads", "saturated", "repaired_nan", "resampled", "cropped", "padded")
    reasons = Counter(rejection.reason for rejection in rejected)
    return {
        "listed": listing.listed,
        "records": counts["records"],
        **{name: counts[name] for name in noted},
        **{name: number for name, number in counts.items() if name.startswith("implausible_")},
        "rejected": len(rejected),
        **{f"rejected_{reason}": number for reason, number in reasons.items()},
        **({"unread_lines": len(listing.unread)} if listing.unread else {}),
    }
