"""WFDB files as microvolts: the same bits as wfdb, leads by name."""

import warnings

import numpy as np
import pytest

from kmerl.leads import LEADS, ORDERS
from kmerl.recordings.headers import read_header
from kmerl.recordings.wfdb_files import read_recording
from kmerl.signal import NAN
from tests.official_layouts import UPPER, signal, through_wfdb, wfdb


def write_dat(path, digital, *, names=UPPER, gain=1000.0, baseline=0, unit="mV", fmt="16"):
    """A record through wfdb's own writer."""
    count = len(names)
    with warnings.catch_warnings():  # wfdb 4.3 calls what pandas 3 deprecates
        warnings.simplefilter("ignore")
        wfdb.wrsamp(
            path.name,
            500,
            [unit] * count,
            list(names),
            d_signal=digital.T.astype(np.int64),
            fmt=[fmt] * count,
            adc_gain=[gain] * count,
            baseline=[baseline] * count,
            write_dir=str(path.parent),
        )


@pytest.mark.parametrize(
    ("gain", "baseline", "fmt"),
    [
        (1000, 0, "16"),
        (200, 0, "16"),
        (200, -37, "16"),
        (204.8, 11, "16"),
        (1000, 5, "16"),
        (500, 3, "212"),
        (1000, 0, "32"),
    ],
)
def test_microvolts_equal_wfdb_bit_for_bit(tmp_path, gain, baseline, fmt):
    limit = 2000 if fmt == "212" else 6000
    digital = np.clip(signal(1), -limit, limit)
    write_dat(tmp_path / "a", digital, gain=gain, baseline=baseline, fmt=fmt)
    path = tmp_path / "a.hea"
    recording = read_recording(path, read_header(path))
    np.testing.assert_array_equal(recording.signal, through_wfdb(path))
    assert recording.rate == 500


def test_nan_units_and_saturation(tmp_path):
    digital = signal(2)
    digital[3, 10:20], digital[4, 7] = NAN, 9000
    write_dat(tmp_path / "a", digital, gain=200.0)
    recording = read_recording(tmp_path / "a.hea", read_header(tmp_path / "a.hea"))
    np.testing.assert_array_equal(recording.signal[3, 8:22] == NAN, [0] * 2 + [1] * 10 + [0] * 2)
    assert recording.signal[4, 7] == 32767  # 45 mV
    assert recording.saturated == (np.abs(digital * 5.0) > 32767).sum() - 10
    write_dat(tmp_path / "b", digital, gain=1.0, unit="uV")
    recording = read_recording(tmp_path / "b.hea", read_header(tmp_path / "b.hea"))
    np.testing.assert_array_equal(recording.signal, digital)


def test_leads_go_by_name_and_strangers_are_left_out(tmp_path):
    names = [*ORDERS["mimic"], "Resp"]
    digital = np.concatenate([signal(3), signal(4)[:1]])
    write_dat(tmp_path / "a", digital, names=names)
    recording = read_recording(tmp_path / "a.hea", read_header(tmp_path / "a.hea"))
    np.testing.assert_array_equal(recording.signal[LEADS.index("aVL")], digital[5])
    np.testing.assert_array_equal(recording.signal[LEADS.index("aVF")], digital[4])
    assert recording.left_out == ("Resp",)
