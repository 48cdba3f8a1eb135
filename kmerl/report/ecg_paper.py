"""A recording drawn as on ECG paper: 25 mm/s, 10 mm/mV, as one SVG."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Num
from markupsafe import Markup

from kmerl.leads import LEADS, in_standard_order
from kmerl.report.writers.html import rendered

Signal = Num[np.ndarray, " sample"]

MM_PER_SECOND = 25
MM_PER_MILLIVOLT = 10
COLUMNS = (("I", "II", "III"), ("aVR", "aVL", "aVF"), ("V1", "V2", "V3"), ("V4", "V5", "V6"))
RHYTHM = "II"
"""The strip under the twelve leads of the usual 3 x 4 print."""

CALIBRATION = 10.0  # mm of paper left of the traces, for the 1 mV pulse
UNITS_PER_MM = 20  # whole units of 0.05 mm (5 microvolt) keep the paths short
BUCKET = 0.010  # s; of each 10 ms the lowest and the highest sample are drawn, so no R peak is lost
LINE_MM = 5.0  # between lines of text below a picture
ROW_MM = (5.0, 30.0)  # least and most paper above and below a baseline

STYLE = """
.ecg{--sheet:#fffafa;--fine:#f6d5d5;--coarse:#e6a5a5;--ink:#1b1b1f;--note:#5c4a4a}
.ecg .sheet{fill:var(--sheet)}
.ecg .fine{fill:none;stroke:var(--fine);stroke-width:.1}
.ecg .coarse{fill:none;stroke:var(--coarse);stroke-width:.18}
.ecg .trace{fill:none;stroke:var(--ink);stroke-width:.3;stroke-linejoin:round;stroke-linecap:round}
.ecg text{font:600 3.1px system-ui,sans-serif;fill:var(--ink)}
.ecg .line{font-weight:400;font-size:3.4px}
.ecg .note{font-weight:400;font-size:2.7px;fill:var(--note)}
"""
"""For the page and for a picture of its own; the page's dark theme changes the five variables."""


def picture(signals: Mapping[str, Signal], rate: float, title: str) -> Markup:
    """A recording on ECG paper.

    All twelve leads are printed 3 x 4 with a rhythm strip, any other set one strip a lead, in the
    standard order. Each lead is drawn about its own median; nothing is filtered or scaled.

    Args:
        signals: microvolt by lead name, all of the same number of samples.
        rate: samples a second.
        title: what is said of the picture to someone who cannot see it.

    Raises:
        ValueError: no leads, or leads of different lengths.
    """
    lengths = {len(signal) for signal in signals.values()}
    if len(lengths) != 1 or not min(lengths):
        raise ValueError(f"a picture needs leads of one length, not lengths {sorted(lengths)}")
    seconds = lengths.pop() / rate
    centred = {lead: np.nan_to_num(s - np.nanmedian(s)) for lead, s in signals.items()}
    rows, top = [], 0.0
    for leads in _beside(in_standard_order(signals)):
        rows.append(_row(leads, centred, rate, seconds if len(leads) == 1 else seconds / 4, top))
        top += rows[-1]["height"]
    width = CALIBRATION + _up_to_5(seconds * MM_PER_SECOND) + 5
    return rendered("ecg.svg", size=(width, top + 5), rows=rows, title=title, units=UNITS_PER_MM)


def standalone(svg: Markup, caption: Sequence[str] = ()) -> str:
    """The picture as a file of its own at its true size in millimetres, lines of text below it."""
    opened, drawing = str(svg).split(">", 1)
    width, height = (float(part) for part in opened.split('viewBox="0 0 ')[1].split('"')[0].split())
    below = height + LINE_MM * len(caption) + (2 if caption else 0)
    lines = Markup("").join(
        Markup('<text class="line" x="2" y="{:g}">{}</text>').format(height + LINE_MM * k, line)
        for k, line in enumerate(caption, start=1)
    )
    size = f'width="{width:g}mm" height="{below:g}mm" viewBox="0 0 {width:g} {below:g}"'
    opened = opened.replace(f'viewBox="0 0 {width:g} {height:g}"', size)
    opened = opened.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    ground = f'<rect fill="#fff" width="{width:g}" height="{below:g}"/>'
    body = drawing.removesuffix("</svg>")
    return f"{opened}><style>{STYLE}</style>{ground}{body}{lines}</svg>\n"


def _beside(leads: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The leads of each row."""
    if leads != LEADS:
        return [(lead,) for lead in leads]
    return [*zip(*COLUMNS, strict=True), (RHYTHM,)]


def _row(
    leads: tuple[str, ...], signals: Mapping[str, Signal], rate: float, seconds: float, top: float
) -> dict[str, Any]:
    """A row for the template, `top` mm from the paper's edge: each lead, `seconds` of it."""
    highest, lowest = (
        float(extreme([extreme(signals[lead]) for lead in leads])) / 1000 * MM_PER_MILLIVOLT
        for extreme in (np.max, np.min)
    )
    least, most = ROW_MM
    above = min(max(_up_to_5(highest + 5), least), most)  # 5 mm for the lead name
    below = min(max(_up_to_5(-lowest), least), most)
    count = round(seconds * rate)
    parts = [signals[lead][k * count : (k + 1) * count] for k, lead in enumerate(leads)]
    return {
        "top": top,
        "baseline": top + above,
        "height": above + below,
        "leads": [
            (lead, CALIBRATION + k * seconds * MM_PER_SECOND, trace(part, rate))
            for k, (lead, part) in enumerate(zip(leads, parts, strict=True))
        ],
    }


def _up_to_5(mm: float) -> float:
    return 5.0 * float(np.ceil(mm / 5 - 1e-9))


def trace(signal: Signal, rate: float) -> str:
    """An SVG path of a signal in microvolt, in units of 0.05 mm, relative and in whole numbers."""
    chosen = extremes(signal, max(1, round(BUCKET * rate)))
    x = np.rint(chosen / rate * MM_PER_SECOND * UNITS_PER_MM).astype(int)
    y = -np.rint(np.asarray(signal, float)[chosen] / 1000 * MM_PER_MILLIVOLT * UNITS_PER_MM).astype(
        int
    )
    steps = zip(np.diff(x).tolist(), np.diff(y).tolist(), strict=True)
    return f"M{x[0]} {y[0]}l" + _joined(value for step in steps for value in step)


def extremes(signal: Signal, bucket: int) -> Int[np.ndarray, " kept"]:
    """Positions of the lowest and the highest sample of each run of `bucket`, in time order."""
    starts = np.arange(0, len(signal), bucket)
    chosen = [
        position
        for start in starts
        for position in (
            start + int(np.argmin(signal[start : start + bucket])),
            start + int(np.argmax(signal[start : start + bucket])),
        )
    ]
    return np.unique(np.array([0, *chosen, len(signal) - 1], dtype=np.intp))


def _joined(values: Iterable[int]) -> str:
    """Numbers with a space only where the sign does not already part them."""
    return " ".join(map(str, values)).replace(" -", "-")
