"""Figures for a manuscript by matplotlib: SVG and PDF, the same bytes for the same numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from kmerl.files import atomic
from kmerl.report.panels import Panel, Points, panels
from kmerl.report.results import Result

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


def write(result: Result, folder: Path) -> list[Path]:
    """The figure as <name>.svg and <name>.pdf below `folder`; with its scale in the name where
    something ran. A table, or a figure without a number, is not drawn."""
    found = panels(result)
    if not found:
        return []
    stem = "-".join(filter(None, (result.table.name, result.scale)))
    written = []
    with matplotlib.rc_context(SETTINGS):
        figure = _figure(result, found)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, for both files
        for suffix, metadata in UNDATED.items():
            path = folder / f"{stem}.{suffix}"
            with atomic(path) as partial:
                figure.savefig(partial, format=suffix, metadata=metadata)
            written.append(path)
    return written


def _figure(result: Result, found: Sequence[Panel]) -> Figure:
    """Two panels a row, the legend of all below them, and what was measured on what."""
    across = min(2, len(found))
    down = -(-len(found) // across)
    size = (PANEL[0] * across, PANEL[1] * down + CAPTION)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes, panel in zip(grid.flat, found, strict=False):
        _draw(axes, panel)
    for axes in grid.flat[len(found) :]:
        axes.set_axis_off()
    handles = {
        label: handle
        for axes in grid.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    columns = min(3, len(handles)) if across == 2 else 1
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns)
    figure.suptitle(f"{result.table.caption}\n{_note(result)}", fontsize=7, wrap=True)
    return figure


def _note(result: Result) -> str:
    """The scale of ours, on lines as wide as one panel."""
    if not result.ran:
        return "Ours: not run"
    return f"Ours: {result.words}.\nNot the paper's measurement; bands and bars are intervals."


def _draw(axes: Any, panel: Panel) -> None:
    axes.set_title(panel.title, fontsize=8)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.set_xticks(list(panel.ticks))
    if panel.words:
        slanted = {"rotation": 25, "ha": "right"} if len(panel.words) > 3 else {}
        axes.set_xticklabels([_literal(word) for word in panel.words], **slanted)
        axes.grid(visible=False, axis="x")
    for points in panel.points:
        _curve(axes, points)


def _curve(axes: Any, points: Points) -> None:
    known = [k for k, y in enumerate(points.y) if y is not None]
    if not known:
        return
    x, y = [points.x[k] for k in known], [points.y[k] for k in known]
    style = points.style % len(COLOURS)
    look = {"color": COLOURS[style], "marker": MARKERS[style], "markersize": 4, "linewidth": 1.3}
    look |= {
        "linestyle": DASHES[style] if points.joined else "none",
        "label": _literal(points.name),
    }
    axes.plot(x, y, **look)
    bounded = [k for k in known if points.lo[k] is not None and points.hi[k] is not None]
    places = [points.x[k] for k in bounded]
    low, high = [points.lo[k] for k in bounded], [points.hi[k] for k in bounded]
    if points.joined and len(bounded) > 1:
        axes.fill_between(places, low, high, color=COLOURS[style], alpha=0.15, linewidth=0)
    elif bounded:
        axes.vlines(places, low, high, color=COLOURS[style], linewidth=1)


def _literal(text: str) -> str:
    """Text whose dollars are no mathematics."""
    return text.replace("$", r"\$")
