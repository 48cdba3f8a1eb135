"""Method random: nothing is trained, and every file that a training leaves is there."""

from pathlib import Path

import pytest
import torch

from kmerl.models.backbone import ResNet, TwelveLeadViT
from kmerl.models.vit import LeadEncoder
from kmerl.report import run_charts, run_counts
from kmerl.training import loop
from kmerl.training.checkpoint import NAME as CHECKPOINTS
from kmerl.training.model import initial, load
from tests.gradients import generator
from tests.methods import DEMO, batch, small
from tests.test_training import curves, train


@pytest.mark.parametrize(
    ("backbone", "kind"),
    [("resnet18", ResNet), ("vit", TwelveLeadViT), ("lead_tokens", LeadEncoder)],
)
def test_the_initial_weights_are_the_model(here, monkeypatch, capsys, backbone, kind):
    monkeypatch.setattr(loop.Pretraining, "_epoch", None)
    _, metrics = train(here, method="random", options={"backbone": backbone})
    config, model = load(here / "models")
    assert type(model.encoder) is kind
    state = initial(config, DEMO["seed"]).state_dict()
    torch.testing.assert_close(model.state_dict(), state, rtol=0, atol=0)
    assert model(batch(), generator()) == {}
    assert "nothing to train" in capsys.readouterr().err
    assert not list(Path(CHECKPOINTS).glob("*"))
    assert metrics["epoch"] == metrics["best_epoch"] == 0
    assert metrics["loss"] is metrics["val_loss"] is None
    assert metrics["feature_rank"] > 1
    assert metrics["pairs"] > 0
    assert metrics["parameters"] == metrics["parameters_encoder"] > 0
    (row,) = rows = curves(here)
    assert row["epoch"] == "0"
    assert {"loss", "val_loss"} <= row.keys()
    assert run_charts.losses(rows) == {}  # the page shows none
    assert run_counts.nested(metrics, "Pretraining, last epoch")


def test_it_starts_where_another_method_of_the_same_network_starts():
    for backbone, other in (("resnet18", "simclr"), ("lead_tokens", "kmerl")):
        encoder, theirs = small("random", backbone=backbone).encoder, small(other).encoder
        torch.testing.assert_close(encoder.state_dict(), theirs.state_dict(), rtol=0, atol=0)
