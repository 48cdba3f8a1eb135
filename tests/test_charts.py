"""Charts, as SVG for a page and by matplotlib for a manuscript, and ECG paper."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from kmerl.experiments import catalogue as catalogues
from kmerl.experiments.catalogue import Catalogue
from kmerl.report import ecg_paper, run_charts
from kmerl.report.charts import Chart, Series
from kmerl.report.paper_charts import charts
from kmerl.report.results import Result, results
from kmerl.report.writers import html, manuscript, svg
from kmerl.report.writers.files import write_figures
from tests.experiment_runs import RAN, WORDS, made_up
from tests.report_run import RATE, heartbeats

STYLES = range(len(html.SHAPES))


def drawn(*series: Series, **other: Any) -> Markup:
    return svg.drawn(Chart("t", "x", "y", series, **other), 400, 300)


def curve(markup: Markup) -> np.ndarray:
    """The pixels of the first curve of a chart."""
    path = re.search(r'class="s\d curve" d="M([^"]+)"', markup)
    assert path is not None
    return np.array([point.split() for point in path[1].split("L")], float)


# ---------------------------------------------------------------- SVG


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30, unique=True))
@settings(max_examples=30, deadline=None)
def test_curves_are_drawn_to_scale(values: list[float]) -> None:
    pixels = curve(drawn(Series("s", [float(k) for k in range(len(values))], values)))
    assert np.all(np.diff(pixels[:, 0]) > 0)
    assert pixels.min() >= 0
    assert np.all(pixels <= [400, 300])
    spread = max(values) - min(values)
    if spread > 1e-3:
        heights = (max(values) - np.array(values)) / spread
        found = (pixels[:, 1] - pixels[:, 1].min()) / np.ptp(pixels[:, 1])
        np.testing.assert_allclose(found, heights, atol=0.002)


def test_a_gap_is_left_out_and_nothing_at_all_is_said() -> None:
    assert len(curve(drawn(Series("s", [1, 2, 3], [0.5, None, 0.7])))) == 2
    assert "no records" in drawn(Series("s", [1, 2], [None, None]))
    assert "no records" in drawn()


def test_names_in_charts_are_escaped() -> None:
    chart = drawn(Series("<b>", [0, 1], [1.0, 2.0]), x_ticks=(0, 1), x_words=("<i>", "&"))
    assert "<b>" not in chart
    assert "<i>" not in chart
    assert "&lt;b&gt;, &lt;i&gt;: 1.000" in chart
    ET.fromstring(chart)


def test_points_tell_their_interval_and_have_a_band_or_a_line_each() -> None:
    bounds = {"lo": [0.1, None, 0.3], "hi": [0.3, 0.4, 0.5]}
    series = Series("s", [1, 2, 3], [0.2, 0.3, 0.4], **bounds)
    chart = drawn(series)
    assert "s, 1: 0.200 (0.100 to 0.300)</title>" in chart
    assert "s, 2: 0.300</title>" in chart
    assert chart.count('class="s0 band"') == 1
    apart = drawn(Series("s", [1, 2, 3], [0.2, 0.3, 0.4], **bounds, joined=False))
    (whiskers,) = re.findall(r'class="s0 whisker" d="([^"]+)"', apart)
    assert whiskers.count("M") == 2
    assert " curve" not in apart


@pytest.mark.parametrize("style", STYLES)
def test_every_style_has_a_mark_and_a_colour(style: int) -> None:
    ET.fromstring(drawn(Series("s", [1, 2], [0.1, 0.2], style=style)))
    css = Path("kmerl/report/templates/page.css").read_text(encoding="utf-8")
    assert css.count(f"--s{style}:") == 2  # light and dark
    assert f".s{style}{{--c:var(--s{style})}}" in css
    assert f".plot:has(.k{style} input:not(:checked)) .pair .s{style}{{display:none}}" in css
    assert html.SHAPES[style] not in [html.SHAPES[k] for k in STYLES if k != style]


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
@settings(deadline=None)
def test_ticks_are_even_and_inside(low: float, span: float) -> None:
    found = svg.ticks(low, low + span)
    slack = 1e-6 * (span + abs(low))
    assert 1 <= len(found) <= 8
    assert found[0] >= low - slack
    assert found[-1] <= low + span + slack
    np.testing.assert_allclose(np.diff(found, 2), 0, atol=slack)


# ---------------------------------------------------------------- charts of a run


def test_steps_name_the_lead_they_add() -> None:
    keys = ("1", "2", "3", "I+III")
    row = {"auroc": 0.7, "auroc_lo": 0.6, "auroc_hi": 0.8}
    sets = dict(zip(keys, ("I", "I+II", "I+II+aVF", "I+III"), strict=True))
    rows = [{"key": key, "count": str(len(v.split("+"))), "leads": v} for key, v in sets.items()]
    metrics = {protocol: dict.fromkeys(keys, row) for protocol in run_charts.PROTOCOLS}
    printed = {"zero_shot.average.12.auroc": 76.52}
    chart = run_charts.partial_leads(metrics, rows, 100, printed)
    assert chart.x_names == ["I", "II", "aVF", *[""] * 9]
    assert [list(one.x) for one in chart.series] == [[1, 2, 3], [1, 2, 3], [12]]
    assert chart.series[2].y == [0.7652]


def test_every_term_of_a_method_has_a_chart_with_a_title() -> None:
    rows = [
        {"epoch": str(e), "loss": f"{1 / e}", "prediction": f"{1 / e}", "my_term": "0.5",
         "learning_rate": "1", "val_loss": f"{2 / e}", "val_prediction": "", "feature_std": "1",
         "projection_rank": "3", "step": "4"}
        for e in range(1, 501)
    ]  # fmt: skip
    found = run_charts.losses(rows)
    assert list(found) == ["Total loss", "Prediction", "My term"]
    assert [len(chart.series) for chart in found.values()] == [2, 1, 1]
    x = found["Total loss"].series[0].x
    assert (len(x), x[0], x[-1]) == (run_charts.EPOCHS, 1, 500)
    assert run_charts.losses(rows[:3])["Prediction"].series[0].y == [1, 1 / 2, 1 / 3]
    assert run_charts.losses([]) == {}


def test_every_loss_of_the_methods_has_a_title_of_its_own() -> None:
    terms = set()
    for path in Path("kmerl/methods").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        terms |= set(
            re.findall(r'(?:terms\[|return \{|terms = \{|^ +)"(\w+)"(?:\]|:)', source, re.M)
        )
    assert {"contrast", "query", "reconstruction", "temporal", "adversary"} <= terms
    assert terms <= set(run_charts.LOSSES), sorted(terms - set(run_charts.LOSSES))


# ---------------------------------------------------------------- figures of the paper


@pytest.fixture(scope="module")
def paper() -> Catalogue:
    return catalogues.read()


@pytest.fixture(scope="module")
def found(paper: Catalogue) -> dict[str, Result]:
    return {result.table.name: result for result in results(paper, made_up(paper, RAN))}


def test_paper_and_ours_are_charts_of_their_own(found: dict[str, Result]) -> None:
    (ours,) = charts(found["figure-6a"])
    assert ours.title == "Ours, scale demo"
    assert list(ours.x_ticks) == list(range(1, 13))
    kmerl, line = ours.series[0], found["figure-6a"].lines[0]
    assert kmerl.y == tuple(line.ours[str(k)].value for k in range(1, 13))
    assert kmerl.lo == tuple(line.ours[str(k)].lo for k in range(1, 13))
    assert kmerl.joined
    assert charts(found["table-1"]) == []


def test_the_papers_chart_holds_its_numbers_alone(paper: Catalogue) -> None:
    given = paper.tables["table-2d"]
    table = type(given)(**{**vars(given), "kind": "bars"})
    whole = Catalogue(paper.every, paper.targets, paper.experiments, {"table-2d": table})
    (result,) = results(whole, made_up(paper, ["kmerl"]))
    theirs, ours = charts(result)
    assert theirs.title == "Paper, Table 2d"
    assert [series.y for series in theirs.series][:2] == [(71.61, 76.52), (70.32, 75.21)]
    assert theirs.series[0].lo == (None, None)
    assert [series.y for series in ours.series][1] == (None, None)
    assert theirs.x_words == ["1 lead", "12 leads"]
    beside = [series.x[0] for series in theirs.series]
    assert beside == sorted(set(beside))
    assert not any(series.joined for series in theirs.series)


def test_a_row_without_x_is_a_level_across_the_figure(found: dict[str, Result]) -> None:
    (ours,) = charts(found["figure-7-left"])
    kmerl, resnet, vit = ours.series
    assert (kmerl.name, resnet.name, vit.name) == ("K-MERL", "MERL (ResNet)", "MERL (ViT)")
    assert list(kmerl.x) == [25, 50, 100, 200]
    assert [y is None for y in kmerl.y] == [True, False, False, True]
    assert not kmerl.joined
    assert list(resnet.x) == [25, 200]
    assert resnet.y[0] == resnet.y[1]
    assert len({series.style for series in ours.series}) == 3


def test_words_on_the_axis_keep_their_order(paper: Catalogue) -> None:
    runs_of_sizes = made_up(paper, ["size-micro", "size-nano", "size-tiny"])
    (result,) = results(paper, runs_of_sizes, ["figure-8"])
    ours = charts(result)[-1]
    assert ours.x_words[:3] == ["nano", "micro", "tiny"]
    assert [y is None for y in ours.series[0].y] == [False, False, False, True, True, True]


def test_figures_are_the_same_bytes_and_hold_text(found: dict[str, Result], tmp_path: Path) -> None:
    written = write_figures([found["figure-4"]], tmp_path)
    assert [path.name for path in written] == ["figure-4-demo.svg", "figure-4-demo.pdf"]
    first = [path.read_bytes() for path in written]
    write_figures([found["figure-4"]], tmp_path)
    assert [path.read_bytes() for path in written] == first
    text = first[0].decode()
    ET.fromstring(text)
    assert "date>" not in text
    assert b"CreationDate" not in first[1]
    for part in ("MERL (ResNet)", "PTBXL-Rhythm", WORDS, "Ours, scale demo", "<text"):
        assert part in text


def test_a_table_and_a_figure_without_numbers_are_not_drawn(
    paper: Catalogue, found: dict[str, Result], tmp_path: Path
) -> None:
    (nothing,) = results(paper, [], ["figure-6a"])
    assert write_figures([found["table-2d"], nothing], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_curves_differ_in_colour_marker_and_dash() -> None:
    for looks in (manuscript.COLOURS, manuscript.MARKERS, manuscript.DASHES):
        assert len(set(looks)) == len(manuscript.COLOURS)


# ---------------------------------------------------------------- ECG paper


def traced(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and microvolts of a trace, read back from its path."""
    numbers = np.array([int(n) for n in re.findall(r"-?\d+", path)])
    points = np.cumsum(numbers.reshape(-1, 2), axis=0) / ecg_paper.UNITS_PER_MM
    return points[:, 0] / ecg_paper.MM_PER_SECOND, -points[:, 1] / ecg_paper.MM_PER_MILLIVOLT * 1000


