"""Random views: what they change, by how much, and that nothing but the generator decides."""

import pytest
import torch

from kmerl.models.views import ViewOptions, crop, noise, scale, time_out, two_views, view

SAMPLES = 400
STILL = ViewOptions(crop=1.0, gain=1.0, noise=0.0, time_out_min=0.0, time_out_max=0.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def signal() -> torch.Tensor:
    return torch.randn(6, 12, SAMPLES, generator=generator(9))


def test_a_view_with_nothing_to_change_is_the_record(signal):
    torch.testing.assert_close(view(signal, STILL, generator()), signal)


def test_two_views_differ_and_the_generator_repeats_them(signal):
    one, two = two_views(signal, ViewOptions(), generator())
    assert one.shape == two.shape == signal.shape
    assert (one - two).abs().mean() > 0.1
    again = two_views(signal, ViewOptions(), generator())
    assert torch.equal(again[0], one) and torch.equal(again[1], two)
    assert not torch.equal(two_views(signal, ViewOptions(), generator(1))[0], one)


def test_records_are_drawn_apart(signal):
    same = signal[:1].repeat(2, 1, 1)
    one, other = view(same, ViewOptions(), generator())
    assert not torch.allclose(one, other, atol=0.1)


@pytest.mark.parametrize(("size", "level"), [(0.1, 0.5), (500.0, -3000.0)])
def test_units_of_the_signal_do_not_matter(signal, size, level):
    """minmax in 0 to 1, z-score or millivolt: the same view."""
    expected = view(signal, ViewOptions(), generator()) * size + level
    changed = view(signal * size + level, ViewOptions(), generator())
    torch.testing.assert_close(changed, expected, rtol=1e-3, atol=1e-3 * size)


def test_a_stretched_crop_is_a_part_of_the_record_at_its_length():
    ramp = torch.linspace(0, 1, SAMPLES).expand(500, 12, -1)
    cropped = crop(ramp, 0.5, True, generator())
    first, last = cropped[:, 0, 0], cropped[:, 0, -1]
    assert ((first >= 0) & (last <= 1 + 1e-6)).all()
    share = last - first
    assert share.min() >= 0.5 - 1e-6
    assert share.max() > 0.98
    assert abs(share.mean() - 0.75) < 0.02
    steps = cropped.diff(dim=2)
    torch.testing.assert_close(
        steps, (share / (SAMPLES - 1)).view(-1, 1, 1).expand_as(steps), atol=1e-6, rtol=1e-3
    )


def test_a_crop_without_stretch_keeps_its_speed_and_ends_in_zeros():
    ramp = torch.linspace(1, 2, SAMPLES).expand(200, 12, -1)
    cropped = crop(ramp, 0.5, False, generator())[:, 0]
    kept = (cropped > 0).sum(dim=1)
    assert kept.min() >= SAMPLES // 2
    for row, count in zip(cropped, kept.tolist(), strict=True):
        torch.testing.assert_close(
            row[:count].diff(), torch.full((count - 1,), 1 / (SAMPLES - 1)), atol=1e-5, rtol=0
        )
        assert (row[count:] == 0).all()


def test_gain_is_a_leads_own_within_its_bounds_and_even_both_ways():
    factors = scale(torch.ones(2000, 12, 2), 2.0, generator())
    assert torch.equal(factors[..., 0], factors[..., 1])
    assert factors.min() >= 0.5
    assert factors.max() <= 2
    assert abs(factors.log().mean()) < 0.02
    assert len(factors[0, :, 0].unique()) == 12


def test_noise_is_white_with_a_deviation_up_to_the_largest():
    drawn = noise(torch.zeros(400, 12, 500), 0.3, generator())
    deviation = drawn.std(dim=(1, 2))
    assert deviation.max() < 0.31
    assert abs(deviation.mean() - 0.15) < 0.02
    neighbours = (drawn[..., 1:] * drawn[..., :-1]).mean() / drawn.square().mean()
    assert abs(neighbours) < 0.01


def test_time_out_blanks_one_span_of_all_leads():
    shown = time_out(torch.ones(500, 12, SAMPLES), 0.2, 0.4, generator())
    assert torch.equal(shown, shown[:, :1].expand_as(shown))
    blank = shown[:, 0] == 0
    share = blank.float().mean(dim=1)
    assert share.min() > 0.19
    assert share.max() < 0.41
    assert (blank.int().diff(dim=1).abs().sum(dim=1) <= 2).all()
    touched = blank.any(dim=0).float().mean()
    assert touched == 1
