"""Two numbers that see a collapse."""

import pytest
import torch

from kmerl.training.monitors import feature_rank, feature_std


def gaussian(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_spread_features_have_deviation_and_rank_of_their_width():
    features = gaussian(4000, 16)
    assert feature_std(features) == pytest.approx(1, abs=0.02)
    assert feature_rank(features) == pytest.approx(16, abs=0.1)


@pytest.mark.parametrize("jitter", [0.0, 1e-6])
def test_one_direction_for_all_is_a_collapse(jitter):
    features = gaussian(1, 16) + jitter * gaussian(100, 16)
    features = features * torch.rand(100, 1) * 5  # lengths do not matter
    assert feature_std(features) < 1e-4
    assert feature_rank(features) == pytest.approx(1, abs=1e-3)


def test_rank_sees_features_that_live_in_few_dimensions():
    features = gaussian(1000, 3) @ gaussian(3, 64)
    assert feature_rank(features) < 3.01
    assert feature_std(features) > 0.5


def test_rank_is_the_exponential_entropy_of_the_variances():
    corners = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    variances = torch.linalg.eigvalsh(torch.cov(corners.T))
    shares = variances / variances.sum()
    expected = float((-(shares * shares.log()).sum()).exp())
    assert feature_rank(corners) == pytest.approx(expected, rel=1e-5)
