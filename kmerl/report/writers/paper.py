"""A sheet of ECG paper, or any figure, as the file that its suffix names: SVG, PNG or PDF."""

import warnings
from pathlib import Path
from typing import Any

from kmerl.files import atomic, write_text
from kmerl.report.ecg_paper import CALIBRATION, COLOURS, MM_PER_MILLIVOLT, UNITS_PER_MM, Sheet
from kmerl.report.writers.html import plain

SUFFIXES = (".svg", ".png", ".pdf")
DOTS = 200  # an inch, of PNG
POINT = 72 / 25.4  # a mm in points
UNDATED: dict[str, dict[str, None]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None, "ModDate": None},
    ".png": {},
}


def check(path: Path) -> None:
    """
    Raises:
        ValueError: the file's suffix names no format of a picture.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: pictures are {', '.join(SUFFIXES)} files")


def write(path: Path, sheet: Sheet) -> None:
    """The sheet in its true size, the same bytes for the same sheet; text that the fonts of PNG and
    PDF do not hold is boxes there."""
    check(path)
    if path.suffix.lower() == ".svg":
        write_text(path, f"{sheet.svg}\n")
    else:
        save(path, _figure(sheet))


def save(path: Path, figure: Any) -> None:
    """A figure of matplotlib, without a date."""
    check(path)
    import matplotlib

    kind = path.suffix.lower()
    with (
        warnings.catch_warnings(),
        atomic(path) as partial,
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kmerl"}),
    ):
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(partial, format=kind[1:], dpi=DOTS, metadata=UNDATED[kind])


def _figure(sheet: Sheet) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    width, paper = sheet.size
    height = paper + 5 * len(sheet.caption) + 2
    figure = Figure(figsize=(width / 25.4, height / 25.4), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.add_patch(Rectangle((0, 0), width, paper, color=COLOURS["sheet"], linewidth=0))
    for step, name, line in ((1, "fine", 0.1), (5, "coarse", 0.18)):
        look: dict[str, Any] = {"colors": COLOURS[name], "linewidth": line * POINT}
        axes.vlines(range(0, width + 1, step), 0, paper, **look)
        axes.hlines(range(0, paper + 1, step), 0, width, **look)
    ink: dict[str, Any] = {
        "color": COLOURS["ink"], "linewidth": 0.3 * POINT, "solid_joinstyle": "round",
        "solid_capstyle": "round",
    }  # fmt: skip
    for row in sheet.rows:
        for strip in row.strips:
            for x, wide, which, opacity in strip.marks:
                corner = (x, row.top + 0.5)
                shade: dict[str, Any] = {"color": COLOURS[which], "alpha": opacity, "linewidth": 0}
                axes.add_patch(Rectangle(corner, wide, row.height - 1, zorder=2, **shade))
        pulse = row.baseline - MM_PER_MILLIVOLT
        ends = [row.baseline, row.baseline, pulse, pulse, row.baseline]
        axes.plot([2.5, 5, 5, CALIBRATION, CALIBRATION], ends, **ink)
        for place, strip in enumerate(row.strips):
            for run in strip.runs:
                x, y = run.T / UNITS_PER_MM
                axes.plot(strip.x + x, row.baseline + y, **ink)
            _text(axes, strip.x + 1, row.top + 4, strip.lead, 3.1, weight="bold")
            for above in (-3, 1.5) if place else ():
                axes.plot([strip.x] * 2, [row.baseline + above, row.baseline + above + 1.5], **ink)
    words = f"25 mm/s, {MM_PER_MILLIVOLT} mm/mV"
    _text(axes, width - 2, paper - 1.6, words, 2.7, ha="right", color=COLOURS["note"])
    for number, words in enumerate(sheet.caption, 1):
        _text(axes, 2, paper + 5 * number, words, 3.4)
    return figure


def _text(axes: Any, x: float, y: float, words: str, size: float, **look: Any) -> None:
    look = {"color": COLOURS["ink"], "fontsize": size * POINT} | look
    axes.text(x, y, plain(words), va="baseline", parse_math=False, **look)