@given(st.lists(st.integers(-3000, 3000), min_size=2, max_size=400), st.sampled_from([100, 500]))
@settings(deadline=None)
def test_a_trace_keeps_every_peak_at_its_place(values: list[int], rate: int) -> None:
    signal = np.array(values, dtype=np.int16)
    seconds, microvolt = traced(ecg_paper.trace(signal, rate))
    half = 500 / ecg_paper.MM_PER_MILLIVOLT / ecg_paper.UNITS_PER_MM + 1e-6
    assert abs(microvolt.max() - signal.max()) <= half
    assert abs(microvolt.min() - signal.min()) <= half
    nearest = np.rint(seconds * rate).astype(int)
    assert np.all(np.abs(seconds * rate - nearest) <= rate * 0.5 / 25 / 20 + 1e-6)
    assert np.all(np.abs(microvolt - signal[nearest]) <= half)
    assert (nearest[0], nearest[-1]) == (0, len(signal) - 1)
    assert np.all(np.diff(nearest) > 0)


def names_in(picture: Markup) -> list[str]:
    return re.findall(r'<text x="[^"]*" y="[^"]*">([^<]*)<', picture)


def test_twelve_leads_are_printed_3_by_4_and_fewer_as_strips() -> None:
    beats = heartbeats(70, np.random.default_rng(0))
    twelve = ecg_paper.picture(beats, RATE, "t")
    rows = ["I aVR V1 V4", "II aVL V2 V5", "III aVF V3 V6", "II"]
    assert names_in(twelve) == " ".join(rows).split()
    two = ecg_paper.picture({lead: beats[lead] for lead in ("II", "I")}, RATE, "t")
    assert names_in(two) == ["I", "II"]
    width, height = map(float, re.findall(r'viewBox="0 0 (\d+) (\d+)"', two)[0])
    assert width == 10 + 250 + 5  # 10 s at 25 mm/s
    assert height % 5 == 0
    assert ecg_paper.picture(dict(reversed(beats.items())), RATE, "t") == twelve


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        ({"I": np.zeros(5), "II": np.zeros(6)}, r"not lengths \[5, 6\]"),
        ({}, "leads of one length"),
        ({"I": np.zeros(0)}, "leads of one length"),
    ],
)
def test_a_picture_needs_leads_of_one_length(signals: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ecg_paper.picture(signals, RATE, "t")
