"""A recording drawn as on ECG paper: 25 mm/s, 10 mm/mV, as one SVG."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Num
from markupsafe import Markup

from kmerl.leads import LEADS, in_standard_order
from kmerl.report.writers.html import rendered

Signal = Num[np.ndarray, " sample"]

MM_PER_SECOND = 25
MM_PER_MILLIVOLT = 10
TWELVE = (
    ("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"), ("II",),
)  # fmt: skip
"""The rows of the usual 3 x 4 print, and the rhythm strip under it."""
CALIBRATION = 10  # mm of paper left of the traces, for the 1 mV pulse
UNITS_PER_MM = 20  # whole units of 0.05 mm (5 microvolt) keep the paths short
BUCKET = 0.010  # s; of each 10 ms the lowest and the highest sample are drawn, so no R peak is lost
ROW_MM = (5, 30)  # least and most paper above and below a baseline


def picture(
    signals: Mapping[str, Signal], rate: float, title: str, caption: Sequence[str] = ()
) -> Markup:
    """A recording on ECG paper.

    All twelve leads are printed 3 x 4 with a rhythm strip, any other set one strip a lead, in the
    standard order. Each lead is drawn about its own median; nothing is filtered or scaled.

    Args:
        signals: microvolt by lead name, all of the same number of samples.
        rate: samples a second.
        title: what is said of the picture to someone who cannot see it.
        caption: lines of text below it; with any, the picture is a file of its own at its true size
            in millimetres, without, a part of a page.

    Raises:
        ValueError: no leads, or leads of different lengths.
    """
    lengths = {len(signal) for signal in signals.values()}
    if len(lengths) != 1 or not min(lengths):
        raise ValueError(f"a picture needs leads of one length, not lengths {sorted(lengths)}")
    seconds = lengths.pop() / rate
    centred = {lead: np.nan_to_num(s - np.nanmedian(s)) for lead, s in signals.items()}
    leads = in_standard_order(signals)
    rows, top = [], 0
    for some in TWELVE if leads == LEADS else [(lead,) for lead in leads]:
        rows.append(_row(some, centred, rate, seconds if len(some) == 1 else seconds / 4, top))
        top += rows[-1]["height"]
    size = (CALIBRATION + _up_to_5(seconds * MM_PER_SECOND) + 5, top + 5)
    return rendered(
        "ecg.svg", size=size, rows=rows, title=title, caption=caption, units=UNITS_PER_MM
    )


def _row(
    leads: Sequence[str], signals: Mapping[str, Signal], rate: float, seconds: float, top: int
) -> dict[str, Any]:
    """A row for the template, `top` mm from the paper's edge: each lead, `seconds` of it."""
    highest = max(float(signals[lead].max()) for lead in leads) / 1000 * MM_PER_MILLIVOLT
    lowest = min(float(signals[lead].min()) for lead in leads) / 1000 * MM_PER_MILLIVOLT
    least, most = ROW_MM
    above = min(max(_up_to_5(highest + 5), least), most)  # 5 mm for the lead name
    below = min(max(_up_to_5(-lowest), least), most)
    count, width = round(seconds * rate), seconds * MM_PER_SECOND
    return {
        "top": top,
        "baseline": top + above,
        "height": above + below,
        "leads": [
            (lead, CALIBRATION + k * width, trace(signals[lead][k * count : (k + 1) * count], rate))
            for k, lead in enumerate(leads)
        ],
    }


def _up_to_5(mm: float) -> int:
    return 5 * math.ceil(mm / 5 - 1e-9)


def trace(signal: Signal, rate: float) -> str:
    """An SVG path of a signal in microvolt, in units of 0.05 mm, relative and in whole numbers.

    Of each bucket the lowest and the highest sample are drawn, and the first and the last of all.
    """
    chosen, bucket = {0, len(signal) - 1}, max(1, round(BUCKET * rate))
    for start in range(0, len(signal), bucket):
        part = signal[start : start + bucket]
        chosen |= {start + int(part.argmin()), start + int(part.argmax())}
    places = np.array(sorted(chosen))
    x = np.rint(places / rate * MM_PER_SECOND * UNITS_PER_MM)
    y = -np.rint(np.asarray(signal, float)[places] / 1000 * MM_PER_MILLIVOLT * UNITS_PER_MM)
    first, *steps = np.diff(np.stack([x, y], axis=1), axis=0, prepend=0).astype(int).tolist()
    numbers = " ".join(str(value) for step in steps for value in step)
    # the sign of a number parts it from the one before
    return f"M{first[0]} {first[1]}l{numbers.replace(' -', '-')}"
