"""Charts, as SVG for a page and by matplotlib for a manuscript, and ECG paper."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl.experiments import catalogue as catalogues
from kmerl.report import ecg_paper, run_charts, run_tables
from kmerl.report.charts import Chart, Point, Series
from kmerl.report.grid import Cell, Column, Grid, Group, Row
from kmerl.report.paper_charts import charts
from kmerl.report.results import results
from kmerl.report.writers import html, svg
from kmerl.report.writers.files import write_figures
from tests.experiment_runs import RAN, WORDS, made_up
from tests.report_run import RATE, heartbeats

PAPER = catalogues.read()
THREE = [Point(1, 0.2, 0.1, 0.3), Point(2, 0.3, None, 0.4), Point(3, 0.4, 0.3, 0.5)]


def drawn(*series, **other):
    return svg.drawn(Chart("t", "x", "y", series, **other), 400, 300)


# ---------------------------------------------------------------- SVG


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30, unique=True))
@settings(max_examples=30, deadline=None)
def test_curves_are_drawn_to_scale(values):
    markup = drawn(Series("s", [Point(k, value) for k, value in enumerate(values)]))
    path = re.search(r'class="s0 curve" d="M([^"]+)"', markup)
    pixels = np.array([point.split() for point in path[1].split("L")], float)
    assert np.all(np.diff(pixels[:, 0]) > 0)
    assert pixels.min() >= 0
    assert np.all(pixels <= [400, 300])
    spread = max(values) - min(values)
    if spread > 1e-3:
        heights = (max(values) - np.array(values)) / spread
        found = (pixels[:, 1] - pixels[:, 1].min()) / np.ptp(pixels[:, 1])
        np.testing.assert_allclose(found, heights, atol=0.002)


def test_names_in_charts_are_escaped():
    chart = drawn(
        Series("<b>", [Point(0, 1.0), Point(1, 2.0)]), x_ticks=(0, 1), x_words=("<i>", "&")
    )
    assert "<b>" not in chart
    assert "<i>" not in chart
    assert "&lt;b&gt;, &lt;i&gt;: 1.000" in chart
    assert 'aria-label="t: &lt;b&gt; from 1.000 at &lt;i&gt; to 2.000 at &amp;"' in chart
    ET.fromstring(chart)


EVERY_CHARACTER = "".join(map(chr, range(0x10000))) + "]]>\U0001fac0\U0010ffff"
"""As the name of a class that a corpus, a mined report or a model from elsewhere may hold."""


def test_no_name_breaks_a_drawing_or_a_page():
    points = [Point(0, 1.0), Point(1, 2.0)]
    words = {"x_ticks": (0, 1), "x_words": (EVERY_CHARACTER, "b"), "x_names": ("a", "\0")}
    name = EVERY_CHARACTER
    chart = svg.drawn(Chart(name, name, name, [Series(name, points)], **words), 400, 300)
    signals = {"I": np.sin(np.arange(500.0))}
    for drawing in (chart, ecg_paper.picture(signals, RATE, name, [name, "\x1b[2J", "\ud800"])):
        text = "".join(ET.fromstring(str(drawing).encode()).itertext())
        assert "\N{ANATOMICAL HEART}" in text
        assert "\N{REPLACEMENT CHARACTER}" in text and "\u202e" not in text
    row = Row(name, [Cell(text=name)], mark=name)
    grid = Grid(name, [Column(name, words=True)], [Group([row], name, name)], note=name)
    page = html.ENVIRONMENT.from_string('{% from "grid.html" import table %}{{ table(grid) }}')
    assert not set(page.render(grid=grid)) & {*map(chr, range(9)), "\x1b", "\ud800", "\u202e"}


def test_points_tell_their_interval_and_have_a_band_or_a_line_each():
    chart = drawn(Series("s", THREE))
    assert "s, 1: 0.200 (0.100 to 0.300)</title>" in chart
    assert "s, 2: 0.300</title>" in chart
    assert chart.count('class="s0 band"') == 1
    apart = drawn(Series("s", THREE, joined=False))
    (whiskers,) = re.findall(r'class="s0 whisker" d="([^"]+)"', apart)
    assert whiskers.count("M") == 2
    assert " curve" not in apart
    assert "no records" in drawn(Series("s", []))


@pytest.mark.parametrize("style", range(len(html.SHAPES)))
def test_every_style_has_a_mark_and_a_colour(style):
    ET.fromstring(drawn(Series("s", THREE, style=style)))
    css = Path("kmerl/report/templates/page.css").read_text(encoding="utf-8")
    assert css.count(f"--s{style}:") == 2  # light and dark
    assert f".s{style}{{--c:var(--s{style})}}" in css
    assert f".plot:has(.k{style} input:not(:checked)) .pair .s{style}{{display:none}}" in css
    assert html.SHAPES.count(html.SHAPES[style]) == 1


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
@settings(deadline=None)
def test_ticks_are_even_and_inside(low, span):
    found = svg.ticks(low, low + span)
    slack = 1e-6 * (span + abs(low))
    assert 1 <= len(found) <= 8
    assert found[0] >= low - slack
    assert found[-1] <= low + span + slack
    np.testing.assert_allclose(np.diff(found, 2), 0, atol=slack)


# ---------------------------------------------------------------- charts of a run


def test_steps_name_the_lead_they_add():
    sets = {"2": "I+II", "1": "I", "3": "I+II+aVF", "I+III": "I+III"}
    score = {"task": "average", "auroc": "0.7", "auroc_lo": "0.6", "auroc_hi": ""}
    rows = [
        {"key": key, "count": str(len(v.split("+"))), "leads": v, "protocol": protocol} | score
        for protocol in run_charts.PROTOCOLS
        for key, v in sets.items()
    ]
    rows.append(rows[0] | {"task": "cpsc2018", "auroc": ""})
    printed = {"zero_shot.average.12.auroc": 76.52}
    chart = run_charts.partial_leads(rows, 100, printed)
    assert chart.x_names == ["I", "II", "aVF", *[""] * 9]
    curve = [Point(k, 0.7, 0.6, None) for k in (1, 2, 3)]
    assert [one.points for one in chart.series] == [curve, curve, [Point(12, 0.7652)]]
    assert [one.points for one in run_charts.by_task(rows)["CPSC2018"].series] == [[], []]


def test_every_term_of_a_method_has_a_chart_with_a_title():
    rows = [
        {"epoch": str(e), "loss": f"{1 / e}", "prediction": f"{1 / e}", "my_term": "0.5",
         "learning_rate": "1", "val_loss": f"{2 / e}", "val_prediction": "", "feature_std": "1",
         "projection_rank": "3", "step": "4"}
        for e in range(1, 501)
    ]  # fmt: skip
    found = run_charts.losses(rows)
    assert list(found) == ["Total loss", "Prediction", "My term"]
    assert [len(chart.series) for chart in found.values()] == [2, 1, 1]
    points = found["Total loss"].series[0].points
    assert (len(points), points[0].x, points[-1].x) == (run_charts.EPOCHS, 1, 500)
    few = run_charts.losses(rows[:3])["Prediction"].series[0].points
    assert few == [Point(1, 1), Point(2, 1 / 2), Point(3, 1 / 3)]
    assert run_charts.losses([]) == {}


def test_every_loss_of_the_methods_has_a_title_of_its_own():
    given = re.compile(r'(?:terms\[|return \{|terms = \{|^ +)"(\w+)"(?:\]|:)', re.M)
    terms = set()
    for path in Path("kmerl/methods").glob("*.py"):
        terms |= set(given.findall(path.read_text(encoding="utf-8"))) - {"feature"}  # no loss
    assert {"contrast", "query", "reconstruction", "temporal", "adversary"} <= terms
    assert terms <= set(run_tables.WORDS["losses"])


# ---------------------------------------------------------------- figures of the paper


@pytest.fixture(scope="module")
def found():
    return {result.table.name: result for result in results(PAPER, made_up(PAPER, RAN))}


def test_paper_and_ours_are_charts_of_their_own(found):
    (ours,) = charts(found["figure-6a"])
    assert ours.title == "Ours, scale demo"
    assert list(ours.x_ticks) == list(range(1, 13))
    cells = found["figure-6a"].lines[0].ours
    points = [Point(k, *(getattr(cells[str(k)], end) for end in ("value", "lo", "hi")))
              for k in range(1, 13)]  # fmt: skip
    assert ours.series[0].points == points
    assert ours.series[0].joined
    assert charts(found["table-1"]) == []


def test_the_papers_chart_holds_its_numbers_alone():
    table = replace(PAPER.tables["table-2d"], kind="bars")
    whole = replace(PAPER, tables={"table-2d": table})
    (result,) = results(whole, made_up(PAPER, ["kmerl"]))
    theirs, ours = charts(result)
    assert theirs.title == "Paper, Table 2d"
    values = [[point.y for point in series.points] for series in theirs.series]
    assert values[:2] == [[71.61, 76.52], [70.32, 75.21]]
    assert theirs.series[0].bounds == []
    assert ours.series[1].points == []
    assert theirs.x_words == ["1 lead", "12 leads"]
    beside = [series.points[0].x for series in theirs.series]
    assert beside == sorted(set(beside))
    assert not any(series.joined for series in theirs.series)


def test_a_row_without_x_is_a_level_across_the_figure(found):
    (ours,) = charts(found["figure-7-left"])
    kmerl, resnet, vit = ours.series
    assert (kmerl.name, resnet.name, vit.name) == ("K-MERL", "MERL (ResNet)", "MERL (ViT)")
    assert list(ours.x_ticks) == [25, 50, 100, 200]
    assert [point.x for point in kmerl.points] == [50, 100]
    assert not kmerl.joined
    assert [point.x for point in resnet.points] == [25, 200]
    assert resnet.points[0].y == resnet.points[1].y
    assert len({series.style for series in ours.series}) == 3


def test_words_on_the_axis_keep_their_order_and_their_place():
    runs_of_sizes = made_up(PAPER, ["size-micro", "size-nano", "size-tiny"])
    (result,) = results(PAPER, runs_of_sizes, ["figure-8"])
    ours = charts(result)[-1]
    assert ours.x_words == ["nano", "micro", "tiny", "small", "middle", "base"]
    assert [point.x for point in ours.series[0].points] == [0, 1, 2]
    markup = svg.drawn(ours, 400, 300)
    assert max(float(x) for x in re.findall(r'<text x="([\d.]+)"', markup)) <= 400


def test_figures_are_the_same_bytes_and_hold_text(found, tmp_path):
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
    (nothing,) = results(PAPER, [], ["figure-6a"])
    assert write_figures([found["table-2d"], nothing], tmp_path) == []


# ---------------------------------------------------------------- ECG paper


@given(st.lists(st.integers(-3000, 3000), min_size=2, max_size=400), st.sampled_from([100, 500]))
@settings(deadline=None)
def test_a_trace_keeps_every_peak_at_its_place(values, rate):
    signal = np.array(values, dtype=np.int16)
    steps = np.array(re.findall(r"-?\d+", ecg_paper.trace(signal, rate)), int).reshape(-1, 2)
    points = np.cumsum(steps, axis=0) / ecg_paper.UNITS_PER_MM
    seconds = points[:, 0] / ecg_paper.MM_PER_SECOND
    microvolt = -points[:, 1] / ecg_paper.MM_PER_MILLIVOLT * 1000
    half = 500 / ecg_paper.MM_PER_MILLIVOLT / ecg_paper.UNITS_PER_MM + 1e-6
    assert abs(microvolt.max() - signal.max()) <= half
    assert abs(microvolt.min() - signal.min()) <= half
    nearest = np.rint(seconds * rate).astype(int)
    assert np.all(np.abs(seconds * rate - nearest) <= rate * 0.5 / 25 / 20 + 1e-6)
    assert np.all(np.abs(microvolt - signal[nearest]) <= half)
    assert (nearest[0], nearest[-1]) == (0, len(signal) - 1)
    assert np.all(np.diff(nearest) > 0)


def names_in(picture):
    return re.findall(r'<text x="[^"]*" y="[^"]*" font-size="3.1"[^>]*>([^<]*)<', picture)


def test_twelve_leads_are_printed_3_by_4_and_fewer_as_strips():
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
    deep = ecg_paper.sheet({"I": -8 * np.abs(beats["I"])}, RATE, "t")
    assert deep.size[1] >= 8 * np.abs(beats["I"]).max() / 1000 * 10  # never over the caption


@pytest.mark.parametrize("lengths", [[5, 6], [], [0]])
def test_a_picture_needs_leads_of_one_length(lengths):
    signals = {lead: np.zeros(n) for lead, n in zip(("I", "II"), lengths, strict=False)}
    with pytest.raises(ValueError, match=rf"leads of one length, not lengths \{lengths}"):
        ecg_paper.picture(signals, RATE, "t")
