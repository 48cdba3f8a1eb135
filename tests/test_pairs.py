"""What is trained on: one corpus, or several read as one."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from kmerl import files
from kmerl.params import ParamsError
from kmerl.store import StoreError, pairs, read_index
from kmerl.store.pairs import PairStores, corpora_of
from kmerl.training.reader import TrainingReader
from tests import cohorts
from tests.cohorts import SAMPLES, write_store
from tests.mining import PARAMS, labels, run
from tests.mining import write_store as write_reports
from tests.test_training import train

SIZES = {"csn": 12, "ptb-xl": 7}
SIGNALS = {
    name: np.random.default_rng(size).integers(-900, 900, (size, 12, SAMPLES), np.int16)
    for name, size in SIZES.items()
}


@pytest.fixture
def data(tmp_path):
    """Two stores whose records and patients are numbered alike."""
    for name, size in SIZES.items():
        columns = {"record": [f"r{k}" for k in range(size)]}
        columns |= {"patient": [f"p{k // 2}" for k in range(size)], "split": ["train"] * size}
        write_store(tmp_path / "ecg" / name, SIGNALS[name], columns, shards=(4, size - 4))
    return tmp_path


def test_several_stores_are_read_as_one(data):
    pairs.choose(["ptb-xl", "csn"], [], data)
    stores = PairStores.read(data)
    index = stores.index()
    assert index.records.to_pylist() == [f"csn/r{k}" for k in range(12)] + [
        f"ptb-xl/r{k}" for k in range(7)
    ]
    assert index.names["patient"].to_pylist()[11:14] == ["csn/p5", "ptb-xl/p0", "ptb-xl/p0"]
    assert stores.table(["record", "split"])["record"].to_pylist() == index.records.to_pylist()
    expected = np.concatenate([SIGNALS["csn"], SIGNALS["ptb-xl"]])
    assert index.low.tolist() == expected.min(axis=(1, 2)).tolist()
    reader = TrainingReader(
        index,
        rows=np.arange(19),
        batch_size=5,
        draw_leads=lambda generator, subsets: np.tile([0, 7], (subsets, 1)),
        seed=0,
        neighbours=4,
        whole=True,
    )
    seen = {}
    for batch in reader.epoch(0):
        seen |= dict(zip(batch.rows.tolist(), batch.signal, strict=True))
    assert sorted(seen) == list(range(19))
    assert all(np.array_equal(seen[row], expected[row, [0, 7]]) for row in seen)


def test_one_store_is_read_as_it_is(data):
    pairs.choose(["csn"], ["csn", "mimic-iv-ecg"], data)
    stores = PairStores.read(data)
    assert stores.index().names.equals(read_index(data / "ecg/csn").names)
    assert stores.table(["record"])["record"].to_pylist() == [f"r{k}" for k in range(12)]
    assert stores.simulated == {"csn"} and stores.own("csn") == ""


def test_a_corpus_that_is_not_trained_on_changes_nothing(data):
    pairs.choose(["csn"], [], data)
    before = (data / pairs.NAME).read_bytes()
    other, same = data / "ecg/ptb-xl/index.parquet", data / "ecg/csn/index.parquet"
    other.write_bytes(b"another")
    pairs.choose(["csn"], [], data)
    assert (data / pairs.NAME).read_bytes() == before
    for change in (lambda: same.write_bytes(b"another"), same.unlink):
        change()
        with pytest.raises(StoreError, match=r"csn is not the store .* run `dvc repro pairs`"):
            PairStores.read(data)
    same.write_bytes(b"another")
    pairs.choose(["csn"], [], data)
    assert (data / pairs.NAME).read_bytes() != before


@pytest.mark.parametrize("given", [[], ["csn", "csn"]])
def test_each_corpus_is_named_once(given):
    with pytest.raises(ParamsError, match="name each corpus once, and one at least"):
        corpora_of(given)


def test_names_are_texts_and_corpora_are_there(data):
    with pytest.raises(ParamsError, match=r"pretrain\.corpus"):
        corpora_of([1])
    with pytest.raises(ParamsError, match="run `dvc repro ingest@nowhere`, or name a corpus"):
        pairs.choose(["csn", "nowhere"], [], data)


def test_stores_of_another_rate_do_not_mix(data, monkeypatch):
    monkeypatch.setattr(cohorts, "RATE", 50)
    columns = {name: ["a"] for name in ("record", "patient", "split")}
    write_store(data / "ecg/slow", np.ones((1, 12, SAMPLES), np.int16), columns)
    pairs.choose(["csn", "slow"], [], data)
    with pytest.raises(StoreError, match="csn, slow differ in rate or length"):
        PairStores.read(data).index()


def test_two_corpora_are_mined_together(tmp_path, monkeypatch):
    """Reports of both make one label matrix; each record keeps its own, and its truth."""
    write_reports(tmp_path)
    ecg, truth = tmp_path / "data/ecg", tmp_path / "data/truth"
    shutil.copytree(ecg / "mimic-iv-ecg", ecg / "csn")
    shutil.copy(truth / "mimic-iv-ecg.csv", truth / "csn.csv")
    monkeypatch.chdir(tmp_path)
    shutil.copy(PARAMS, "params.yaml")
    run()
    alone, found = labels(), files.read_json("metrics/mining.json")
    pairs.choose(["mimic-iv-ecg", "csn"], ["mimic-iv-ecg", "csn"], Path("data"))
    run()
    both, twice = labels(), files.read_json("metrics/mining.json")
    numbers = alone["record"].to_pylist()
    assert both["record"].to_pylist() == [
        f"{corpus}/{number}" for corpus in ("csn", "mimic-iv-ecg") for number in numbers
    ]
    assert pa.concat_tables([alone, alone]).drop("record").equals(both.drop("record"))
    assert twice["truth"]["records"] == 2 * found["truth"]["records"] > 0
    assert twice["truth"]["f1"] == found["truth"]["f1"]


def test_two_corpora_are_trained_on_together(here):
    for path in (here / "data/labels/labels.parquet", here / "data/text/reports.parquet"):
        table = pq.read_table(path)
        named = [
            table.set_column(0, "record", pc.binary_join_element_wise(f"{name}/", table[0], ""))
            for name in ("mimic-iv-ecg", "csn")
        ]
        pq.write_table(pa.concat_tables(named), path)
    shutil.copytree(here / "data/ecg/mimic-iv-ecg", here / "data/ecg/csn")
    pairs.choose(["mimic-iv-ecg", "csn"], [], here / "data")
    _, metrics = train(here, pretrain__epochs=1)
    assert (metrics["pairs"], metrics["pairs_val"]) == (64, 16)
