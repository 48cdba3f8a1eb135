"""A recording laid out as on ECG paper: 25 mm/s, 10 mm/mV, and drawn as one SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num
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
ROW_MM = (5, 30)  # least and most paper above and below a baseline; taller traces cross rows
LAST_MM = 100  # most paper below the last baseline, where no row follows but the caption
COLOURS = {
    "sheet": "#fffafa",
    "fine": "#f6d5d5",
    "coarse": "#e6a5a5",
    "ink": "#1b1b1f",
    "note": "#5c4a4a",
    "for": "#0072b2",
    "against": "#d55e00",
}
"""Written out in each drawing: not every program that shows SVG knows style sheets. `for` and
`against` are told apart by colour-blind readers."""
SHADE = 0.55
"""Opacity of the strongest mark."""

Mark = tuple[float, float, float]
"""From and to, in seconds, and between -1 (against) and 1 (for)."""


@dataclass(frozen=True)
class Strip:
    """A lead from `x` mm on: its runs of measured samples, each (point, 2) in units of 0.05 mm from
    (x, baseline), and its marks: x, width in mm, a key of `COLOURS`, opacity."""

    lead: str
    x: float
    runs: list[Int[np.ndarray, "point 2"]]
    marks: list[tuple[float, float, str, float]]

    @property
    def path(self) -> str:
        return "".join(map(_path, self.runs))


@dataclass(frozen=True)
class Row:
    """Strips beside each other, `top` mm from the paper's edge."""

    top: int
    baseline: int
    height: int
    strips: list[Strip]


@dataclass(frozen=True)
class Sheet:
    """A drawing in mm; `caption` are lines below the paper."""

    size: tuple[int, int]
    rows: list[Row]
    title: str
    caption: Sequence[str] = ()

    @property
    def svg(self) -> Markup:
        """A file of its own at its true size where there is a caption, a part of a page if not."""
        return rendered("ecg.svg", sheet=self, colour=COLOURS, units=UNITS_PER_MM)


def picture(
    signals: Mapping[str, Signal], rate: float, title: str, caption: Sequence[str] = ()
) -> Markup:
    """A recording on ECG paper as SVG; see `sheet`."""
    return sheet(signals, rate, title, caption).svg


def sheet(
    signals: Mapping[str, Signal],
    rate: float,
    title: str,
    caption: Sequence[str] = (),
    *,
    seconds: float | None = None,
    marks: Mapping[str, Sequence[Mark]] | None = None,
) -> Sheet:
    """A recording on ECG paper.

    All twelve leads are printed 3 x 4 with a rhythm strip; with marks, or if shorter than the
    paper, and of any other set, each is one strip, in the standard order. Each lead is drawn about
    its own median; nothing is filtered or scaled, and what was not measured stays empty.

    Args:
        signals: microvolt by lead name, all of the same number of samples; NaN was not measured.
        rate: samples a second.
        title: what is said of the picture to someone who cannot see it.
        caption: lines of text below it.
        seconds: of paper; by default as long as the signals are.
        marks: shaded behind each lead's trace.

    Raises:
        ValueError: no leads, or leads of different lengths.
    """
    lengths = {len(signal) for signal in signals.values()}
    if len(lengths) != 1 or not min(lengths):
        raise ValueError(f"a picture needs leads of one length, not lengths {sorted(lengths)}")
    length = lengths.pop() / rate
    seconds = length if seconds is None else seconds
    centred = {lead: _centred(signal) for lead, signal in signals.items()}
    leads = in_standard_order(signals)
    printed = leads == LEADS and marks is None and length > 0.99 * seconds
    rows: list[Row] = []
    top = 0
    layout = TWELVE if printed else [(lead,) for lead in leads]
    for some in layout:
        part = seconds if len(some) == 1 else seconds / 4
        deepest = LAST_MM if some is layout[-1] else ROW_MM[1]
        rows.append(_row(some, centred, rate, part, top, deepest, marks or {}))
        top += rows[-1].height
    size = (CALIBRATION + _up_to_5(seconds * MM_PER_SECOND) + 5, top + 5)
    return Sheet(size, rows, title, caption)


def _centred(signal: Signal) -> Float[np.ndarray, " sample"]:
    values = np.asarray(signal, np.float64)
    measured = values[np.isfinite(values)]
    return values - np.median(measured) if len(measured) else values


def _row(
    leads: Sequence[str],
    signals: Mapping[str, Signal],
    rate: float,
    seconds: float,
    top: int,
    deepest: int,
    marks: Mapping[str, Sequence[Mark]],
) -> Row:
    """Each lead, `seconds` of it, on at most `deepest` mm below the baseline."""
    values = np.concatenate([[0.0], *(signals[lead][np.isfinite(signals[lead])] for lead in leads)])
    highest, lowest = (float(end) / 1000 * MM_PER_MILLIVOLT for end in (values.max(), values.min()))
    least, most = ROW_MM
    above = min(max(_up_to_5(highest + 5), least), most)  # 5 mm for the lead name
    below = min(max(_up_to_5(-lowest), least), deepest)
    count, width = round(seconds * rate), seconds * MM_PER_SECOND
    strips = [
        Strip(
            lead,
            CALIBRATION + k * width,
            _runs(signals[lead][k * count : (k + 1) * count], rate),
            [
                (
                    CALIBRATION + begin * MM_PER_SECOND,
                    (end - begin) * MM_PER_SECOND,
                    "for" if value > 0 else "against",
                    round(SHADE * min(abs(value), 1), 3),
                )
                for begin, end, value in marks.get(lead, ())
            ],
        )
        for k, lead in enumerate(leads)
    ]
    return Row(top, top + above, above + below, strips)


def _up_to_5(mm: float) -> int:
    return 5 * math.ceil(mm / 5 - 1e-9)


def trace(signal: Signal, rate: float) -> str:
    """An SVG path of a signal in microvolt, in units of 0.05 mm, relative and in whole numbers.

    Of each bucket the lowest and the highest sample are drawn, and the first and the last of all;
    of a signal with samples that are not finite, so each run between them.
    """
    return "".join(map(_path, _runs(signal, rate)))


def _runs(signal: Signal, rate: float) -> list[Int[np.ndarray, "point 2"]]:
    values = np.asarray(signal, np.float64)
    edges = np.flatnonzero(np.diff(np.isfinite(values), prepend=False, append=False))
    return [
        _points(values[first:last], first, rate) for first, last in edges.reshape(-1, 2).tolist()
    ]


def _points(values: np.ndarray, offset: int, rate: float) -> Int[np.ndarray, "point 2"]:
    chosen, bucket = {0, len(values) - 1}, max(1, round(BUCKET * rate))
    for start in range(0, len(values), bucket):
        part = values[start : start + bucket]
        chosen |= {start + int(part.argmin()), start + int(part.argmax())}
    places = np.array(sorted(chosen))
    x = np.rint((places + offset) / rate * MM_PER_SECOND * UNITS_PER_MM)
    y = -np.rint(values[places] / 1000 * MM_PER_MILLIVOLT * UNITS_PER_MM)
    return np.stack([x, y], axis=1).astype(np.int64)


def _path(points: Int[np.ndarray, "point 2"]) -> str:
    first, *steps = np.diff(points, axis=0, prepend=0).tolist()
    numbers = " ".join(str(value) for step in steps or [[0, 0]] for value in step)
    # the sign of a number parts it from the one before
    return f"M{first[0]} {first[1]}l{numbers.replace(' -', '-')}"
