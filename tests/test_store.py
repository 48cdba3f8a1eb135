"""The store and its readers, on stores that the tests write."""

from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl.files import DamagedError
from kmerl.leads import LEADS
from kmerl.models.masking import draw_leads
from kmerl.store import NAME, StoreError, label_column, read_signals, read_table, row_groups
from kmerl.training.reader import TrainingReader
from tests.cohorts import SAMPLES, write_store
from tests.official_layouts import signal

SHARDS = (70, 0, 33, 18)
ROWS = sum(SHARDS)
SIGNALS = np.stack([signal(row, SAMPLES) for row in range(ROWS)])  # of each row of a store
LABEL = label_column("csn", "SR")
COLUMNS = {
    "record": [f"r{row}" for row in range(ROWS)],
    "patient": [f"p{row}" for row in range(ROWS)],
    "split": ["train"] * ROWS,
    "report": [["sinus rhythm"] * (row % 3) for row in range(ROWS)],
    LABEL: [[True, False, None][row % 3] for row in range(ROWS)],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "csn"
    return write_store(folder, SIGNALS, COLUMNS, [LABEL], SHARDS)


def dlm(generator, subsets, most=11):
    return draw_leads(subsets, min(9, most), most, generator)


def reader(store, **changes):
    usual = {"rows": np.arange(ROWS), "batch_size": 10, "draw_leads": dlm, "seed": 0}
    return TrainingReader(store, **(usual | changes))


def test_what_is_written_is_read(store):
    rows, block = zip(*read_signals(store, LEADS, 16), strict=True)
    np.testing.assert_array_equal(np.concatenate(rows), np.arange(ROWS))
    np.testing.assert_array_equal(np.concatenate(block), SIGNALS)
    table = read_table(store, [LABEL, "report", "record", "max.aVL"])
    assert table.column_names == [LABEL, "report", "record", "max.aVL"]
    for name in (LABEL, "report", "record"):
        assert table[name].to_pylist() == COLUMNS[name]
    assert table["max.aVL"].to_pylist() == SIGNALS[:, 4].max(axis=1).tolist()


def test_chosen_rows_and_leads_in_the_order_asked(store):
    rows = np.array([3, 4, 69, 70, 71, 103, 120])
    read = list(read_signals(store, ("V6", "I"), 4, rows))
    assert [len(batch) for batch, _ in read] == [4, 3]
    got = np.concatenate([block for _, block in read])
    np.testing.assert_array_equal(got, SIGNALS[rows][:, [11, 0]])


def test_layout_is_what_the_readers_rely_on(store):
    footer = pq.read_metadata(store / NAME.format(0))
    assert [footer.row_group(i).num_rows for i in (0, 1, footer.num_row_groups - 1)] == [4, 4, 2]
    column = footer.row_group(0).column(footer.schema.names.index("element") + 2)
    assert column.compression == "ZSTD"
    assert "DELTA_BINARY_PACKED" in column.encodings
    assert row_groups(store).rows == 121


def test_missing_store_column_or_row_is_named_and_an_empty_store_is_read(store, tmp_path):
    with pytest.raises(StoreError, match=r"dvc repro ingest@csn"):
        read_table(tmp_path / "csn", ["record"])
    with pytest.raises(StoreError, match=r"no column 'max\.aVX'"):
        read_table(store, ["record", "max.aVX"])
    empty = write_store(tmp_path / "empty", SIGNALS[:0], {})
    assert read_table(empty, ["record"]).num_rows == 0
    assert list(read_signals(empty, LEADS, 4)) == []
    with pytest.raises(StoreError, match="to 121; there are 121"):
        list(read_signals(store, LEADS, 4, np.array([121])))
    with pytest.raises(StoreError, match=r"121 rows make no batch of 122; lower pretrain\.batch"):
        reader(store, batch_size=122, world_size=2)


@settings(max_examples=10, deadline=None)
@given(
    share=st.integers(1, 15),
    window=st.integers(1, 3),
    scope=st.sampled_from(["group", "record", "batch"]),
    whole=st.booleans(),
    world=st.integers(1, 3),
    left_out=st.sets(st.integers(0, 120), max_size=31),
)
def test_an_epoch_is_full_batches_of_chosen_rows_once_or_all_of_them(
    store, *, share, window, scope, whole, world, left_out
):
    rows = np.array(sorted(set(range(ROWS)) - left_out))
    batch_size = share * world
    changes = {"rows": rows, "batch_size": batch_size, "window": window, "scope": scope}
    alone = reader(store, **changes, whole=whole)
    batches, sizes = list(alone.epoch(1)), set()
    assert len(batches) == len(alone) == (len(rows) + (batch_size - 1) * whole) // batch_size
    for batch in batches:
        check(batch, len(batch.rows), scope)
        sizes.add(len(batch.rows))
    seen = np.concatenate([batch.rows for batch in batches])
    assert len(set(seen.tolist()) & set(rows.tolist())) == len(seen) == alone.records
    assert len(rows) - len(seen) < (1 if whole else batch_size)
    assert max(sizes) - min(sizes) <= whole
    assert max(sizes) <= batch_size
    parts = []
    for rank in range(world):
        part = reader(store, **changes, whole=whole, rank=rank, world_size=world)
        parts.append(dict(zip(part.of_rank, part.epoch(1), strict=True)))
    for step, batch in enumerate(batches):  # as one rank has it: whole on one, or a part on each
        held = [part[step] for part in parts if step in part][: 1 if whole else world]
        for name in ("rows", "leads", "signal", "low_all"):
            both = np.concatenate([getattr(part, name) for part in held])
            np.testing.assert_array_equal(both, getattr(batch, name))


def check(batch, batch_size, scope):
    kept = batch.leads.shape[1]
    assert batch.leads.shape == (batch_size, kept)
    assert batch.leads.dtype == np.int64
    whole = SIGNALS[batch.rows]
    wanted = np.take_along_axis(whole, batch.leads[..., None], axis=1)
    np.testing.assert_array_equal(batch.signal, wanted)
    np.testing.assert_array_equal(batch.low, wanted.min(axis=(1, 2)))
    np.testing.assert_array_equal(batch.high, wanted.max(axis=(1, 2)))
    np.testing.assert_array_equal(batch.low_all, whole.min(axis=(1, 2)))
    np.testing.assert_array_equal(batch.high_all, whole.max(axis=(1, 2)))
    if scope == "batch":
        assert (batch.leads == batch.leads[0]).all()


def test_scopes_differ_in_who_shares_leads(store):
    def share(scope):
        """Share of neighbours in a batch that have the same leads."""
        batches = reader(store, scope=scope, batch_size=40, seed=3).epoch(0)
        return np.mean([(b.leads[1:] == b.leads[:-1]).all(axis=1).mean() for b in batches])

    assert share("batch") == 1
    assert 0.6 < share("group") < 0.9  # three of four neighbours are in one group
    assert share("record") < 0.3


def test_same_seed_and_epoch_same_batches_whatever_the_threads(store):
    def batches_of(part, epoch):
        return [(b.rows.tolist(), b.leads.tolist(), b.signal.sum()) for b in part.epoch(epoch)]

    first = batches_of(reader(store), 3)
    assert first == batches_of(reader(store, threads=3, prefetch=1), 3)
    assert first == batches_of(reader(store, prefetch=0), 3)
    again = reader(store)
    batches_of(again, 2)
    assert first == batches_of(again, 3)  # an epoch does not depend on those before it
    assert first != batches_of(reader(store), 4)
    assert first != batches_of(reader(store, seed=1), 3)
    by_batch = reader(store, scope="batch")
    three, four = ([b.leads[0].tolist() for b in by_batch.epoch(epoch)] for epoch in (3, 4))
    assert three != four


def test_epochs_mix_shards_and_without_a_mask_have_every_lead(store):
    first, second, *_ = reader(store, window=3, draw_leads=partial(dlm, most=0)).epoch(0)
    assert {int(row >= 70) for row in [*first.rows, *second.rows]} == {0, 1}
    assert first.signal.shape[1] == 12
    check(first, 10, "group")


def test_a_broken_shard_ends_the_epoch_with_an_error(tmp_path):
    broken = write_store(tmp_path / "store", SIGNALS[:40], COLUMNS, [LABEL])
    part = reader(broken, rows=np.arange(40))
    path = broken / NAME.format(0)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    with pytest.raises(DamagedError, match=r"signals-00000\.parquet is damaged.*dvc repro ingest"):
        list(part.epoch(0))


def test_leaving_an_epoch_early_ends_its_threads(store):
    epoch = reader(store).epoch(0)
    next(epoch)
    epoch.close()
    assert list(epoch) == []
