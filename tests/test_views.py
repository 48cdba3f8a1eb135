"""Random views, and noise and filters that views are made of: what they change, and by how much."""

import pytest
import torch

from kmerl.methods import astcl, ts_tcc
from kmerl.methods.astcl import band_pass, ecg_noise
from kmerl.methods.ts_tcc import permute
from kmerl.models import views
from kmerl.models.views import ViewOptions, crop, deviation, noise, scale, time_out, view
from tests.gradients import generator

SAMPLES, RATE = 400, 500
STILL = ViewOptions(crop=1.0, gain=1.0, noise=0.0, time_out_min=0.0, time_out_max=0.0)


@pytest.fixture
def signal() -> torch.Tensor:
    return torch.randn(6, 12, SAMPLES, generator=generator(9))


def test_a_view_with_nothing_to_change_is_the_record_and_others_are_drawn_apart(signal):
    torch.testing.assert_close(view(signal, STILL, generator()), signal)
    one, other = view(signal[:1].repeat(2, 1, 1), ViewOptions(), generator())
    assert not torch.allclose(one, other, atol=0.1)


VIEWS = {
    "views": lambda signal, chance: views.two_views(signal, ViewOptions(), chance),
    "ts_tcc": lambda signal, chance: ts_tcc.two_views(signal, ts_tcc.Options(), chance),
    "astcl": lambda signal, chance: astcl.two_views(signal, astcl.Options(), chance),
}


@pytest.mark.parametrize("kind", VIEWS)
@pytest.mark.parametrize(("size", "level"), [(0.1, 0.5), (500.0, -3000.0)])
def test_views_follow_the_generator_and_the_units_of_the_signal(signal, kind, size, level):
    """minmax in 0 to 1, z-score or millivolt: the same view."""
    plain, wide = VIEWS[kind](signal.double(), generator()), size * signal.double() + level
    for one, other in zip(plain, VIEWS[kind](wide, generator()), strict=True):
        torch.testing.assert_close(one * size + level, other)
    assert (plain[0] - plain[1]).abs().mean() > 0.1
    again = VIEWS[kind](signal.double(), generator(1))
    assert not torch.allclose(again[0], plain[0], atol=0.01)
    flat = torch.full((2, 12, 100), 3.0)
    assert all(torch.isfinite(view).all() for view in VIEWS[kind](flat, generator()))


def test_a_stretched_crop_is_a_part_of_the_record_at_its_length():
    ramp = torch.linspace(0, 1, SAMPLES).expand(500, 12, -1)
    cropped = crop(ramp, 0.5, True, generator())
    assert cropped.min() >= 0
    assert cropped.max() <= 1 + 1e-6
    share = cropped[:, 0, -1] - cropped[:, 0, 0]
    assert share.min() >= 0.5 - 1e-6
    assert share.max() > 0.98
    assert abs(share.mean() - 0.75) < 0.02
    steps = cropped.diff(dim=2) * (SAMPLES - 1)
    torch.testing.assert_close(steps, share.view(-1, 1, 1).expand_as(steps), atol=4e-4, rtol=1e-3)


def test_a_crop_without_stretch_keeps_its_speed_and_ends_in_zeros():
    ramp = torch.linspace(1, 2, SAMPLES).expand(200, 12, -1)
    cropped = crop(ramp, 0.5, False, generator())[:, 0]
    kept = (cropped > 0).sum(dim=1)
    assert kept.min() >= SAMPLES // 2
    for row, count in zip(cropped, kept.tolist(), strict=True):
        assert (row[:count].diff() - 1 / (SAMPLES - 1)).abs().max() < 1e-5
        assert not row[count:].any()


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
    assert blank.int().diff(dim=1).abs().sum(dim=1).max() <= 2
    assert blank.any(dim=0).all()


def wave(hertz: float, samples: int = 5000) -> torch.Tensor:
    time = torch.arange(samples, dtype=torch.float64) / RATE
    return torch.sin(2 * torch.pi * hertz * time + 1).expand(1, 1, -1)


