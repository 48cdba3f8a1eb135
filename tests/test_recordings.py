"""One's own recordings: every format to the microvolt, every channel named, every fault said."""

import sys
from pathlib import Path

import numpy as np
import pytest

from kmerl import recordings
from kmerl.files import read_yaml
from kmerl.leads import LEADS
from kmerl.recordings import names
from tests import recordings_odd, recordings_written
from tests.recordings_odd import ODD
from tests.recordings_written import RATE, WRITTEN, Leads

NAMES = read_yaml(Path("tests/cases/device_names.yaml"))
DOCS = Path("docs/recordings.md").read_text(encoding="utf-8").splitlines()
NOON = "2024-01-31 12:00:00"
ABOUT = {  # date, id, age and sex
    "WFDB, format 212": ("", "a", None, ""),
    "DICOM, 12-lead": (NOON, "p7", 61, "female"),
    "HL7 aECG": (NOON, "s1", 64, "male"),
    "GE MUSE XML": (NOON, "p7", 61, "female"),
    "Philips Sierra XML 1.04, XLI": (NOON, "p7", 61, "female"),
    "SCP-ECG, Huffman": (NOON, "p7", 61, "female"),
    "CSV: Apple Watch": (f"{NOON}+01:00", "", None, ""),
}


@pytest.fixture(scope="module")
def beats() -> Leads:
    return recordings_written.beats()


@pytest.mark.parametrize("title", WRITTEN)
def test_every_format_is_read_to_the_microvolt(title, beats, tmp_path):
    case = WRITTEN[title]
    path, held = case.write(tmp_path, beats)
    other = path.rename(tmp_path / "renamed.bin") if path.suffix != ".hea" else path
    found = recordings.read(other, **case.told)  # by content, whatever it is called
    assert found.rate == RATE
    assert set(found.leads) == set(held)
    for lead, values in held.items():
        np.testing.assert_array_equal(found.leads[lead], values, err_msg=lead)
    assert tuple(found.left_out) == case.out
    assert found.notes == case.notes
    assert title.split(",")[0].split(":")[0].split()[0] in (
        "tabs",
        "BDF",
        *found.kind.split(),
        "EDF+",
    )


@pytest.mark.parametrize("title", ODD)
def test_what_is_odd_is_said(title, beats, tmp_path):
    odd = ODD[title]
    said = recordings_odd.said(odd.write(tmp_path, beats), odd.told)
    assert odd.says in said
    assert recordings_odd.row(title, said, tmp_path) in DOCS  # one line each


@pytest.mark.parametrize(
    ("title", "library"), [("EDF+", "edfio"), ("DICOM, 12-lead", "pydicom"), ("HL7 aECG", "lxml")]
)
def test_a_library_that_is_missing_is_named_with_its_extra(
    title, library, beats, tmp_path, monkeypatch
):
    path, _ = WRITTEN[title].write(tmp_path, beats)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        recordings.RecordError, match=rf"needs {library}; pip install .kmerl\[formats"
    ):
        recordings.read(path)
    assert library in {name for kind in recordings.kinds() for name in kind.libraries}


def test_a_real_recording_of_a_device_is_read_as_its_library_reads_it():
    """A 12-lead ECG that pydicom brings."""
    from pydicom import dcmread
    from pydicom.data import get_testdata_file

    path = get_testdata_file("waveform_ecg.dcm", download=False)
    found = recordings.read(path)
    assert tuple(found.leads) == LEADS
    expected = np.round(dcmread(path).waveform_array(0).T)
    np.testing.assert_array_equal(list(found.leads.values()), expected)
    (median,) = found.left_out
    assert median.startswith("MEDIAN BEAT (Lead I (Einthoven), Lead II")


@pytest.mark.parametrize(("name", "lead"), NAMES.items(), ids=NAMES)
def test_names_as_devices_write_them(name, lead):
    found = names.named(name)
    read = found and f"{'-' * (found.sign < 0)}{found.lead}{'*' * bool(found.note)}"
    assert (read or "") == lead
