"""What a header may claim, and that ingest and `kmerl predict` believe it alike."""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl import recordings
from kmerl.files import read_yaml
from kmerl.leads import LEADS
from kmerl.recordings.headers import read_header
from kmerl.recordings.rejecting import RejectedRecord
from kmerl.recordings.wfdb_files import read_recording
from kmerl.signal import LIMIT, NAN
from kmerl.synthetic import formats
from tests.official_layouts import signal, wfdb

CASES = read_yaml(Path("tests/cases/headers.yaml"))
DIGITAL = signal(1, 500) // 8


def write(root: Path, digital=DIGITAL, names=LEADS, encoding="16 1000(0)/mV") -> Path:
    told = {"suffix": "dat", "encoding": encoding, "rate": 500}
    (root / "h.hea").write_bytes(formats.header("h", names, digital, **told))
    (root / "h.dat").write_bytes(formats.interleaved(digital))
    return root / "h.hea"


def change(path: Path, old: str, new: str, encoding: str = "utf-8") -> None:
    text = path.read_text()
    assert old in text
    path.write_bytes(text.replace(old, new).encode(encoding))


def both(path: Path) -> np.ndarray:
    """The same microvolts through both ways in."""
    recording = read_recording(path, read_header(path))
    leads = recordings.read(path).leads
    np.testing.assert_array_equal(recording.signal, np.stack([leads[lead] for lead in LEADS]))
    return recording.signal


@pytest.mark.parametrize(("old", "new", "reason", "detail"), CASES.values(), ids=CASES)
def test_a_claim_out_of_bounds_is_a_rejection_both_ways(tmp_path, old, new, reason, detail):
    path = write(tmp_path)
    change(path, old, re.sub(r"\{(.)\*(\d+)\}", lambda m: m[1] * int(m[2]), new))
    with pytest.raises(RejectedRecord) as rejected:
        read_recording(path, read_header(path))
    assert rejected.value.reason == reason
    assert detail in rejected.value.detail
    with pytest.raises(recordings.RecordError, match=re.escape(detail)):
        recordings.read(path)


@pytest.mark.parametrize(
    ("old", "new", "encoding", "factor"),
    [
        ("1000(0)/mV", "1000/mv", "utf-8", 1),  # PTB-XL as the Challenge has it
        ("1000(0)/mV", "1/\u00b5V", "utf-8", 1),
        ("1000(0)/mV", "1/\u03bcV", "utf-8", 1),
        ("1000(0)/mV", "1/\u00b5V", "latin-1", 1),
        ("1000(0)/mV", "1/uV", "utf-8", 1),
        ("1000(0)/mV", "1000000/V", "utf-8", 1),
        ("1000(0)/mV", "0", "utf-8", 5),  # WFDB's gain of 200 where the header has none
        ("1000(0)/mV", "-500", "utf-8", -2),
        ("h 12", "h.mat 12", "utf-8", 1),  # the record lines of the Georgia corpus
    ],
)
def test_units_gains_and_record_lines_of_other_hands(tmp_path, old, new, encoding, factor):
    path = write(tmp_path)
    change(path, old, new, encoding)
    np.testing.assert_array_equal(both(path), DIGITAL * factor)
    doubts = read_recording(path, read_header(path)).doubts
    assert list(doubts) == (["uncalibrated"] if new == "0" else [])


@pytest.mark.parametrize("fmt", ["80", "16", "24", "32", "212", "508", "516", "524"])
def test_microvolts_of_every_format_are_those_of_our_header(tmp_path, fmt):
    """wfdb decodes; unit and gain are ours, wfdb would read volts."""
    limit = 100 if fmt in ("80", "508") else 2000
    digital = np.clip(signal(2, 501)[4:], -limit, limit)
    with warnings.catch_warnings():  # wfdb 4.3 calls what pandas 3 deprecates
        warnings.simplefilter("ignore")
        wfdb.wrsamp(
            "h", 500, ["mV"] * 8, list(LEADS[4:]), d_signal=digital.T.astype(np.int64),
            fmt=[fmt] * 8, adc_gain=[4.0] * 8, baseline=[-7] * 8, write_dir=str(tmp_path),
        )  # fmt: skip
    path = tmp_path / "h.hea"
    change(path, "4.0(-7)/mV", "4(-7)/\u00b5V")
    found = recordings.read(path)
    leads = np.stack([found.leads[lead] for lead in LEADS[4:]])
    np.testing.assert_array_equal(leads, np.round((digital + 7) / 4))
    assert not found.doubts
    (tmp_path / "h.dat").write_bytes((tmp_path / "h.dat").read_bytes()[:99])
    with pytest.raises(recordings.RecordError):
        recordings.read(path)


