"""The store and its readers, on stores that the tests write."""

import dataclasses
import shutil
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl.files import DamagedError
from kmerl.leads import LEADS
from kmerl.models.masking import draw_leads
from kmerl.store import (
    NAME,
    StoreError,
    label_column,
    read_index,
    read_signals,
    read_table,
    row_groups,
    whole_range,
    write_index,
)
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
    return TrainingReader(read_index(store), **(usual | {"neighbours": 4} | changes))


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


def test_the_index_says_what_the_shards_say(store, tmp_path):
    without = tmp_path / "csn"
    shutil.copytree(store, without, ignore=shutil.ignore_patterns("index.parquet"))
    one, other = read_index(store), read_index(without)
    assert one.names.equals(other.names)
    assert one.names.equals(read_table(without, ["record", "patient", "split"]))
    for name in ("low", "high"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("samples", "rate", "shard", "number", "start"):
        found = getattr(one.groups, name)
        np.testing.assert_array_equal(found, getattr(other.groups, name))
        assert np.asarray(found).dtype == np.asarray(getattr(other.groups, name)).dtype
    low, high = whole_range(without)
    np.testing.assert_array_equal(low, SIGNALS.min(axis=(1, 2)))
    np.testing.assert_array_equal(high, SIGNALS.max(axis=(1, 2)))
    write_index(without, threads=3)
    assert (without / "index.parquet").read_bytes() == (store / "index.parquet").read_bytes()


def longer(folder):
    with open(folder / NAME.format(2), "ab") as file:
        file.write(b"x")


def of_another(folder):
    pq.write_table(pq.read_table(folder / "index.parquet", columns=["record"]), folder / "i")
    (folder / "i").rename(folder / "index.parquet")


def flipped(folder):
    path = folder / "index.parquet"
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            longer,
            r"signals-00002\.parquet is damaged.* bytes, index\.parquet says .*dvc repro ingest",
        ),
        (lambda folder: (folder / NAME.format(1)).unlink(), "other shards than its index.parquet"),
        (of_another, r"index\.parquet has other columns"),
        (flipped, r"index\.parquet is damaged"),
    ],
)
def test_an_index_of_other_shards_or_a_torn_one_is_told(store, tmp_path, damage, said):
    here = shutil.copytree(store, tmp_path / "csn")
    damage(here)
    for look in (read_index, whole_range, lambda folder: read_table(folder, ["record"])):
        with pytest.raises((DamagedError, StoreError), match=said):
            look(here)


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
    neighbours=st.integers(1, 9),
    window=st.integers(1, 3),
    scope=st.sampled_from(["group", "record", "batch"]),
    whole=st.booleans(),
    world=st.integers(1, 3),
    left_out=st.sets(st.integers(0, 120), max_size=31),
)
def test_an_epoch_is_full_batches_of_chosen_rows_once_or_all_of_them(
    store, *, share, neighbours, window, scope, whole, world, left_out
):
    rows = np.array(sorted(set(range(ROWS)) - left_out))
    batch_size = share * world
    changes = {"rows": rows, "batch_size": batch_size, "window": window, "scope": scope}
    changes["neighbours"] = neighbours
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
    mapped = reader(store, **changes, whole=whole, decoded=SIGNALS).epoch(1)
    for batch, other in zip(batches, mapped, strict=True):
        for field in dataclasses.fields(batch):
            one, two = getattr(batch, field.name), getattr(other, field.name)
            assert one.dtype == two.dtype
            np.testing.assert_array_equal(one, two)
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


@pytest.mark.parametrize(("neighbours", "together"), [(1, 1), (4, 4), (7, 7), (1000, 70)])
def test_neighbours_stay_together_whatever_the_row_groups(store, tmp_path, neighbours, together):
    """What a store was written in changes nothing that is drawn."""
    (batch,) = reader(store, neighbours=neighbours, batch_size=ROWS).epoch(0)
    ends = [*np.flatnonzero(np.diff(batch.rows) != 1) + 1, ROWS]
    runs = np.diff([0, *ends])
    assert max(runs) >= together
    assert set(runs) >= ({together} if neighbours < 70 else set(SHARDS) - {0})
    other = write_store(tmp_path / "csn", SIGNALS, COLUMNS, [LABEL], SHARDS, group=16)
    (again,) = reader(other, neighbours=neighbours, batch_size=ROWS).epoch(0)
    for name in ("rows", "leads", "signal"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(again, name))


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
