"""Charts for a manuscript by matplotlib: SVG and PDF, the same bytes for the same numbers."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from kmerl.files import atomic
from kmerl.report.charts import Chart, Series
from kmerl.report.writers.html import plain

STYLE = resources.files("kmerl.report") / "manuscript.mplstyle"
PANEL, CAPTION = (3.3, 2.6), 0.85
UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None, "ModDate": None}}


def write(charts: Sequence[Chart], caption: str, folder: Path, stem: str) -> list[Path]:
    """The charts beside each other, `caption` above them, as <stem>.svg and <stem>.pdf below
    `folder`; nothing where there is no chart."""
    if not charts:
        return []
    written = []
    with resources.as_file(STYLE) as style, matplotlib.rc_context(fname=style):
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
    legends = [axes.get_legend_handles_labels() for axes in grid.flat]
    handles = {label: one for legend in legends for one, label in zip(*legend, strict=True)}
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
    cycle = list(matplotlib.rcParams["axes.prop_cycle"])
    look = cycle[series.style % len(cycle)]
    look |= {"linestyle": look["linestyle"] if series.joined else "none"}
    xs, ys, *_ = zip(*series.points, strict=True)
    axes.plot(xs, ys, label=_literal(series.name), **look)
    if series.bounds:
        places, low, high = zip(*series.bounds, strict=True)
        if series.banded:
            axes.fill_between(places, low, high, color=look["color"], alpha=0.15, linewidth=0)
        else:
            axes.vlines(places, low, high, color=look["color"], linewidth=1)


def _literal(text: str) -> str:
    """Text whose dollars are no mathematics, with nothing that an SVG cannot hold."""
    return plain(text).replace("$", r"\$")