@pytest.mark.parametrize("encoding", ["61 4/uV", "160 4/uV", "8 4/uV"])
def test_formats_that_nobody_writes_any_more(tmp_path, encoding):
    path = write(tmp_path, encoding=encoding)
    values = {
        "61": DIGITAL.T.astype(">i2"),
        "160": (DIGITAL.T.astype(np.int32) + 32768).astype("<u2"),
        "8": np.diff(DIGITAL.T, axis=0, prepend=DIGITAL[:, :1].T).astype(np.int8),
    }[encoding.split()[0]]
    (tmp_path / "h.dat").write_bytes(np.ascontiguousarray(values).tobytes())
    np.testing.assert_array_equal(both(path), np.round(DIGITAL / 4))


def test_a_step_too_large_for_int64_is_clipped_as_wfdb_does(tmp_path):
    path = write(tmp_path, encoding="16 1e-6(-2000000000)/V")
    assert (both(path) == LIMIT).all()


def test_a_sparse_file_without_a_length_costs_nothing(tmp_path):
    path = write(tmp_path)
    change(path, " 500 500", " 500")
    os.truncate(tmp_path / "h.dat", 40 * 10**9)
    with pytest.raises(RejectedRecord, match=r"wrong_length.*at most 67108864 in all"):
        read_recording(path, read_header(path))


def test_checksums_and_first_samples_are_verified(tmp_path):
    path = write(tmp_path)
    content = bytearray((tmp_path / "h.dat").read_bytes())
    content[12 * 2 * 7] ^= 1
    (tmp_path / "h.dat").write_bytes(content)
    assert read_recording(path, read_header(path)).doubts == {"checksum": "I"}
    write(tmp_path)
    first = int(DIGITAL[2, 0])
    change(path, f"16 0 {first} ", f"16 0 {first + 1} ")
    assert "III" in read_recording(path, read_header(path)).doubts["checksum"].split()
    path.write_text(re.sub(r"16 0 \S+ \S+ 0", "16 0 0 0 0", path.read_text()))
    assert not read_recording(path, read_header(path)).doubts  # of a writer who counts nothing


def test_segments_have_their_own_leads_units_and_gains(tmp_path):
    for name, lines in {
        "a": ["a.dat 16 1000/mV 16 0 0 0 0 I", "a.dat 16 1/uV 16 0 0 0 0 II"],
        "b": ["b.dat 16 1/uV 16 0 0 0 0 II", "b.dat 16 1/uV 16 0 0 0 0 RESP"],
    }.items():
        (tmp_path / f"{name}.hea").write_text("\n".join([f"{name} 2 500 100", *lines]))
        (tmp_path / f"{name}.dat").write_bytes(formats.interleaved(DIGITAL[:2, :100]))
    (tmp_path / "m.hea").write_text("m/3 2 500 250\na 100\n~ 50\nb 100\n")
    leads = recordings.read(tmp_path / "m").leads
    gap = np.full(50, NAN)
    for lead, parts in {"I": [DIGITAL[0, :100], gap, [NAN] * 100],
                        "II": [DIGITAL[1, :100], gap, DIGITAL[0, :100]]}.items():  # fmt: skip
        np.testing.assert_array_equal(leads[lead], np.concatenate(parts))
    (tmp_path / "m.hea").write_text("m/1 2 500 250\nm 250\n")
    with pytest.raises(recordings.RecordError, match="segments of segments"):
        recordings.read(tmp_path / "m")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_a_header_says_it_is_read_or_refused(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("h")
    path = write(root)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.sampled_from([b"", b"9" * 30, b"-", b"1e309", b"\xff", b"\n", b"/"]))
        content[where : where + data.draw(st.integers(0, 3))] = piece
    path.write_bytes(content)
    try:
        found = read_recording(path, read_header(path))
    except RejectedRecord:
        return
    assert found.signal.shape[0] == 12
