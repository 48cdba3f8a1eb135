"""Pretraining that goes on from another model's weights."""

import pytest
import torch

from kmerl import params
from kmerl.store.index import sha256
from kmerl.training import model as model_files
from kmerl.training.beginning import begin
from kmerl.training.session import described

VALUES = params.read()


def made(seed, entities=("af", "lbbb"), **changes):
    values = {
        key: {**VALUES[key], **changes[key]} if key in changes else VALUES[key] for key in VALUES
    }
    config = described(values, entities, 8)
    return config, model_files.initial(config, seed, torch.full((len(entities), 8), float(seed)))


@pytest.fixture
def simulated(tmp_path, monkeypatch):
    """A model's folder in the working directory, and its digest."""
    monkeypatch.chdir(tmp_path)
    config, model = made(1)
    model_files.save(tmp_path / "simulated", config, model)
    return config, model, sha256(tmp_path / "simulated" / model_files.WEIGHTS)


def test_all_weights_are_the_others_and_the_vocabulary_is_ones_own(simulated):
    _, theirs, digest = simulated
    config, model = made(2, entities=("af", "wpw", "pvc"))
    begin(model, config, f"simulated@{digest[:8]}")
    assert model.entities.shape == (3, 8) and (model.entities == 2).all()
    state = theirs.state_dict()
    for name, value in model.state_dict().items():
        assert name == "entities" or torch.equal(value, state[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"signal": {"normalise": "minmax"}}, "simulated was trained with signal .*zscore"),
        ({"ingest": {"rate": 100}}, "simulated was trained with rate 500, here it is 100"),
        ({"query_network": {"width": 48}}, r"tensor query_network.* is \(.*96.*here \(.*48"),
        ({"query_network": {"layers": 5}}, "tensor query_network.layers.4.* is not there, here"),
    ],
)
def test_weights_that_do_not_fit_are_named(simulated, changes, message):
    config, model = made(2, **changes)
    with pytest.raises(params.ParamsError, match=rf"^pretrain.start_from: .*{message}"):
        begin(model, config, f"simulated@{simulated[2][:8]}")


def test_other_weights_are_another_training(simulated):
    config, model = made(2)
    with pytest.raises(params.ParamsError, match=rf"write simulated@{simulated[2][:12]}"):
        begin(model, config, "simulated@00000000")
    with pytest.raises(FileNotFoundError, match=r"nowhere/config\.json does not exist"):
        begin(model, config, "nowhere@00000000")
