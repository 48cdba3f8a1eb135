"""The answers of a long recording over time: heart rate, each name, and what has no answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from kmerl.predict.heart_rate import heart_rate
from kmerl.predict.pieces import Bad
from kmerl.predict.preparing import Cut
from kmerl.predict.printing import NOTICE
from kmerl.recordings import Recording
from kmerl.report.ecg_paper import COLOURS
from kmerl.report.writers.html import plain

COLUMNS = 1000  # of the picture; where more windows than that are, a column holds several
NAMES = 12  # that are drawn
BEATS = 10.0  # seconds that a heart rate is told from
LISTED = 8  # stretches without an answer
RATES = (20.0, 220.0)  # a minute, beyond which the rate's axis does not go
BAND, LINE, EMPTY, GREY = "#b3d4e8", "#0072b2", "#ececec", "#8a8a8a"
WIDTH, LEFT, RIGHT, ROW, HEART, TEXT = 280, 48, 6, 13, 30, 5  # mm
POINT = 72 / 25.4  # a mm in points


@dataclass(frozen=True)
class Timeline:
    """Answers by columns of `width` seconds, the first at `start`; NaN where there is none.

    `values` are, of each name, (lowest, mean, highest) by column; `rates` (seconds, beats a minute,
    whether it is sure); `empty` (from, to, why) in seconds.
    """

    start: float
    width: float
    values: dict[str, np.ndarray]
    rates: list[tuple[float, float, bool]]
    empty: list[tuple[float, float, str]]

    @property
    def end(self) -> float:
        return self.start + self.width * len(next(iter(self.values.values()))[0])


def timeline(
    recording: Recording, answers: pd.DataFrame, bad: Sequence[Bad], names: Sequence[str], cut: Cut
) -> Timeline:
    """What is drawn of a recording.

    Args:
        answers: a row each window that has an answer, as `kmerl predict` writes them.
        bad: the windows that have none.
        names: of which the `NAMES` that reach the highest are drawn.
    """
    step = cut.step or cut.window
    lead = next(iter(recording.leads.values()))
    starts = np.array(cut.starts(len(lead) / recording.rate))
    width = max(step, (starts[-1] - cut.start + step) / COLUMNS)
    columns = int((starts[-1] - cut.start) / width + 1e-6) + 1
    place = ((answers["start"].to_numpy() - cut.start) / width + 1e-6).astype(int)
    highest = {name: float(answers[name].max()) for name in names}
    chosen = sorted(sorted(names, key=lambda name: -highest[name])[:NAMES], key=list(names).index)
    values = {}
    for name in chosen:
        found = answers[name].to_numpy().astype(float)
        table = pd.Series(found).groupby(place).agg(["min", "mean", "max"])
        values[name] = table.reindex(range(columns)).to_numpy().T
    rates = _rates(recording, starts[:: -(-len(starts) // COLUMNS)])
    return Timeline(cut.start, width, values, rates, _empty(recording, bad, step))


def _rates(recording: Recording, starts: np.ndarray) -> list[tuple[float, float, bool]]:
    found = []
    for start in starts.tolist():
        first = round(start * recording.rate)
        span = slice(first, first + round(BEATS * recording.rate))
        told = heart_rate(
            np.stack([lead[span] for lead in recording.leads.values()]), recording.rate
        )
        found.append((start, np.nan if told.beats is None else told.beats, not told.doubt))
    return found


def _empty(recording: Recording, bad: Sequence[Bad], step: float) -> list[tuple[float, float, str]]:
    """Windows without an answer, those after each other for one reason together."""
    found: list[tuple[float, float, str]] = []
    for one in bad:
        if one.start is None:
            continue
        why = one.reason.removeprefix(recording.source).lstrip(": ")
        if found and found[-1][2] == why and one.start <= found[-1][1] + 1e-6:
            found[-1] = (found[-1][0], one.start + step, why)
        else:
            found.append((one.start, one.start + step, why))
    return found


def figure(recording: Recording, drawn: Timeline, cut: Cut, *, anonymous: bool) -> Any:
    """A figure of matplotlib: a row for the heart rate and for each name, and lines of text.

    Args:
        anonymous: leaves out the file's name and date; the time is then that since the beginning.
    """
    from matplotlib.figure import Figure

    begun = None if anonymous else recording.date
    words = _words(recording, drawn, cut, begun, anonymous)
    below = 12 + TEXT * len(words)
    tall = 4 + HEART + ROW * len(drawn.values) + below
    found = Figure(figsize=(WIDTH / 25.4, tall / 25.4), facecolor="white")
    top = tall - 4
    for row in ("", *drawn.values):
        height = ROW if row else HEART
        top -= height
        box = (LEFT / WIDTH, (top + 1) / tall, (WIDTH - LEFT - RIGHT) / WIDTH, (height - 2) / tall)
        axes = found.add_axes(box)
        _plain_axes(axes, drawn)
        _row(axes, drawn, row) if row else _heart(axes, drawn)
        _text(axes, -0.035, 0.5, row or "heart rate, a minute", ha="right", va="center")
    _clock(axes, drawn, begun)
    for number, line in enumerate(words, 1):
        place = 2 / WIDTH, (below - 10 - TEXT * number) / tall
        size = 3.2 * POINT
        found.text(*place, plain(line), fontsize=size, color=COLOURS["ink"], parse_math=False)
    return found


def _plain_axes(axes: Any, drawn: Timeline) -> None:
    axes.set_xlim(drawn.start, drawn.end)
    axes.set_xticks([])
    axes.tick_params(labelsize=2.6 * POINT, length=2, colors=COLOURS["note"])
    for spine in axes.spines.values():
        spine.set(color=GREY, linewidth=0.4)
    for begin, end, _ in drawn.empty:
        axes.axvspan(begin, end, color=EMPTY, linewidth=0)


def _row(axes: Any, drawn: Timeline, name: str) -> None:
    low, mean, high = (np.append(values, values[-1]) for values in drawn.values[name])
    edges = drawn.start + drawn.width * np.arange(len(mean))
    axes.fill_between(edges, low, high, step="post", color=BAND, linewidth=0)
    axes.step(edges, mean, where="post", color=LINE, linewidth=0.8)
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([0, 1])


def _heart(axes: Any, drawn: Timeline) -> None:
    told = np.array([(time, beats) for time, beats, sure in drawn.rates if sure]).reshape(-1, 2)
    unsure = np.array([rate[:2] for rate in drawn.rates if not rate[2]]).reshape(-1, 2)
    look: dict[str, Any] = {"linestyle": "none", "marker": ".", "markersize": 2}
    axes.plot(*told.T, color=COLOURS["ink"], **look)
    axes.plot(*unsure.T, color=GREY, **(look | {"marker": "x"}))
    known = told[:, 1] if len(told) else np.array([40.0, 120.0])
    axes.set_ylim(max(min(known.min() - 5, 40), RATES[0]), min(max(known.max() + 5, 120), RATES[1]))
    for number, (begin, end, _) in enumerate(drawn.empty[:LISTED], 1):
        centre = ((begin + end) / 2 - drawn.start) / (drawn.end - drawn.start)
        _text(axes, centre, 1.02, str(number), ha="center", color=COLOURS["note"])


def _clock(axes: Any, drawn: Timeline, begun: datetime | None) -> None:
    """Ticks at whole minutes or hours, of the day where the file has its date."""
    length = drawn.end - drawn.start
    every = next((one for one in (10, 30, 60, 300, 600, 1800, 3600, 7200) if length / one <= 13), 0)
    every = every or 86400 * -(-int(length) // (13 * 86400))
    midnight = begun and begun.replace(hour=0, minute=0, second=0, microsecond=0)
    offset = (begun - midnight).total_seconds() if begun and midnight else 0.0
    first = -(-(drawn.start + offset) // every) * every
    ticks = np.arange(first, drawn.end + offset, every) - offset
    axes.set_xticks(ticks, [time_of(tick, begun) for tick in ticks])


def time_of(seconds: float, begun: datetime | None) -> str:
    """Of the day, or since the beginning; with seconds where they are not 0."""
    if begun is not None:
        time = begun + timedelta(seconds=seconds)
        return f"{time:%H:%M:%S}" if time.second else f"{time:%H:%M}"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}" + (f":{rest:02d}" if rest else "")


def _words(
    recording: Recording, drawn: Timeline, cut: Cut, begun: datetime | None, anonymous: bool
) -> list[str]:
    name = "ECG" if anonymous else recording.source.replace("\\", "/").rsplit("/", 1)[-1]
    day = f", {begun:%Y-%m-%d %H:%M}" if begun else ", times since its beginning"
    every = f"windows of {cut.window:g} s, one every {cut.step or cut.window:g} s"
    words = [f"{name}, {', '.join(recording.leads)}{day}; {every}"]
    held = drawn.width / (cut.step or cut.window)
    if held > 1:
        words.append(f"a column is {drawn.width:.3g} s: line its mean, band its lowest to highest")
    words.append("heart rate: crosses are unsure; grey: no answer")
    for number, (begin, end, why) in enumerate(drawn.empty[:LISTED], 1):
        words.append(f"{number}: no answer {time_of(begin, begun)} to {time_of(end, begun)}: {why}")
    if len(drawn.empty) > LISTED:
        words.append(f"and {len(drawn.empty) - LISTED} stretches more without an answer")
    return [*words, NOTICE]


def _text(axes: Any, x: float, y: float, words: str, **look: Any) -> None:
    look = {"color": COLOURS["ink"], "fontsize": 3 * POINT} | look
    axes.text(x, y, plain(words), transform=axes.transAxes, parse_math=False, **look)
