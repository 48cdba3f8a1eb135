"""Facts that speak against a recording: damages that they see, and true records that they pass."""

from pathlib import Path

import numpy as np
import pytest

from kmerl.leads import LEADS
from kmerl.recordings import plausible
from kmerl.recordings.headers import read_header
from kmerl.recordings.wfdb_files import read_recording
from kmerl.signal import LIMIT, resample
from kmerl.synthetic import formats
from tests import official_layouts as layouts
from tests.official_layouts import REAL, SAMPLES, real, run, stored
from tests.report_run import heartbeats, lawful

RANDOM = np.random.default_rng(11)


def beats(rate=72.0):
    held = lawful(heartbeats(rate, np.random.default_rng(3)))
    return np.stack([held[lead] for lead in LEADS]).astype(np.int16)


def scaled(factor):
    return lambda x: np.clip(np.round(x * factor), -LIMIT, LIMIT).astype(np.int16)


def swapped(one, two):
    order = list(LEADS)
    order[LEADS.index(one)], order[LEADS.index(two)] = two, one
    return lambda x: formats.rows_of(x, order)


def moved(count):
    """As if the samples began `count` bytes later."""

    def change(x):
        content = formats.interleaved(x)[count:] + bytes(count)
        return np.ascontiguousarray(np.frombuffer(content, "<i2").reshape(-1, 12).T)

    return change


def spoilt(x):
    x[:, 1000:1100] = RANDOM.integers(-LIMIT, LIMIT, (12, 100))
    return x


DAMAGES = {
    "amplitude": (scaled(1000), scaled(0.001), scaled(10)),
    "noise": (
        moved(1),
        np.ndarray.byteswap,
        lambda x: x[:, RANDOM.permutation(SAMPLES)],
        spoilt,
    ),
    "rate": (
        lambda x: resample(x[:, :1250], 125, 500),
        lambda x: resample(np.tile(x, 2), 2000, 500),
    ),
    "einthoven": (swapped("I", "II"), swapped("aVR", "aVL"), swapped("I", "V1"), moved(2)),
}


@pytest.mark.parametrize(
    ("fact", "damage"), [(fact, damage) for fact, all_ in DAMAGES.items() for damage in all_]
)
def test_a_damage_is_seen_by_the_fact_that_is_for_it(fact, damage):
    assert fact in plausible.doubts(LEADS, damage(beats()), 500)


def test_ecgs_of_any_leads_rate_and_length_pass():
    for rate in (45.0, 72.0, 100.0):
        for leads in (LEADS, LEADS[:6], LEADS[6:], ("I", "II"), ("V5",)):
            signal = formats.rows_of(beats(rate), leads)
            assert not plausible.doubts(leads, signal, 500)
            assert not plausible.doubts(leads, signal[:, :1000], 500)
            assert not plausible.doubts(leads, signal[:, ::5], 100)
    for samples in range(4):
        plausible.doubts(LEADS, beats()[:, :samples], 500)
    assert "amplitude" in plausible.doubts(LEADS, beats() * 0, 500)


def test_facts_are_counted_and_reject_where_that_is_asked(tmp_path):
    """Leads I and II of record 1 have each other's names, 2 has another first sample, 3 no gain."""
    root = tmp_path / "ptb-xl"
    layouts.ptbxl(root, 4)
    for number in range(1, 5):
        layouts.write_dat(root / f"records500/00000/{number:05d}_hr", beats())
    name = "records500/00000/{:05d}_hr.hea"
    for number, old, new in ((1, " 0 I\n", " 0 x\n"), (1, " 0 II\n", " 0 I\n"),
                             (1, " 0 x\n", " 0 II\n"), (3, "1000.0(0)/mV", "0"),
                             (2, f"16 0 {beats()[0, 0]} ", "16 0 77 ")):  # fmt: skip
        path = root / name.format(number)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
    counts, rejected = run("ptb-xl", root, tmp_path)
    found = {k: v for k, v in counts.items() if k.startswith("implausible")}
    assert found == {f"implausible_{k}": 1 for k in ("checksum", "einthoven", "uncalibrated")}
    assert not rejected
    some = ("einthoven", "checksum")
    counts, rejected = run("ptb-xl", root, tmp_path, implausible=some)
    assert set(stored(tmp_path)) == {"3", "4"}
    assert rejected["1"][0] == rejected["2"][0] == "implausible"
    assert rejected["1"][1].startswith("einthoven: ")
    assert rejected["2"][1].startswith("checksum: I")
    assert (counts["rejected_implausible"], counts["implausible_uncalibrated"]) == (2, 1)


@real
def test_few_real_recordings_are_doubted():
    """Every ninth of PTB-XL; docs/log.md has all of them."""
    headers = sorted(Path(REAL, "ptb-xl").rglob("*.hea"))[::9]
    found = []
    for path in headers:
        recording = read_recording(path, read_header(path))
        assert not recording.doubts
        found += plausible.doubts(LEADS, recording.signal, 500)
    assert len(found) <= 0.01 * len(headers)
