"""Crop, repair, resample, pad, normalise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kmerl.signal import LIMIT, NAN, USUAL, normalise, repair, resample, to_int16


def sine(rate: float, seconds: float = 10, frequency: float = 5, offset: float = 0) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    wave = 1000 * np.sin(2 * np.pi * frequency * time) + offset
    return np.tile(np.round(wave).astype(np.int16), (12, 1))


@pytest.mark.parametrize("rate", [100, 250, 257, 1000])
def test_resampling_gives_the_same_wave_at_500_hz(rate):
    wanted = sine(500, offset=3000)
    got = resample(sine(rate, offset=3000), rate, 500)
    assert got.shape == wanted.shape
    error = np.abs(got.astype(int) - wanted)
    assert error[:, 100:-100].max() <= 4  # microvolt of 1000
    assert error.max() < 25  # and no step at the ends from the offset of 3000


def test_one_sample_stays_one_at_another_rate():
    """Nothing goes on beyond its ends: the polyphase filter dies of a division by zero."""
    np.testing.assert_array_equal(resample(np.full((2, 1), 7, np.int16), 250, 500), [[7], [7]])


def test_repair_is_linear_between_neighbours_and_flat_at_the_ends():
    holed = np.array([[0, NAN, NAN, 29, NAN], [NAN, NAN, 7, NAN, 9], [NAN] * 5], np.int16)
    repaired = [[0, 10, 19, 29, 29], [7, 7, 7, 8, 9], [NAN] * 5]
    np.testing.assert_array_equal(repair(holed), repaired)
    assert holed[0, 1] == NAN


def test_values_beyond_int16_are_clipped_and_counted():
    values, clipped = to_int16(np.array([40000, -40000, 7, 0]), np.array([0, 0, 0, 1], bool))
    assert values.tolist() == [LIMIT, -LIMIT, 7, NAN]
    assert clipped == 2


@settings(max_examples=30, deadline=None)
@given(arrays(np.int16, (3, 20), elements=st.integers(-32000, 32000)))
def test_minmax_spans_the_unit_interval_and_zscore_is_standard(signal):
    scaled, standard = normalise(signal, "minmax"), normalise(signal, "zscore")
    wider = normalise(3 * signal.astype(int) + 50, "minmax")
    np.testing.assert_allclose(scaled, wider, atol=1e-5)
    assert scaled.dtype == standard.dtype == np.float32
    varies = float(np.ptp(signal.astype(int)) > 0)
    assert scaled.min() == 0
    assert scaled.max() == pytest.approx(varies)
    assert standard.mean() == pytest.approx(0, abs=1e-3)
    assert standard.std() == pytest.approx(varies, abs=1e-3)


def test_a_lead_that_is_constant_becomes_zero():
    flat = np.full((1, 1, 5000), 31999, np.int16)
    assert not normalise(flat, "minmax").any()
    assert np.abs(normalise(flat, "zscore")).max() < 1e-3


def test_root_keeps_half_the_decibels_of_a_record():
    signal = np.random.default_rng(0).integers(-400, 400, (1, 2, 500)).astype(np.int16)
    once, four = (normalise(times * signal, "root") for times in (1, 4))
    np.testing.assert_allclose(four, 2 * once, rtol=1e-5)
    at_usual = once.std() / np.sqrt(signal.std() / USUAL)
    assert at_usual == pytest.approx(1, rel=1e-5)


def test_minmax_over_a_given_range_and_millivolt():
    signal = np.array([[[0, 500, 1000]]], np.int16)
    low, high = np.array([-1000], np.int16), np.array([1000], np.int16)
    np.testing.assert_allclose(normalise(signal, "minmax", low, high), [[[0.5, 0.75, 1.0]]])
    np.testing.assert_allclose(normalise(signal, "millivolt"), [[[0, 0.5, 1.0]]])
    full = np.array([[[-32767, 32767]]], np.int16)  # a range that int16 cannot hold
    np.testing.assert_allclose(normalise(full, "minmax"), [[[0, 1]]])
    with pytest.raises(ValueError, match=r"signal\.normalise.*minmax"):
        normalise(signal, "minmx")
