"""The report page and its charts, tables and drawings."""

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from kmerl.evaluation.scores import Scores
from kmerl.leads import LEADS
from kmerl.report import counts, curves, ecg_paper, figures, page, probe_tables, tables
from kmerl.report.examples import first_positives, read_signals
from kmerl.store import StoreError
from kmerl.tasks.classes import classes
from stages import report as stage
from tests.report_run import LEAD_SETS, RATE, VALUES, heartbeats, write_run

REPORT = page.Report(task="ptbxl_super", leads="I+II", top=3)
EVERY_CORPUS = {"mimic-iv-ecg", "ptb-xl", "cpsc2018", "csn"}
VOID = {"meta", "link", "br", "rect", "circle", "input"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    write_run(root)
    return root


@pytest.fixture(scope="module")
def inputs(run: Path) -> page.Inputs:
    return page.read_inputs(run, REPORT)


@pytest.fixture(scope="module")
def html(inputs: page.Inputs) -> str:
    return page.render(inputs, REPORT, VALUES, EVERY_CORPUS)


class Outline(HTMLParser):
    """Tags that are left open or closed out of order, and what the page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID or tag in ("rect", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def test_the_page_asks_the_network_for_nothing(html: str) -> None:
    for asked in ("http:", "https:", "src=", "<script", "@import", "url(", "<iframe"):
        assert asked not in html
    assert len(html.encode()) < 2_000_000


def test_the_page_is_well_formed_and_its_links_lead_somewhere(html: str) -> None:
    outline = Outline(html)
    assert outline.faults == []
    assert outline.open == []
    ids = {attrs["id"] for _, attrs in outline.tags if "id" in attrs}
    targets = [str(link["href"]) for link in outline.named("a")]
    assert len(targets) > 5
    assert all(target.removeprefix("#") in ids for target in targets)


def test_tables_and_drawings_speak_to_those_who_cannot_see_them(html: str) -> None:
    outline = Outline(html)
    assert len(outline.named("caption")) == len(outline.named("table")) > 10
    assert all("scope" in cell for cell in outline.named("th"))
    drawings = [svg for svg in outline.named("svg") if "aria-hidden" not in svg]
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in drawings)


def test_the_same_run_gives_the_same_bytes(run: Path, html: str) -> None:
    again = page.read_inputs(run, REPORT)
    assert page.render(again, REPORT, VALUES, EVERY_CORPUS) == html


def test_what_was_mined_is_escaped(html: str) -> None:
    assert "1° &lt;av&gt; block" in html
    assert "<av>" not in html


def test_the_page_says_which_corpora_are_simulated(inputs: page.Inputs, html: str) -> None:
    assert "Simulated ECGs" in html
    assert "under the corpus's own name" not in html
    real = page.render(inputs, REPORT, VALUES, set())
    apart = re.sub(r'<section id="paper">.*?</section>', "", real, flags=re.S)
    assert "imulated" not in apart
    assert "under the corpus's own name" in real
    mixed = page.render(inputs, REPORT, VALUES, {"mimic-iv-ecg"})
    assert "Partly simulated" in mixed
    assert "PTB-XL were read" in mixed


def test_the_page_says_what_its_scores_are(inputs: page.Inputs, html: str) -> None:
    assert "No label of these classes was used" in html
    assert "The query network is asked" in html
    values = VALUES | {"text": {"source": "scp"}, "zero_shot": {"score": "cosine"}}
    other = page.render(inputs, REPORT, values, EVERY_CORPUS)
    assert "Label-derived" in other
    assert "No label of these classes was used" not in other
    assert "(cosine)" in other


def test_every_headline_number_is_the_metric_files(run: Path, html: str) -> None:
    metrics = json.loads((run / "metrics/zero_shot.json").read_text())["ptbxl_super"]
    big = re.findall(r'<p class="big">([\d.]+)</p>', html)
    assert big == [f"{metrics[key]['auroc']:.3f}" for key in ("12", "I+II", "1")]


def printed(inputs: page.Inputs) -> dict[str, float]:
    return inputs.experiments.printed("kmerl")


def cells(table: tables.Table) -> dict[str, list[str]]:
    return {row[0].text: [c.text for c in row[1:]] for g in table.groups for row in g.rows}


def test_zero_shot_rows_hold_our_scores_and_the_papers_mean(inputs: page.Inputs) -> None:
    rows = cells(tables.zero_shot(inputs.zero_shot, printed(inputs)))
    ours = inputs.zero_shot["csn"]
    assert rows["Chapman-Shaoxing-Ningbo"][0] == f"{ours['12']['auroc']:.3f}"
    assert rows["Chapman-Shaoxing-Ningbo"][2] == f"{ours['1']['auroc']:.3f}"
    assert rows["Chapman-Shaoxing-Ningbo"][-2:] == ["", ""]
    assert rows["Mean over the tasks"][-2:] == ["0.765", "0.716"]
    assert rows["CPSC2018"][6] == str(inputs.zero_shot["cpsc2018"]["12"]["records"])
    assert rows["Chapman-Shaoxing-Ningbo"][3] == f"{ours['12']['auroc_common']:.3f}"
    assert rows["Chapman-Shaoxing-Ningbo"][4] == f"{ours['12']['cosine_auroc']:.3f}"


def test_linear_probe_stands_beside_table_1(inputs: page.Inputs) -> None:
    table = probe_tables.linear_probe(inputs.linear_probe, printed(inputs))
    beside = {group.title: [row[-1].text for row in group.rows] for group in table.groups}
    assert beside["PTB-XL, superclasses"] == ["0.842", "0.877", "0.898"]
    assert beside["Chapman-Shaoxing-Ningbo"] == ["0.695", "0.835", "0.937"]
    assert beside["Mean over the tasks"] == ["", "", ""]
    assert [row[0].text for row in table.groups[0].rows] == ["1 %", "10 %", "100 %"]
    ours = inputs.linear_probe["ptbxl_form"]["10"]["I+II"]["auroc"]
    form = next(group for group in table.groups if group.title == "PTB-XL, form")
    assert form.rows[1][3].text == f"{ours:.3f}"


def test_other_probes_are_not_run_where_their_keys_are_missing(inputs: page.Inputs) -> None:
    table = probe_tables.linear_probe(inputs.linear_probe, printed(inputs))
    columns = {name: place for place, name in enumerate(table.columns)}
    row = table.groups[0].rows[0]
    assert {row[columns[name]].text for name in probe_tables.OTHER_PROBES} == {"not run"}
    metrics = copy.deepcopy(inputs.linear_probe)
    metrics["ptbxl_super"]["1"]["12"] |= {
        "knn_auroc": 0.25,
        "knn_auroc_lo": 0.2,
        "knn_auroc_hi": 0.3,
    }
    row = probe_tables.linear_probe(metrics, {}).groups[0].rows[0]
    assert (row[columns["Neighbours"]].text, row[columns["Tuned"]].text) == ("0.250", "not run")


def test_fine_tuning_stands_beside_training_from_scratch(inputs: page.Inputs) -> None:
    table = probe_tables.fine_tune(inputs.fine_tune)
    ours = inputs.fine_tune["csn"]["100"]["I+II"]
    shown = cells(table)["Chapman-Shaoxing-Ningbo"]
    assert shown[:3] == ["100 %", "I II", "20"]
    assert shown[3] == shown[4] == f"{ours['auroc']:.3f}"
    assert shown[5] == "0.000"
    assert [group.total for group in table.groups] == [False, True]
    assert [row[0].text for row in table.groups[1].rows] == ["Mean over the tasks"]


def test_published_counts_are_table_3() -> None:
    known = tables.published()["scale"]["test_classes"]
    assert known == {task: len(classes(task)) for task in known}


def test_classes_with_few_positives_are_marked(inputs: page.Inputs) -> None:
    marked = 0
    for table in tables.classes(inputs.class_rows):
        for row in table.groups[0].rows:
            positives = int(row[1].text)
            assert (row[0].detail == "few") == (0 < positives < tables.FEW)
            marked += row[0].detail == "few"
    assert marked > 3


def test_rejections_are_listed_by_reason(inputs: page.Inputs) -> None:
    table = counts.rejections(inputs.ingest)
    assert cells(table) == {"truncated": ["2"], "all NaN": ["1"]}
    assert [group.title for group in table.groups] == ["MIMIC-IV-ECG"]


def test_counts_stand_beside_the_papers_where_it_has_them(inputs: page.Inputs) -> None:
    assert cells(counts.nested(inputs.mining, "c", tables.published()["mining"])) == {
        "expressions": ["210", "341"],
        "gap": ["none", ""],
        "labels per record": ["2.5", ""],
        "verdicts: negated": ["31", ""],
    }
    assert cells(counts.nested(inputs.mining, "c"))["expressions"] == ["210"]


def test_lead_sets_are_found_whatever_their_key() -> None:
    results = {"2": {"auroc": 0.7}, "limb": {"auroc": 0.8}}
    assert tables.by_leads(results, "I+II") == {"auroc": 0.7}
    assert tables.by_leads(results, "II,I") == {"auroc": 0.7}
    assert tables.by_leads(results, "6") == {"auroc": 0.8}
    assert tables.by_leads(results, "12") is None


def test_entities_hang_below_their_superclass(inputs: page.Inputs, html: str) -> None:
    groups = page.hierarchy(inputs.entities)
    assert [group["name"] for group in groups] == ["rhythm", "conduction disturbance", ""]
    children = [child["name"] for child in groups[0]["children"]]
    assert children == ["sinus rhythm", "atrial fibrillation"]
    assert [child["name"] for child in groups[2]["children"]] == ["low voltage"]
    assert "auricular fibrillation" in html


def test_empty_corpora_are_said_to_be_empty(tmp_path: Path) -> None:
    write_run(tmp_path, {"ptb-xl": 0, "cpsc2018": 24, "csn": 0})
    inputs = page.read_inputs(tmp_path, REPORT)
    html = page.render(inputs, REPORT, VALUES, set())
    assert Outline(html).faults == []
    assert (
        tables.zero_shot(inputs.zero_shot, printed(inputs)).groups[0].rows[0][1]
        == tables.NO_RECORDS
    )
    assert '<p class="big none">no records</p>' in html
    assert html.count("no records") > 20
    assert not re.search(r"\b(nan|None|inf)\b", re.sub(r"<style>.*?</style>", "", html, flags=re.S))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ingest\.json does not exist; run `dvc repro`"):
        page.read_inputs(tmp_path, REPORT)


def test_the_stage_writes_the_page(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    stage.main()
    text = Path("report/index.html").read_text(encoding="utf-8")
    assert "Simulated ECGs" in text
    assert "min_leads: 9" in text
    assert "figure-7-left, 2 of 6 rows at scale demo" in text
    made = {path.relative_to("report").as_posix() for path in Path("report").rglob("*.*")}
    assert {"tables/table-2d.csv", "tables/table-2d.tex", "tables/table-2e.csv"} < made
    assert {"figures/figure-7-left-demo.svg", "figures/figure-7-left-demo.pdf"} < made


def test_examples_are_the_first_records_of_their_class(inputs: page.Inputs) -> None:
    found = {example.shown_for: example for example in inputs.examples}
    names = [one.name for one in classes("ptbxl_super")]
    assert [name for name in names if name in found] == list(found)
    for name, example in found.items():
        labels = {p.name for p in example.predictions["ptbxl_super"] if p.labelled}
        assert name in labels
        assert set(example.signals) == set(LEADS)
    for example in inputs.examples:
        for predictions in example.predictions.values():
            whole = [p.all_leads for p in predictions]
            assert whole == sorted(whole, reverse=True)
            assert all(0 <= p.few_leads <= 1 for p in predictions)


def scores(records: list[str], truth: list[list[int]]) -> Scores:
    codes = tuple("abc"[: len(truth[0])])
    labels = np.array(truth, dtype=bool)
    return Scores("t", "c", codes, codes, tuple(records), (), {}, labels, {}, {})


def test_first_positives_take_no_record_twice_and_count_as_people_do() -> None:
    found = first_positives(scores(["10", "9", "11"], [[1, 1, 0], [1, 0, 0], [0, 1, 0]]))
    assert found == {"9": "a", "10": "b"}
    assert first_positives(scores(["9"], [[1, 1, 0]])) == {"9": "a"}


def test_a_record_that_is_not_stored_is_named(run: Path) -> None:
    with pytest.raises(StoreError, match="no record '7'"):
        read_signals(run / "data/ecg/ptb-xl", ["7"])


def curve(markup: Markup) -> np.ndarray:
    """The pixels of the first curve of a chart."""
    path = re.search(r'class="s\d curve" d="M([^"]+)"', markup)
    assert path is not None
    return np.array([point.split() for point in path[1].split("L")], float)


AXES = figures.Axes("title", "x", "y")


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30, unique=True))
@settings(max_examples=30, deadline=None)
def test_curves_are_drawn_to_scale(values: list[float]) -> None:
    x = [float(k) for k in range(len(values))]
    pixels = curve(figures.line_chart(AXES, [figures.Series("s", x, values)], 400, 300))
    assert np.all(np.diff(pixels[:, 0]) > 0)
    assert pixels.min() >= 0
    assert np.all(pixels <= [400, 300])
    spread = max(values) - min(values)
    if spread > 1e-3:
        heights = (max(values) - np.array(values)) / spread
        drawn = (pixels[:, 1] - pixels[:, 1].min()) / np.ptp(pixels[:, 1])
        np.testing.assert_allclose(drawn, heights, atol=0.002)


def test_a_gap_is_left_out_and_nothing_at_all_is_said() -> None:
    gap = figures.Series("s", [1, 2, 3], [0.5, None, 0.7])
    assert len(curve(figures.line_chart(AXES, [gap], 400, 300))) == 2
    nothing = figures.Series("s", [1, 2], [None, None])
    assert "no records" in figures.line_chart(AXES, [nothing], 400, 300)
    assert "no records" in figures.line_chart(AXES, [], 400, 300)


def test_names_in_charts_are_escaped() -> None:
    chart = figures.line_chart(AXES, [figures.Series("<b>", [1, 2], [1.0, 2.0])], 400, 300)
    assert "<b>" not in chart
    assert "&lt;b&gt;" in chart


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
def test_ticks_are_even_and_inside(low: float, span: float) -> None:
    found = figures.ticks(low, low + span)
    slack = 1e-6 * (span + abs(low))
    assert 1 <= len(found) <= 8
    assert found[0] >= low - slack
    assert found[-1] <= low + span + slack
    np.testing.assert_allclose(np.diff(found, 2), 0, atol=slack)


def test_steps_name_the_lead_they_add(inputs: page.Inputs) -> None:
    charts = curves.partial_leads(inputs.partial_leads, inputs.partial_rows, 100, printed(inputs))
    chart = charts["wide"]
    names = re.findall(r'<text class="name"[^>]*>([^<]*)<', chart)
    assert names == ["I", "II", "III", "aVF", "aVR", "aVL", *LEADS[6:]]


def test_named_sets_have_a_table_the_smallest_first(inputs: page.Inputs, html: str) -> None:
    table = tables.lead_sets(inputs.partial_leads, 100)
    (group,) = table.groups
    assert [row[0].text for row in group.rows] == ["I II", "I II III aVR aVL aVF"]
    zero, probe = (inputs.partial_leads[name]["limb"] for name in ("zero_shot", "linear_probe"))
    expected = [zero["auroc"], zero["below_full"], probe["auroc"], probe["below_full"]]
    assert [cell.text for cell in group.rows[1][1:]] == [f"{value:.3f}" for value in expected]
    assert table.caption in html


def drawn(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and microvolts of a trace, read back from its path."""
    numbers = np.array([int(n) for n in re.findall(r"-?\d+", path)])
    points = np.cumsum(numbers.reshape(-1, 2), axis=0) / ecg_paper.UNITS_PER_MM
    return points[:, 0] / ecg_paper.MM_PER_SECOND, -points[:, 1] / ecg_paper.MM_PER_MILLIVOLT * 1000


@given(st.lists(st.integers(-3000, 3000), min_size=2, max_size=400), st.sampled_from([100, 500]))
@settings(deadline=None)
def test_a_trace_keeps_every_peak_at_its_place(values: list[int], rate: int) -> None:
    signal = np.array(values, dtype=np.int16)
    seconds, microvolt = drawn(ecg_paper.trace(signal, rate))
    half = 500 / ecg_paper.MM_PER_MILLIVOLT / ecg_paper.UNITS_PER_MM + 1e-6
    for extreme, position in (
        (microvolt.max(), signal.argmax()),
        (microvolt.min(), signal.argmin()),
    ):
        assert abs(extreme - signal[position]) <= half
    nearest = np.rint(seconds * rate).astype(int)
    assert np.all(np.abs(seconds * rate - nearest) <= rate * 0.5 / 25 / 20 + 1e-6)
    assert nearest[0] == 0
    assert nearest[-1] == len(signal) - 1
    assert np.all(np.diff(nearest) > 0)


def names_in(svg: Markup) -> list[str]:
    return re.findall(r'<text x="[^"]*" y="[^"]*">([^<]*)<', svg)


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
    shuffled = ecg_paper.picture(dict(reversed(beats.items())), RATE, "t")
    assert shuffled == twelve


def test_a_picture_needs_leads_of_one_length() -> None:
    with pytest.raises(ValueError, match=r"not lengths \[5, 6\]"):
        ecg_paper.picture({"I": np.zeros(5), "II": np.zeros(6)}, RATE, "t")
    with pytest.raises(ValueError, match="leads of one length"):
        ecg_paper.picture({}, RATE, "t")


def test_lead_sets_of_the_made_up_run_are_the_papers() -> None:
    assert LEAD_SETS["4"] == ("I", "II", "III", "aVF")
