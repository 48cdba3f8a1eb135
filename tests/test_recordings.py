"""One's own recordings: every format to the microvolt, every channel named, every fault said."""

import numpy as np
import pytest

from kmerl import recordings
from tests import recordings_written
from tests.recordings_written import RATE, WRITTEN, Leads


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
