"""A recording drawn as on ECG paper: 25 mm/s, 10 mm/mV, as one SVG."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Num
from markupsafe import Markup, escape

from kmerl.leads import LEADS, in_standard_order

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


@dataclass(frozen=True)
class _Row:
    leads: tuple[str, ...]  # side by side
    seconds: float  # of each lead
    above: float  # mm from the baseline to the top of the row
    below: float


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
    rows = _rows(centred, seconds)
    width = CALIBRATION + _up_to_5(seconds * MM_PER_SECOND) + 5
    height = sum(row.above + row.below for row in rows) + 5
    traces, top = Markup(""), 0.0
    for row in rows:
        top += row.above
        traces += _drawn(row, centred, rate, top)
        top += row.below
    note = Markup('<text class="note" x="{}" y="{}" text-anchor="end">{}</text>').format(
        f"{width - 2:g}", f"{height - 1.6:g}", "25 mm/s, 10 mm/mV"
    )
    return Markup(
        '<svg class="ecg" viewBox="0 0 {0} {1}" role="img" aria-label="{2}">{3}{4}{5}</svg>'
    ).format(f"{width:g}", f"{height:g}", title, _sheet(width, height), traces, note)


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


def _rows(signals: Mapping[str, Signal], seconds: float) -> list[_Row]:
    leads = in_standard_order(signals)
    if leads != LEADS:
        return [_row((lead,), seconds, signals) for lead in leads]
    across = list(zip(*COLUMNS, strict=True))
    rows = [_row(names, seconds / len(COLUMNS), signals) for names in across]
    return [*rows, _row((RHYTHM,), seconds, signals)]


def _row(leads: tuple[str, ...], seconds: float, signals: Mapping[str, Signal]) -> _Row:
    top = max(float(signals[lead].max()) for lead in leads) / 1000 * MM_PER_MILLIVOLT
    bottom = min(float(signals[lead].min()) for lead in leads) / 1000 * MM_PER_MILLIVOLT
    least, most = ROW_MM
    above = min(max(_up_to_5(top + 5), least), most)  # 5 mm for the lead name
    return _Row(leads, seconds, above, min(max(_up_to_5(-bottom), least), most))


def _up_to_5(mm: float) -> float:
    return 5.0 * float(np.ceil(mm / 5 - 1e-9))


def _sheet(width: float, height: float) -> Markup:
    """The paper: a fine line each millimetre, a coarse one each 5 mm (0.2 s, 0.5 mV)."""

    def lines(step: int) -> str:
        down = "".join(f"M{x} 0V{height:g}" for x in range(0, int(width) + 1, step))
        return down + "".join(f"M0 {y}H{width:g}" for y in range(0, int(height) + 1, step))

    return Markup(
        '<rect class="sheet" width="{}" height="{}"/>'
        '<path class="fine" d="{}"/><path class="coarse" d="{}"/>'
    ).format(f"{width:g}", f"{height:g}", lines(1), lines(5))


def _drawn(row: _Row, signals: Mapping[str, Signal], rate: float, baseline: float) -> Markup:
    """One row: the 1 mV pulse, then each lead with its name at its start."""
    pulse = f"M2.5 {baseline:g}h2.5v-{MM_PER_MILLIVOLT}h5v{MM_PER_MILLIVOLT}"
    parts = [Markup('<path class="trace" d="{}"/>').format(pulse)]
    count = round(row.seconds * rate)
    for column, lead in enumerate(row.leads):
        x = CALIBRATION + column * row.seconds * MM_PER_SECOND
        piece = signals[lead][column * count : (column + 1) * count]
        name = Markup('<text x="{:.2f}" y="{:.2f}">{}</text>').format(
            x + 1, baseline - row.above + 4, escape(lead)
        )
        path = Markup('<path class="trace" transform="translate({:g} {:g}) scale({:g})" ').format(
            x, baseline, 1 / UNITS_PER_MM
        )
        width = Markup('style="stroke-width:{:g}" d="{}"/>').format(
            0.3 * UNITS_PER_MM, trace(piece, rate)
        )
        parts += [path + width, name]
        if column:  # where one lead ends and the next begins
            parts.append(_divider(x, baseline))
    return Markup("").join(parts)


def _divider(x: float, baseline: float) -> Markup:
    return Markup('<path class="trace" d="M{0:g} {1:g}v1.5m0 3v1.5"/>').format(x, baseline - 3)


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