def power(noise: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Share of each record's power between two frequencies."""
    spectrum = torch.fft.rfft(noise, dim=2).abs().square().sum(dim=1)
    frequency = torch.fft.rfftfreq(noise.shape[2], 1 / RATE)
    return spectrum[:, (frequency >= low) & (frequency <= high)].sum(1) / spectrum.sum(1)


# ---------------------------------------------------------------- permutation


def test_shuffling_keeps_every_sample_and_moves_all_leads_alike():
    place = torch.arange(200.0).expand(300, 12, -1)
    lead = torch.arange(12.0).view(12, 1) * 1000
    shuffled = permute(place + lead, 8, generator()) - lead
    assert torch.equal(shuffled, shuffled[:, :1].expand_as(shuffled))
    assert torch.equal(shuffled.sort(dim=2).values, place)
    pieces = (shuffled[:, 0].diff(dim=1) != 1).sum(dim=1) + 1
    assert pieces.min() == 1
    assert pieces.max() == 8
    first, last = shuffled[:, 0, 0], shuffled[:, 0, -1]
    assert len(first.unique()) > 50
    assert (first > last).float().mean() > 0.3
    assert torch.equal(permute(place, 1, generator()), place)


def test_the_strong_view_of_ts_tcc_keeps_leads_apart(signal):
    """Its public code fills all leads with the first (issue 17 there)."""
    signal = signal + torch.arange(12.0).view(1, 12, 1) * 100
    weak, strong = ts_tcc.two_views(signal, ts_tcc.Options(noise=0.0), generator())
    expected = signal.sort(dim=2).values
    torch.testing.assert_close(strong.sort(dim=2).values, expected, rtol=1e-6, atol=1e-4)
    assert (strong - signal).abs().mean() > 0.1
    level = signal.mean(dim=2, keepdim=True)
    gains = weak.std(dim=2, keepdim=True) / signal.std(dim=2, keepdim=True)
    torch.testing.assert_close(weak - level, gains * (signal - level), rtol=1e-3, atol=1e-3)
    assert gains.min() > 0.79
    assert gains.max() < 1.26


# ---------------------------------------------------------------- noise and filter


def test_noise_has_the_drawn_ratio_to_the_record():
    signal = torch.randn(300, 2, 1000, generator=generator()) * 7 + 30
    noise = ecg_noise(signal, RATE, 5.0, 20.0, generator())
    ratio = 20 * torch.log10(deviation(signal) / deviation(noise)).flatten()
    assert ratio.min() > 5 - 0.01
    assert ratio.max() < 20 + 0.01
    assert abs(ratio.mean() - 12.5) < 0.6


def test_noise_is_wander_muscle_mains_and_white_in_each_records_proportions():
    noise = ecg_noise(torch.randn(100, 3, 5000, generator=generator()), RATE, 5.0, 5.0, generator())
    wander, muscle = power(noise, 0.01, 0.5), power(noise, 20, 49) + power(noise, 61, 150)
    mains = power(noise, 49.95, 50.05) + power(noise, 59.95, 60.05)
    quiet = power(noise, 2, 19) + power(noise, 151, 250)
    for share in (wander, muscle, mains, quiet):
        assert 0.08 < share.mean() < 0.4
        assert share.std() > 0.05
    european = power(noise, 49.95, 50.05) > power(noise, 59.95, 60.05)
    assert 0.35 < european.float().mean() < 0.65
    leads = torch.corrcoef(noise[0])
    assert (leads - torch.eye(3)).abs().max() < 0.5


def test_short_and_slow_records_have_the_noise_that_fits(signal):
    noise = ecg_noise(signal[..., :100], 60, 10.0, 10.0, generator())
    torch.testing.assert_close(deviation(noise), deviation(signal[..., :100]) * 10**-0.5)


@pytest.mark.parametrize(
    ("hertz", "gain"), [(0.05, 0.0), (0.5, 0.7071), (2, 1.0), (15, 1.0), (40, 0.7071), (150, 0.0)]
)
def test_the_band_passes_what_an_ecg_is_made_of_without_delay(hertz, gain):
    difference = band_pass(wave(hertz), RATE, 0.5, 40.0) - gain * wave(hertz)
    assert difference[..., 1000:4000].abs().max() < 0.03  # away from the mirrored ends


def test_a_drift_does_not_jump_where_the_record_ends():
    ramp = torch.linspace(-1, 1, 5000, dtype=torch.float64).expand(1, 1, -1)
    passed = band_pass(ramp, RATE, 0.5, 40.0)
    assert passed.abs().max() < 0.25  # 1 where the end is thought to meet the start


def test_views_of_astcl_are_noisier_and_cleaner_and_of_the_records_size():
    signal = (wave(7, 2000) + wave(100, 2000)).float().repeat(5, 12, 1) + 3
    noisy, clean = astcl.two_views(signal, astcl.Options(), generator())
    for changed in (noisy, clean):
        torch.testing.assert_close(deviation(changed), deviation(signal))
        torch.testing.assert_close(changed.mean(dim=2), signal.mean(dim=2), atol=0.05, rtol=0)
    left = power(noisy - 3, 6, 8) + power(noisy - 3, 99, 101)
    assert left.max() < 0.99  # 20 dB
    assert left.min() > 0.7  # 5 dB
    assert power(clean - 3, 99, 101).max() < 1e-3
