"""The training reader: batches of int16 signals of which only the leads that DLM keeps are read.

Dynamic lead masking shows the encoder one to three of twelve leads (Sec. 3.3), so a batch costs
that share of reading and decoding. An epoch permutes groups of neighbours, not records: the rows
of a group stay together, and, with scope `group`, share their leads. A group that straddles the end
of a batch is split between two batches and drawn anew in each, so that every batch is full and no
selected row is lost but those of the last, incomplete batch. Where every row counts, as in
validation, batches are a little smaller instead.

What is drawn does not depend on how rows are read: from row groups, which costs least where these
are the groups of neighbours, or from a decoded copy (kmerl.training.cache), which can do any.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from threading import local
from typing import Literal, Protocol, TypeVar

import numpy as np

from kmerl.leads import LEADS
from kmerl.runtime import in_order
from kmerl.store import Index, OpenShards, StoreError

Result = TypeVar("Result")
Scope = Literal["group", "record", "batch"]
DrawLeads = Callable[[np.random.Generator, int], np.ndarray]
"""(generator, subsets) -> int (subsets, kept): standard-order lead indices, `kept` for all."""


class Made(Protocol):
    """What makes signals of some rows, in place of the store's."""

    makes: np.ndarray  # bool (rows of the store,)

    def __call__(self, epoch: int, rows: np.ndarray) -> np.ndarray:
        """int16 (rows, 12, samples), of rows that it `makes`."""


@dataclass(frozen=True)
class Batch:
    """A training batch of one rank; voltages in int16 microvolt."""

    signal: np.ndarray  # int16 (batch, kept, samples)
    leads: np.ndarray  # int64 (batch, kept): standard-order indices of the leads in `signal`
    rows: np.ndarray  # int64 (batch,): rows of the store
    low_all: np.ndarray  # int16 (batch,): minimum over all twelve leads
    high_all: np.ndarray


