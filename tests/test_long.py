"""Recordings that are too long to be held: part by part they are what they are read whole."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import kmerl
from kmerl import recordings
from kmerl.predict import preparing, timeline
from kmerl.predict.pieces import Bad
from kmerl.recordings import long
from kmerl.signal import NAN
from tests.recordings_written import RATE, WRITTEN, beats
from tests.test_cli import write_wfdb
from tests.test_wfdb_files import write_dat

HELD = 3001  # samples of all signals


def lines(fmt):
    """A header of two signals in one file, with an initial value and a checksum that are wrong."""
    return f"a.dat {fmt} 200.5(3)/mV 12 0 7 99 0 I\na.dat {fmt} 100/uV 12 0 0 0 0 -aVR\n"


def wfdb(folder, fmt="16", size=2):
    rng = np.random.default_rng(0)
    (folder / "a.dat").write_bytes(rng.integers(0, 256, 2 * 3000 * size, np.uint8).tobytes())
    samples = {"80": 6000, "16": 3000, "212": 4000}[fmt.partition("x")[0].partition(":")[0]]
    samples //= 2 if "x" in fmt else 1
    (folder / "a.hea").write_text(f"a 2 500 {samples}\n{lines(fmt)}")
    return folder / "a.hea"


def segments(folder):
    """Two segments with other names and gains, and a gap between them."""
    values = (3000 * np.random.default_rng(0).standard_normal((2, 3000))).astype(np.int16)
    write_dat(folder / "s1", values, names=("II", "I"))
    write_dat(folder / "s2", values[:, :2000], names=("ABP", "I"), gain=50.0)
    (folder / "a.hea").write_text("a/3 2 500 5900\ns1 3000\n~ 900\ns2 2000\n")
    return folder / "a.hea"


CASES = {
    **{title: lambda folder, title=title: WRITTEN[title].write(folder, beats())[0]
       for title in ("WFDB, format 212", "EDF+", "BDF")},
    "format 16": wfdb,
    "format 80": lambda folder: wfdb(folder, "80"),
    "format 212 in frames": lambda folder: wfdb(folder, "212x2"),
    "segments and a gap": segments,
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_part_by_part_is_as_whole(title, tmp_path, monkeypatch):
    path = CASES[title](tmp_path)
    whole = recordings.read(path, derive=True)
    monkeypatch.setattr(long, "HELD", HELD if title != "WFDB, format 212" else 13 * HELD)
    found = recordings.read(path, derive=True)
    assert all(isinstance(lead, long.Long) for lead in found.leads.values())
    for lead, values in whole.leads.items():
        assert len(found.leads[lead]) == len(values)
        np.testing.assert_array_equal(found.leads[lead], values, err_msg=lead)
        for span in (slice(0, 0), slice(99, 101), slice(300, 1900), slice(len(values) - 1, None)):
            np.testing.assert_array_equal(found.leads[lead][span], values[span])
    assert replace(found, leads={}) == replace(whole, leads={})  # doubts, notes, what is left out
    with pytest.raises(ValueError, match="forwards"):
        found.leads["I"][::2]


@pytest.mark.parametrize(("onset", "gap"), [("+5", False), ("+7", True)])
def test_a_gap_of_edf_is_found_wherever_it_is(onset, gap, tmp_path, monkeypatch):
    path, _ = WRITTEN["EDF+"].write(tmp_path, beats())
    content = path.read_bytes().replace(b"EDF+C", b"EDF+D")
    assert content.count(b"+5\x14") == 1
    path.write_bytes(content.replace(b"+5\x14", onset.encode() + b"\x14"))
    for held in (long.HELD, HELD):
        monkeypatch.setattr(long, "HELD", held)
        if gap:
            with pytest.raises(recordings.RecordError, match="interrupted"):
                recordings.read(path)
        else:
            assert recordings.read(path).rate == RATE


def test_windows_of_a_day_are_those_of_the_five_minutes_alone(tmp_path):
    """A day of lead II at 100 Hz, all but five minutes of it without an electrode."""
    rate, noon, minutes = 100, 12 * 3600, 5 * 60
    rng = np.random.default_rng(0)
    ecg = {lead: rng.normal(0, 300, minutes * rate).round() for lead in ("II",)}
    write_wfdb(tmp_path, "part", rate, ecg)
    day = np.full((24 * 3600 * rate, 1), NAN, "<i2")
    day[noon * rate : (noon + minutes) * rate] = np.stack(list(ecg.values()), axis=1)
    day.tofile(tmp_path / "day.dat")
    header = (tmp_path / "part.hea").read_text().replace("part", "day")
    (tmp_path / "day.hea").write_text(header.replace(str(minutes * rate), str(len(day))))
    whole, part = recordings.read(tmp_path / "day"), kmerl.read(tmp_path / "part")
    assert isinstance(whole.leads["II"], long.Long)
    for start in (0.0, 5.0, 289.5):
        here, there = (
            preparing.prepare(one, 500, 5000, start + offset, 10.0)
            for one, offset in ((whole, noon), (part, 0))
        )
        np.testing.assert_array_equal(here.signal, there.signal)
        assert here.notes == there.notes
    with pytest.raises(recordings.RecordError, match="lead II has no measured sample"):
        preparing.prepare(whole, 500, 5000, 60.0, 10.0)


def test_a_timeline_is_empty_where_nothing_was_answered():
    """41 windows of 10 s, one every 5 s, of which two could not be used."""
    recording = kmerl.from_array({"I": beats()["I"].repeat(21)}, rate=RATE, unit="uV")
    cut = preparing.Cut(0.0, 10.0, 5.0)
    starts = [one for one in cut.starts(210.0) if one not in (50.0, 55.0)]
    answers = pd.DataFrame({"start": starts, "a": np.linspace(0, 1, len(starts)), "b": 0.5})
    bad = [Bad("array", start, "array: lead I is off") for start in (50.0, 55.0)]
    drawn = timeline.timeline(recording, answers, bad, ["a", "b"], cut)
    assert (drawn.start, drawn.end, drawn.width) == (0.0, 205.0, 5.0)
    assert drawn.empty == [(50.0, 60.0, "lead I is off")]
    for low, mean, high in drawn.values.values():
        assert np.flatnonzero(np.isnan(mean)).tolist() == [10, 11]
        np.testing.assert_array_equal(low, high)
    assert len(drawn.rates) == 41
    for anonymous, said in ((False, "array, I, times"), (True, "ECG, I, times")):
        found = timeline.figure(recording, drawn, cut, anonymous=anonymous)
        assert [axes.get_xlim() for axes in found.axes] == [(0.0, 205.0)] * 3
        assert found.texts[0].get_text().startswith(said)
