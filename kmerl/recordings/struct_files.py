"""CPSC2018 as it was first published: MATLAB files with a struct `ECG` and no header.

`ECG.data` is (12, sample) in millivolt at 500 Hz, rows I, II, III, aVR, aVL, aVF, V1 to V6;
`ECG.sex` and `ECG.age` stand beside it.
"""

from pathlib import Path

import numpy as np

from kmerl.leads import LEADS
from kmerl.recordings import matlab
from kmerl.recordings.headers import MICROVOLT, bytes_of
from kmerl.recordings.rejecting import RejectedRecord
from kmerl.recordings.wfdb_files import Channels
from kmerl.signal import to_int16

RATE = 500.0  # Hz; the files do not say
STRUCT, DATA = "ECG", "data"


def read_struct(path: Path) -> Channels:
    """The twelve leads of a .mat file; samples that are not finite become `signal.NAN`.

    Raises:
        RejectedRecord: no such file, an empty one, none that holds the struct, or another shape.
    """
    if bytes_of(path, "missing_file") > matlab.MOST_BYTES:
        raise RejectedRecord("unreadable_signal", f"{path.name}: above {matlab.MOST_BYTES} bytes")
    data = _data(path)
    if data.shape[0] < len(LEADS):
        raise RejectedRecord("missing_lead", f"{path.name}: {data.shape[0]} rows of {len(LEADS)}")
    if data.shape[0] > len(LEADS):
        raise RejectedRecord("unreadable_signal", f"{path.name}: {STRUCT}.{DATA} is {data.shape}")
    nan = ~np.isfinite(data)
    with np.errstate(over="ignore"):  # beyond any number is beyond int16 too: it saturates
        microvolt = np.round(np.where(nan, 0.0, data) * MICROVOLT["mV"])
    signal, saturated = to_int16(microvolt, nan)
    return Channels(LEADS, signal, RATE, saturated)


def _data(path: Path) -> np.ndarray:
    """`ECG.data` as float64 (row, sample)."""
    content = path.read_bytes()
    if content.startswith(b"\x1e\0\0\0") and content[20:24] == b"val\0":  # level 4, int16
        raise RejectedRecord("missing_header", f"{path.stem}.hea")
    try:
        for variable in matlab.variables(content):
            if variable.name == "val":
                raise RejectedRecord("missing_header", f"{path.stem}.hea")
            if variable.name == STRUCT and (data := matlab.field(variable, DATA)):
                return matlab.numbers(data)
    except matlab.MatlabError as error:
        raise RejectedRecord("unreadable_signal", f"{path.name}: {error}") from None
    raise RejectedRecord("unreadable_signal", f"{path.name}: no {STRUCT}.{DATA}")
