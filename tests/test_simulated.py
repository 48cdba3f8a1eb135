"""The measure of simulated hearts against real ones, on stores of a few recordings."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from benchmarks import apart, simulated, worth
from kmerl import params
from kmerl.evaluation.metric_rows import evaluate
from kmerl.store.pairs import choose
from kmerl.training.model import initial
from kmerl.training.session import described
from tests import cohorts


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return simulated.simulated_store(tmp_path_factory.mktemp("stores"), 1, records=24)


def test_all_records_are_asked_under_each_lead_set_and_a_class_has_its_positives(store):
    values = params.read()
    config = described(values, ("af",), 384)
    model = initial(config, 0, torch.ones(1, 384)).eval()
    scores = simulated.score(config, model, store, simulated.FOLDS["all"])
    assert {key for one in scores for key in one.score} == set(simulated.SETS)
    assert len(set().union(*(one.records for one in scores))) == 24
    found = simulated.by_class(scores, evaluate(scores, simulated.STATISTICS, 0))
    for one in scores:
        positives = [row["positives"] for row in found[one.task]["12"].values()]
        assert positives == one.truth.sum(axis=0).tolist()
    none = simulated.score(config, model, store, ("train",))[0]
    assert set(none.records) <= set(scores[0].records)


def test_a_store_is_made_once(store, monkeypatch):
    monkeypatch.setattr(simulated, "synthesize", None)
    digest = store.parent.name
    monkeypatch.setattr(simulated, "simulator", lambda: digest.split("-")[1])
    assert simulated.simulated_store(store.parent.parent, 1, records=24) == store


def test_noise_that_only_one_kind_has_is_found():
    generator = np.random.default_rng(0)
    block = generator.integers(-9, 9, (40, 12, 5000)).astype(float)
    truth = np.arange(40) % 2 == 0
    block[truth] = np.cumsum(np.sign(block[truth]), axis=2)
    groups = {name: make(block) for name, make in apart.GROUPS.items()}
    assert {len(names) for names, _ in groups.values()} == {
        values.shape[1] for _, values in groups.values()
    }
    told = apart.told(groups, ["noise"], truth, np.arange(40).astype(str))
    assert told[truth].min() > told[~truth].max()
    assert apart.single(groups, truth)["hum"][0][1] in (0, 1)


def test_a_run_of_both_corpora_has_its_share_of_each(tmp_path):
    """Of 20 patients of two pairs in each corpus."""
    names = [f"{one}/r{k:02d}" for one in (worth.CORPUS, worth.SIMULATED) for k in range(40)]
    for corpus in (worth.CORPUS, worth.SIMULATED):
        columns = {"record": [f"r{k:02d}" for k in range(40)]}
        columns |= {"patient": [f"p{k // 2}" for k in range(40)], "split": ["train"] * 40}
        cohorts.write_store(tmp_path / "ecg" / corpus, np.zeros((40, 12, 500), np.int16), columns)
    cohorts.write_knowledge(tmp_path, names, np.ones((80, 3), bool), np.random.default_rng(0))
    choose([worth.CORPUS, worth.SIMULATED], [], tmp_path)
    worth.cut(tmp_path, {f"{worth.CORPUS}/": 10.0, f"{worth.SIMULATED}/": 50.0}, seed=3)
    left = pq.read_table(tmp_path / "text/reports.parquet")["record"].to_pylist()
    of_corpus = Counter(name.split("/")[0] for name in left)
    assert of_corpus == {worth.CORPUS: 4, worth.SIMULATED: 20}
    assert len({int(name[-2:]) // 2 for name in left if name.startswith(worth.CORPUS)}) == 2


def test_what_is_begun_with_is_trained_before():
    order = list(worth.KINDS)
    begun = [(kind.begins, name) for name, kind in worth.KINDS.items() if kind.begins]
    assert begun and all(order.index(one) < order.index(other) for one, other in begun)
