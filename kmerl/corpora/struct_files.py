"""CPSC2018 as it was first published: MATLAB files with a struct `ECG` and no header.

`ECG.data` is (12, sample) in millivolt at 500 Hz, rows I, II, III, aVR, aVL, aVF, V1 to V6;
`ECG.sex` and `ECG.age` stand beside it.
"""

from pathlib import Path

import numpy as np

from kmerl.corpora.records import RejectedRecord
from kmerl.corpora.wfdb_files import MICROVOLT, TwelveLeads, size_of
from kmerl.leads import LEADS
from kmerl.signal import to_int16

RATE = 500.0  # Hz; the files do not say
STRUCT, DATA = "ECG", "data"


def find_structs(root: Path) -> list[str]:
    """Every .mat file under `root` without a header beside it: sorted paths relative to it."""
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*.mat")
        if not path.with_suffix(".hea").exists()
    )


def read_struct(path: Path) -> TwelveLeads:
    """The twelve leads of a .mat file; samples that are not finite become `signal.NAN`.

    Raises:
        RejectedRecord: no such file, an empty one, none that holds the struct, or another shape.
    """
    size_of(path)
    data = _data(path)
    if data.shape[0] < len(LEADS):
        raise RejectedRecord("missing_lead", f"{path.name}: {data.shape[0]} rows of {len(LEADS)}")
    if data.shape[0] > len(LEADS):
        raise RejectedRecord("unreadable_signal", f"{path.name}: {STRUCT}.{DATA} is {data.shape}")
    nan = ~np.isfinite(data)
    microvolt = np.round(np.where(nan, 0.0, data) * MICROVOLT["mV"])
    signal, saturated = to_int16(microvolt, nan)
    return TwelveLeads(signal, RATE, saturated, extra_leads=0)


def _data(path: Path) -> np.ndarray:
    """`ECG.data` as float64 (row, sample)."""
    from scipy.io import loadmat  # slow to import, and no other corpus needs it

    try:
        held = loadmat(path, variable_names=[STRUCT, "val"])
    except Exception as error:  # whatever a malformed file makes scipy raise
        raise RejectedRecord(
            "unreadable_signal", f"{path.name}: scipy: {type(error).__name__}"
        ) from None
    if "val" in held and STRUCT not in held:
        raise RejectedRecord("missing_header", f"{path.stem}.hea")
    try:
        values = np.asarray(held[STRUCT][DATA][0, 0])
    except (KeyError, IndexError, TypeError, ValueError):
        raise RejectedRecord("unreadable_signal", f"{path.name}: no {STRUCT}.{DATA}") from None
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise RejectedRecord(
            "unreadable_signal", f"{path.name}: {STRUCT}.{DATA} is no matrix of numbers"
        )
    return values.astype(np.float64)
