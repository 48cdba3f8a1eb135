"""The measure of simulated hearts against real ones, on stores of a few recordings."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import apart, simulated, worth
from kmerl import params
from kmerl.evaluation.metric_rows import evaluate
from kmerl.training.model import initial
from kmerl.training.session import described


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


def test_runs_without_their_simulated_model_are_left_out(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"method": "kmerl"}))
    names = [one.name for one in worth.plan(["kmerl", "merl"], 1, [tmp_path])]
    each = ("kmerl-real", "kmerl-then", "merl-real")
    trained = [f"{run}-{share}-s0" for share in (1, 10, 100) for run in each]
    assert names == ["kmerl-simulated-s0", *trained]