class TrainingReader:
    """Batches of selected rows of a store, the same for the same (seed, epoch).

    Batches are drawn, with their leads, as if one rank read them: the number of ranks changes
    none, nor does that of threads or what is read ahead. No row comes twice in an epoch.

    Args:
        rows: the rows to train on, as `kmerl.store.read_table` numbers them.
        batch_size: rows of a batch of all ranks, or the most of them (`whole`).
        draw_leads: called once a batch with the batch's own generator and the number of lead
            subsets that `scope` asks for.
        whole: all rows, in batches that differ by one row at most, as a contrastive loss depends
            on their size; each is read by one rank (`of_rank`; one for which none is left reads
            the first). Otherwise batches are full, and each rank reads an equal part of each.
        scope: `group`: neighbours share a subset; `record`: each row has its own, and the union
            over neighbours is decoded; `batch`: one subset for all.
        window: shards between whose groups an epoch shuffles (the order of shards is
            shuffled too), and that are open at a time. A store's rows lie in the order of a hash,
            so a window is a random sample of the corpus.
        threads: threads that read and decode, each a batch at a time.
        prefetch: batches held ready, beside those that threads are at.
        decoded: int16 (rows, 12, samples) of the whole store, if there is such a copy.
        made: makes the signals of rows whose own are not to be read.

    Raises:
        StoreError: a row outside the store, or too few rows for one batch.
    """

    def __init__(
        self,
        index: Index,
        *,
        rows: np.ndarray,
        batch_size: int,
        draw_leads: DrawLeads,
        seed: int,
        neighbours: int,
        scope: Scope = "group",
        whole: bool = False,
        rank: int = 0,
        world_size: int = 1,
        window: int = 16,
        threads: int = 1,
        prefetch: int = 4,
        decoded: np.ndarray | None = None,
        made: Made | None = None,
    ) -> None:
        self._index, self._decoded, self._made = index, decoded, made
        index.groups.of(rows)  # all of them are there
        chosen = np.zeros(index.groups.rows, bool)
        chosen[rows] = True
        self._rows = np.flatnonzero(chosen)
        self._draw, self._seed, self._scope = draw_leads, seed, scope
        count = len(self._rows)
        steps = -(-count // batch_size) if whole else count // batch_size
        self.records = count if whole else steps * batch_size
        self._bounds = [self.records * step // max(steps, 1) for step in range(steps + 1)]
        self.of_rank = (range(rank, steps, world_size) or range(1)) if whole else range(steps)
        self._part = (0, 1) if whole else (rank, world_size)
        self._window, self._threads = window, threads
        self._ahead = prefetch + threads - 1
        if len(self) == 0:
            raise StoreError(
                f"{index.directory}: {count} rows make no batch of {batch_size}; lower "
                "pretrain.batch"
            )
        self._shard_of, self._first = _neighbours(index, neighbours)
        self._local = local()

    def __len__(self) -> int:
        """Batches an epoch, of all ranks."""
        return len(self._bounds) - 1

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """This rank's batches of an epoch, or its part of each, read ahead in the background, but
        for the `first` ones."""
        return self.each(epoch, first, lambda batch: batch)

    def each(self, epoch: int, first: int, then: Callable[[Batch], Result]) -> Iterator[Result]:
        """What `then` makes of the batches of `epoch`, in the thread that read each."""
        order = self._order(epoch)

        def read(step: int) -> Result:
            return then(self._read(order, epoch, step))

        yield from in_order(read, self.of_rank[first:], self._threads, ahead=self._ahead)

    def _order(self, epoch: int) -> np.ndarray:
        """All selected rows, group after group, in the order of this epoch on all ranks."""
        generator = np.random.default_rng([self._seed, epoch])
        shards = len(self._index.groups.paths)
        place = generator.permutation(shards) // self._window  # shard -> window
        shuffled = generator.permutation(len(self._shard_of))
        by_window = shuffled[np.argsort(place[self._shard_of[shuffled]], kind="stable")]
        position = np.empty(len(by_window), np.int64)
        position[by_window] = np.arange(len(by_window))
        return self._rows[np.argsort(position[self._group_of(self._rows)], kind="stable")]

    def _group_of(self, rows: np.ndarray) -> np.ndarray:
        """The group of neighbours to which each row belongs."""
        return np.searchsorted(self._first, rows, side="right") - 1

    def _read(self, order: np.ndarray, epoch: int, step: int) -> Batch:
        every = order[self._bounds[step] : self._bounds[step + 1]]
        generator = np.random.default_rng([self._seed, epoch, step])
        drawn = self._leads(generator, _pieces(self._group_of(every)))
        rank, ranks = self._part
        here = slice(rank * len(every) // ranks, (rank + 1) * len(every) // ranks)
        rows, leads = every[here], drawn[here]
        low, high = self._index.low[rows], self._index.high[rows]
        if self._made is None:
            return Batch(self._signal(rows, leads), leads, rows, low, high)
        made = self._made.makes[rows]
        signal = np.empty((*leads.shape, self._index.groups.samples), np.int16)
        signal[~made] = self._signal(rows[~made], leads[~made])
        whole = self._made(epoch, rows[made])
        signal[made] = whole[np.arange(len(whole))[:, None], leads[made]]
        low[made], high[made] = whole.min(axis=(1, 2)), whole.max(axis=(1, 2))
        return Batch(signal, leads, rows, low, high)

    def _leads(self, generator: np.random.Generator, pieces: list[slice]) -> np.ndarray:
        """int64 (batch, kept): the leads each row of a batch keeps."""
        sizes = [piece.stop - piece.start for piece in pieces]
        if self._scope == "batch":
            sizes = [sum(sizes)]
        elif self._scope == "record":
            sizes = [1] * sum(sizes)
        drawn = np.asarray(self._draw(generator, len(sizes)), np.int64)
        return np.repeat(drawn, sizes, axis=0)

    def _signal(self, rows: np.ndarray, leads: np.ndarray) -> np.ndarray:
        """int16 (rows, kept, samples), each row with its own leads."""
        if self._decoded is not None:
            return self._decoded[rows[:, None], leads]
        signal = np.empty((*leads.shape, self._index.groups.samples), np.int16)
        for piece in _pieces(self._group_of(rows)):
            signal[piece] = self._decode(rows[piece], leads[piece])
        return signal

    def _decode(self, rows: np.ndarray, leads: np.ndarray) -> np.ndarray:
        """int16 (rows, kept, samples) of rows of one shard, ascending, each with its own leads."""
        groups = self._index.groups
        read, of_row = np.unique(groups.of(rows), return_inverse=True)
        needed, inverse = np.unique(leads, return_inverse=True)
        signal = self._files().signal(
            int(groups.shard[read[0]]),
            groups.number[read].tolist(),
            [LEADS[lead] for lead in needed],
        )
        sizes = groups.start[read + 1] - groups.start[read]
        before = np.cumsum(sizes) - sizes  # rows of the row groups that were read earlier
        inside = rows - groups.start[read][of_row] + before[of_row]
        return signal[inside[:, None], inverse.reshape(leads.shape)]

    def _files(self) -> OpenShards:
        """The open shards of the calling thread."""
        if not hasattr(self._local, "files"):
            self._local.files = OpenShards(self._index.groups, self._window)
        files: OpenShards = self._local.files
        return files


def _neighbours(index: Index, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Shard and first row of each group of `size` rows that lie side by side in a shard; the last
    of a shard may have fewer."""
    groups = index.groups
    first_of_shard = groups.start[:-1][np.diff(groups.shard, prepend=-1) != 0]
    ends = np.append(first_of_shard[1:], groups.rows)
    parts = [np.arange(a, b, size) for a, b in zip(first_of_shard, ends, strict=True)]
    first = np.concatenate(parts)
    return groups.shard[groups.of(first)], first


def _pieces(groups: np.ndarray) -> list[slice]:
    """The runs of equal values, as slices."""
    if not len(groups):
        return []
    ends = np.flatnonzero(np.diff(groups)) + 1
    return [slice(a, b) for a, b in pairwise([0, *ends.tolist(), len(groups)])]
