"""Charts for a manuscript by matplotlib: SVG and PDF, the same bytes for the same numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from kmerl.files import atomic
from kmerl.report.charts import Chart, Series

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8a6d00", "#000000")
"""Okabe and Ito's, told apart by colour-blind readers; its yellow is darker here."""
MARKERS = "osD^vPX"
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "kmerl",
    "pdf.fonttype": 42,
}
PANEL, CAPTION = (3.3, 2.6), 0.85
UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None, "ModDate": None}}


def write(charts: Sequence[Chart], caption: str, folder: Path, stem: str) -> list[Path]:
    """The charts beside each other, `caption` above them, as <stem>.svg and <stem>.pdf below
    `folder`; nothing where there is no chart."""
    if not charts:
        return []
    written = []
    with matplotlib.rc_context(SETTINGS):
        figure = _figure(charts, caption)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, for both files
        for suffix, metadata in UNDATED.items():
            path = folder / f"{stem}.{suffix}"
            with atomic(path) as partial:
                figure.savefig(partial, format=suffix, metadata=metadata)
            written.append(path)
    return written


def _figure(charts: Sequence[Chart], caption: str) -> Figure:
    """Two charts a row, and the legend of all below them."""
    across = min(2, len(charts))
    down = -(-len(charts) // across)
    size = (PANEL[0] * across, PANEL[1] * down + CAPTION)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes, chart in zip(grid.flat, charts, strict=False):
        _draw(axes, chart)
    for axes in grid.flat[len(charts) :]:
        axes.set_axis_off()
    handles = {
        label: handle
        for axes in grid.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    columns = min(3, len(handles)) if across == 2 else 1
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns)
    figure.suptitle(caption, fontsize=7, wrap=True)
    return figure


def _draw(axes: Any, chart: Chart) -> None:
    axes.set_title(chart.title, fontsize=8)
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    axes.set_xticks(list(chart.x_ticks))
    if chart.x_words:
        slanted = {"rotation": 25, "ha": "right"} if len(chart.x_words) > 3 else {}
        axes.set_xticklabels([_literal(word) for word in chart.x_words], **slanted)
        axes.grid(visible=False, axis="x")
    for series in chart.drawn:
        _curve(axes, series)


def _curve(axes: Any, series: Series) -> None:
    style = series.style % len(COLOURS)
    axes.plot(
        [point.x for point in series.points],
        [point.y for point in series.points],
        color=COLOURS[style],
        marker=MARKERS[style],
        markersize=4,
        linewidth=1.3,
        linestyle=DASHES[style] if series.joined else "none",
        label=_literal(series.name),
    )
    if series.bounds:
        places, low, high = zip(*series.bounds, strict=True)
        if series.banded:
            axes.fill_between(places, low, high, color=COLOURS[style], alpha=0.15, linewidth=0)
        else:
            axes.vlines(places, low, high, color=COLOURS[style], linewidth=1)


def _literal(text: str) -> str:
    """Text whose dollars are no mathematics."""
    return text.replace("$", r"\$")
