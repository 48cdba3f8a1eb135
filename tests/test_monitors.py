"""Two numbers that see a collapse."""

import pytest
import torch
import torch.nn.functional as F

from kmerl.methods import simsiam
from kmerl.training.monitors import effective_rank, spread, watched
from tests.gradients import descend, generator
from tests.methods import batch, small


def gaussian(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator())


def test_spread_features_have_deviation_and_rank_of_their_width():
    features = gaussian(4000, 16)
    assert spread(features) == pytest.approx(1, abs=0.02)
    assert effective_rank(features) == pytest.approx(16, abs=0.1)


@pytest.mark.parametrize("jitter", [0.0, 1e-6])
def test_one_direction_for_all_is_a_collapse(jitter):
    features = gaussian(1, 16) + jitter * gaussian(100, 16)
    features = features * torch.rand(100, 1) * 5  # lengths do not matter
    assert spread(features) < 1e-4
    assert effective_rank(features) == pytest.approx(1, abs=1e-3)


def test_rank_sees_features_that_live_in_few_dimensions():
    features = gaussian(1000, 3) @ gaussian(3, 64)
    assert effective_rank(features) < 3.01
    assert spread(features) > 0.5


@pytest.mark.parametrize(("records", "width"), [(40, 6), (6, 40)])
def test_rank_is_the_exponential_entropy_of_the_variances(records, width):
    features = gaussian(records, width).double() * torch.arange(1, width + 1)
    variances = torch.linalg.svdvals(torch.cov(F.normalize(features).T))
    shares = variances / variances.sum()
    expected = float(torch.special.entr(shares).sum().exp())
    assert effective_rank(features) == pytest.approx(expected, rel=1e-5)


def trained() -> dict[str, float]:
    """What the monitors say of a SimSiam after a short training without any batch norm in its
    encoder, which would keep features apart."""
    model, records = small("simsiam", backbone="vit"), batch(records=32)
    optimiser = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    losses = descend(
        model, 60, lambda step: model(records, generator(step))["prediction"], optimiser
    )
    with torch.no_grad():
        seen = watched(model.eval(), records)
    return {"loss": losses[-1], **{name: spread(vectors) for name, vectors in seen.items()}}


def test_simsiam_without_its_stop_gradient_is_seen_to_collapse(monkeypatch):
    sound = trained()
    monkeypatch.setattr(
        simsiam, "negative_cosine", lambda p, target: -F.cosine_similarity(p, target, dim=1).mean()
    )
    collapsed = trained()
    assert collapsed["loss"] < sound["loss"]  # the loss likes it
    assert collapsed["feature"] < 0.75 * sound["feature"]
    assert collapsed["projection"] < 0.75 * sound["projection"]
