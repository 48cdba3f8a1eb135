"""Method random: nothing is trained, and every file that a training leaves is there."""

from pathlib import Path

import pytest
import torch

from kmerl import seeds
from kmerl.models.backbone import ResNet, TwelveLeadViT
from kmerl.models.vit import LeadEncoder
from kmerl.report import run_charts, run_tables
from kmerl.training import loop
from kmerl.training.checkpoint import NAME as CHECKPOINTS
from kmerl.training.model import create, load
from tests.gradients import generator
from tests.methods import batch, small
from tests.test_training import curves as rows_of
from tests.test_training import train


@pytest.mark.parametrize(
    ("backbone", "kind"),
    [("resnet18", ResNet), ("vit", TwelveLeadViT), ("lead_tokens", LeadEncoder)],
)
def test_the_initial_weights_are_the_model(here, monkeypatch, capsys, backbone, kind):
    monkeypatch.setattr(loop.Pretraining, "_epoch", None)
    _, metrics = train(here, method="random", options={"backbone": backbone})
    config, model = load(here / "models")
    assert type(model.encoder) is kind
    torch.manual_seed(seeds.stream(0, "initial weights"))
    initial = create(config)
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in initial.state_dict().items())
    assert model(batch(), generator()) == {}
    assert "nothing to train" in capsys.readouterr().err
    assert not list(Path(CHECKPOINTS).glob("*"))
    assert metrics["epoch"] == metrics["best_epoch"] == 0
    assert metrics["loss"] is None
    assert metrics["val_loss"] is None
    assert metrics["feature_rank"] > 1
    assert metrics["pairs"] > 0
    assert metrics["parameters"] == metrics["parameters_encoder"] > 0


def test_it_starts_where_another_method_of_the_same_network_starts():
    for backbone, other in (("resnet18", "simclr"), ("lead_tokens", "kmerl")):
        encoder, theirs = small("random", backbone=backbone).encoder, small(other).encoder
        for name, weight in theirs.state_dict().items():
            assert torch.equal(encoder.state_dict()[name], weight), name


def test_curves_and_numbers_of_a_training_without_epochs_are_shown_as_none(here):
    _, metrics = train(here, method="random")
    rows = rows_of(here)
    assert [row["epoch"] for row in rows] == ["0"]
    assert {"loss", "val_loss"} <= rows[0].keys()
    assert run_charts.losses(rows) == {}
    assert run_tables.counts(metrics, "Pretraining, last epoch")
