"""The simulated cart: what holds of its leads whatever its wires, filters and electrodes do."""

import dataclasses

import numpy as np
import pytest

from kmerl.leads import LEADS
from kmerl.synthetic import noise, recording
from kmerl.synthetic.device import Device, _first_order, _low_passed
from kmerl.synthetic.noise import SITES
from kmerl.synthetic.patients import visits

SITE = dataclasses.replace(SITES["mimic-iv-ecg"], events={}, swaps={}, gain=(1.0, 0.0))
EVERY = dict.fromkeys(("burst", "motion", "step", "loose", "dropped"), 1.0)


def leads_of(monkeypatch, number=0, **changes):
    """Lead -> int64 units of a visit that is recorded at a site which differs from SITE."""
    site = dataclasses.replace(SITE, **changes)
    monkeypatch.setitem(recording.SITES, "mimic-iv-ecg", site)
    visit = list(visits(3, "mimic-iv-ecg", number + 1))[number]
    samples = recording.record(visit, 200).samples.astype(int)
    return dict(zip(LEADS, samples, strict=True))


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(
    "changes",
    [
        {"events": EVERY},
        {"high_pass": {0.5: 1.0}, "low_pass": {40: 1.0}, "zero_phase": 0.0, "step": {20.0: 1.0}},
        *({"swaps": {name: 1.0}} for name in SITES["mimic-iv-ecg"].swaps),
    ],
)
def test_einthoven_and_goldberger_hold_in_integers(monkeypatch, number, changes):
    lead = leads_of(monkeypatch, number, **changes)
    assert np.array_equal(lead["III"], lead["II"] - lead["I"])
    for one, twice in (("aVR", -lead["I"] - lead["II"]), ("aVL", 2 * lead["I"] - lead["II"]),
                       ("aVF", 2 * lead["II"] - lead["I"])):  # fmt: skip
        assert np.abs(2 * lead[one] - twice).max() <= 1


def test_arms_exchanged_turn_lead_one_over_and_leave_the_chest(monkeypatch):
    plain, swapped = (leads_of(monkeypatch, 1, swaps={"RA-LA": share}) for share in (0.0, 1.0))
    alike = {x: np.corrcoef(plain[x], swapped[x])[0, 1] for x in ("I", "V2", "V5")}
    assert alike["I"] < -0.8 and alike["V2"] > 0.95 and alike["V5"] > 0.95
    assert np.corrcoef(plain["II"], swapped["III"])[0, 1] > 0.8


def test_a_leg_wire_on_the_right_arm_leaves_lead_two_to_noise(monkeypatch):
    lead = leads_of(monkeypatch, swaps={"RA-RL": 1.0})
    assert lead["II"].std() < 0.3 * lead["I"].std()


@pytest.mark.parametrize("zero_phase", [False, True])
@pytest.mark.parametrize("cut_off", [0.05, 0.15, 0.5])
def test_a_high_pass_has_half_the_power_at_its_frequency_and_takes_the_mean(cut_off, zero_phase):
    device = Device(cut_off, zero_phase, 150, 60, 1, np.ones((8, 1)), np.arange(9))
    seconds = np.arange(1201) * noise.SLOW / noise.RATE
    heart = np.full((3, 1200), 0.7)
    slow = np.tile(np.sin(2 * np.pi * cut_off * seconds), (9, 1))
    heart_low, slow_low = _low_passed(device, heart, slow)
    np.testing.assert_allclose(heart_low, 0.7, atol=1e-9)
    gain = (slow - slow_low)[0, 400:800].std() / slow[0, 400:800].std()
    assert gain == pytest.approx(0.5 if zero_phase else 0.71, abs=0.08)


def test_a_filter_is_the_recursion_it_is_short_for():
    values, kept = np.random.default_rng(0).normal(size=(2, 1200)), np.exp(-np.pi * 0.05)
    level, wanted = values.mean(axis=1), []
    for column in values.T:
        level = kept * level + (1 - kept) * column
        wanted.append(level)
    np.testing.assert_allclose(_first_order(values, 0.5)[:, 1:].T, wanted, atol=1e-9)
