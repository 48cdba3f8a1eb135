"""Two numbers that see a collapse."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kmerl.methods import astcl, simsiam
from kmerl.training.monitors import effective_rank, spread, watched
from tests.gradients import descend, generator, total
from tests.methods import batch, small


def gaussian(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator())


def test_spread_sees_one_direction_and_rank_few_dimensions():
    even, few = gaussian(4000, 16), gaussian(1000, 3) @ gaussian(3, 64)
    assert spread(even) == pytest.approx(1, abs=0.02)
    assert effective_rank(even) == pytest.approx(16, abs=0.1)
    assert effective_rank(few) < 3.01
    assert spread(few) > 0.5
    for jitter in (0.0, 1e-6):
        one = gaussian(1, 16) + jitter * gaussian(100, 16)
        one = one * torch.rand(100, 1) * 5  # lengths do not matter
        assert spread(one) < 1e-4
        assert effective_rank(one) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
def test_rank_is_the_exponential_entropy_of_the_variances(shape):
    features = gaussian(*shape).double() * torch.arange(1, shape[1] + 1)
    variances = torch.linalg.svdvals(torch.cov(F.normalize(features).T))
    shares = variances / variances.sum()
    expected = float(torch.special.entr(shares).sum().exp())
    assert effective_rank(features) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("module", "options"),
    [(simsiam, {}), (astcl, {"ahead": 0.5, "context_depth": 1, "adversary": 0.0})],
)
def test_a_method_without_its_guards_is_seen_to_collapse(module, options, monkeypatch):
    """Batch norm, predictor and stop-gradient away: all records become one direction."""

    def trained(guarded):
        model = small(module.__name__.split(".")[-1], backbone="vit", **options)
        if not guarded:
            model.projector = nn.Linear(model.encoder.width, 16)
            model.predictor = model.centre = nn.Identity()
        *_, loss = descend(model, 12, lambda step: total(model(batch(), generator(step))))
        with torch.no_grad():
            seen = watched(model.eval(), batch())
        return loss, spread(seen["feature"]), spread(seen["projection"])

    def learning(one, two, *_):
        return -F.cosine_similarity(one, two).mean()

    loss, feature, projection = trained(guarded=True)
    for name in ("negative_cosine", "patient_cosine"):
        monkeypatch.setattr(module, name, learning, raising=False)
    collapsed = trained(guarded=False)
    assert collapsed[0] < loss  # which likes it
    assert collapsed[1] < 0.25 * feature
    assert collapsed[2] < 0.25 * projection
