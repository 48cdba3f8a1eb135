"""The two pages, and the tables of a run."""

import contextlib
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from kmerl.evaluation.scores import Scores
from kmerl.files import read_json, read_yaml
from kmerl.leads import LEADS
from kmerl.report import run_page, run_tables
from kmerl.report.examples import first_positives, read_signals
from kmerl.report.grid import Cell
from kmerl.report.published import PUBLISHED
from kmerl.store import StoreError
from kmerl.tasks.classes import classes
from stages import paper as paper_stage
from stages import report as report_stage
from tests.report_run import empty, write_run

REPORT = run_page.Report(task="ptbxl_super", leads="2", top=3)
VOID = {"meta", "link", "br", "input"}
CSN = "Chapman-Shaoxing-Ningbo"


@pytest.fixture(scope="module")
def run(tmp_path_factory, evaluation_cohort):
    """A run whose stages `report` and `paper` have written their pages and files."""
    root = tmp_path_factory.mktemp("run")
    write_run(root, evaluation_cohort)
    with contextlib.chdir(root):
        report_stage.main()
        paper_stage.main()
    return root


@pytest.fixture(scope="module")
def inputs(run):
    return run_page.read_inputs(run, REPORT)


@pytest.fixture(scope="module")
def metrics(inputs):
    return inputs.metrics


@pytest.fixture(scope="module")
def html(run):
    return (run / "report/index.html").read_text(encoding="utf-8")


@pytest.fixture(params=["index", "paper"])
def either(run, request):
    return (run / f"report/{request.param}.html").read_text(encoding="utf-8")


def rendered(inputs, simulated, **values):
    return run_page.render(inputs, REPORT, read_yaml(Path("params/demo.yaml")) | values, simulated)


class Outline(HTMLParser):
    """Tags that are left open or closed out of order, and what the page is made of."""

    def __init__(self, text):
        super().__init__()
        self.open, self.faults, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def named(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


# ---------------------------------------------------------------- both pages


def test_a_page_is_well_formed_and_asks_the_network_for_nothing(either):
    for asked in ("http:", "https:", "src=", "<script", "@import", "url(", "<iframe", "javascript"):
        assert asked not in either
    assert len(either.encode()) < 1_000_000
    outline = Outline(either)
    assert (outline.faults, outline.open) == ([], [])
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {link["href"] for link in outline.named("a")}
    assert len(targets) > 5
    assert {t for t in targets if not t.startswith("#")} <= {"index.html", "paper.html"}
    assert {t.removeprefix("#") for t in targets if t.startswith("#")} <= set(ids)


def test_tables_and_drawings_speak_and_a_row_has_a_cell_below_each_head(either):
    outline = Outline(either)
    assert len(outline.named("caption")) == len(outline.named("table")) > 4
    assert all("scope" in cell for cell in outline.named("th"))
    drawings = [svg for svg in outline.named("svg") if "aria-hidden" not in svg]
    assert len(drawings) > 0
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in drawings)
    for table in re.findall(r"<table>(.*?)</table>", either, re.S):
        heads = table.count('scope="col"')
        rows = re.findall(r"<tr>(.*?)</tr>", table, re.S)[1:]
        assert {row.count("<td") + row.count("<th") for row in rows} == {heads}
        assert set(re.findall(r'colspan="(\d+)"', table)) <= {str(heads)}


def test_the_stages_write_pages_that_lead_to_each_other_and_files(run, html):
    paper = (run / "report/paper.html").read_text(encoding="utf-8")
    assert '<a href="paper.html"' in html
    assert '<a href="index.html"' in paper
    assert "min_leads: 0" in html
    assert "figure-7-left, 2 of 6 rows at scale demo" in paper
    report = run / "report"
    made = {path.relative_to(report).as_posix(): path.read_bytes() for path in report.rglob("*.*")}
    assert {"tables/table-2d.csv", "tables/table-2d.tex", "tables/table-2e.csv"} < made.keys()
    assert {"figures/figure-7-left-demo.svg", "figures/figure-7-left-demo.pdf"} < made.keys()
    with contextlib.chdir(run):
        report_stage.main()
        paper_stage.main()
    assert made == {name: (report / name).read_bytes() for name in made}


# ---------------------------------------------------------------- what the page of a run says


def test_the_page_says_which_corpora_are_simulated(inputs, html):
    assert "Simulated ECGs" in html
    assert "say nothing about patients" in html
    assert "under the corpus's own name" not in html
    real = rendered(inputs, set())
    assert "imulated" not in real
    assert "under the corpus's own name" in real
    mixed = rendered(inputs, {"mimic-iv-ecg"})
    assert "Partly simulated" in mixed
    assert "PTB-XL were read" in mixed


def test_the_page_says_what_its_scores_are(run, inputs, html):
    assert "No label of these classes was used" in html
    assert "The query network is asked" in html
    other = rendered(inputs, set(), text={"source": "scp"}, zero_shot={"score": "cosine"})
    assert "Label-derived" in other
    assert "No label of these classes was used" not in other
    assert "(cosine)" in other
    found = read_json(run / "metrics/zero_shot.json")["ptbxl_super"]
    big = re.findall(r'<dd class="big">([\d.]+)</dd>', html)
    assert big == [f"{found[key]['auroc']:.3f}" for key in ("12", "I+II", "1")]


def test_entities_hang_below_their_superclass_and_are_escaped(inputs, html):
    groups = run_page.hierarchy(inputs.entities)
    assert [group["name"] for group in groups] == ["rhythm", "conduction disturbance", ""]
    children = [[child["name"] for child in group["children"]] for group in groups]
    assert (children[0], children[2]) == (["sinus rhythm", "atrial fibrillation"], ["low voltage"])
    assert "auricular fibrillation" in html
    assert "1° &lt;av&gt; block" in html
    assert "<av>" not in html


def test_empty_corpora_are_said_to_be_empty(run, tmp_path):
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)
    empty(tmp_path)
    inputs = run_page.read_inputs(tmp_path, REPORT)
    html = rendered(inputs, set())
    assert Outline(html).faults == []
    first = run_tables.zero_shot(inputs.metrics["zero_shot"], {}).rows[0]
    assert first.cells[0] == run_tables.NO_RECORDS
    assert '<dd class="big none">no records</dd>' in html
    assert html.count("no records") > 20
    assert not re.search(r"\b(nan|None|inf)\b", re.sub(r"<style>.*?</style>", "", html, flags=re.S))


def test_a_missing_file_or_record_is_named(run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"ingest\.json does not exist; run `dvc repro`"):
        run_page.read_inputs(tmp_path, REPORT)
    with pytest.raises(StoreError, match="no record '7'"):
        read_signals(run / "data/ecg/ptb-xl", ["7"])


# ---------------------------------------------------------------- tables of a run


def row(grid, label, group=""):
    """The cells of the one row of this name, by their columns' titles."""
    same = [g for g in grid.groups if group in ("", g.title)]
    (found,) = [one for g in same for one in g.rows if one.label == label]
    return dict(zip([column.title for column in grid.columns], found.cells, strict=True))


def test_zero_shot_rows_hold_our_scores_and_the_papers_mean(inputs):
    metrics = inputs.metrics["zero_shot"]
    grid = run_tables.zero_shot(metrics, inputs.printed)
    ours, found = metrics["csn"], row(grid, CSN)
    assert found["12 leads"] == Cell(*(ours["12"][f"auroc{end}"] for end in ("", "_lo", "_hi")))
    assert found["I and II"].value == ours["I+II"]["auroc"]
    assert found["I alone"].value == ours["1"]["auroc"]
    assert found["Common classes"].value == ours["12"]["auroc_common"]
    assert found["Other score"].value == ours["12"]["cosine_auroc"]
    assert row(grid, "CPSC2018")["Test records"].value == metrics["cpsc2018"]["12"]["records"]
    mean = row(grid, "Mean over the tasks")
    assert (mean["12 leads"].printed(), mean["I alone"].printed()) == ("0.765", "0.716")
    assert [group.total for group in grid.groups] == [False, True]


def test_linear_probe_stands_beside_table_1(inputs):
    metrics = inputs.metrics["linear_probe"]
    grid = run_tables.linear_probe(metrics, inputs.printed)
    beside = {g.title: [one.cells[1].printed() for one in g.rows] for g in grid.groups}
    assert beside["PTB-XL, superclasses"] == ["0.842", "0.877", "0.898"]
    assert beside[CSN] == ["0.695", "0.835", "0.937"]
    assert beside["Mean over the tasks"] == ["", "", ""]
    assert [one.label for one in grid.groups[0].rows] == ["1 %", "10 %", "100 %"]
    found = row(grid, "10 %", "PTB-XL, form")
    assert found["I and II"].value == metrics["ptbxl_form"]["10"]["I+II"]["auroc"]
    full = metrics["csn"]["1"]["12"]
    known = {key: value for key, value in full.items() if not key.startswith("auroc_tuned")}
    found = row(run_tables.linear_probe({"csn": {"1": {"12": known}}}, {}), "1 %")
    assert found["Neighbours"].value == full["knn_auroc"]
    assert found["Tuned"].shown() == "not run"


def test_fine_tuning_stands_beside_training_from_scratch(metrics):
    grid = run_tables.fine_tune(metrics["fine_tune"])
    ours = metrics["fine_tune"]["csn"]["100"]["I+II"]
    share, leads, *numbers = row(grid, CSN).values()
    assert (share.shown(), leads.shown()) == ("100 %", "I II")
    keys = ("train_records", "auroc", "scratch_auroc", "above_scratch", "f1")
    assert [cell.value for cell in numbers] == [ours[key] for key in keys]
    assert [one.label for one in grid.groups[1].rows] == ["Mean over the tasks"]


def test_named_sets_have_a_table_the_smallest_first(metrics):
    grid = run_tables.lead_sets(metrics["partial_leads"], 100)
    labels = [one.label.split() for one in grid.rows]
    assert labels == sorted(labels, key=len)
    zero, probe = (metrics["partial_leads"][p]["limb"] for p in ("zero_shot", "linear_probe"))
    expected = [zero["auroc"], zero["below_full"], probe["auroc"], probe["below_full"]]
    (limb,) = [one.cells for one in grid.rows if one.label == "I II III aVR aVL aVF"]
    assert [cell.value for cell in limb] == expected


def test_classes_with_few_positives_are_marked_and_the_commonest_are_first(inputs):
    tables = run_tables.classes(inputs.plots["zero_shot_classes"])
    for grid in tables.values():
        positives = [int(one.cells[0].value or 0) for one in grid.rows]
        assert positives == sorted(positives, reverse=True)
        marks = [one.mark for one in grid.rows]
        assert marks == ["few" if 0 < n < run_tables.FEW else "" for n in positives]
    assert sum(bool(one.mark) for grid in tables.values() for one in grid.rows) > 3


def test_counts_and_rejections_are_listed_beside_the_papers(metrics):
    left_out = {"rejected": 3, "rejected_truncated": 2, "rejected_all_nan": 1, "rejected_flat": 0}
    grid = run_tables.rejections(metrics["ingest"] | {"mimic-iv-ecg": left_out})
    assert {one.label: one.cells[0].value for one in grid.rows} == {"truncated": 2, "all NaN": 1}
    assert [group.title for group in grid.groups] == ["MIMIC-IV-ECG"]
    mining = {"expressions": 210, "verdicts": {"negated": 31}, "labels_per_record": 2.5}
    grid = run_tables.counts(mining | {"gap": None}, "c", PUBLISHED["mining"])
    assert {one.label: (one.cells[0].shown(), one.cells[0].printed()) for one in grid.rows} == {
        "expressions": ("210", "341"),
        "gap": ("none", ""),
        "labels per record": ("2.5", ""),
        "verdicts: negated": ("31", ""),
    }
    assert run_tables.counts(mining, "c").printed == [False]


def test_lead_sets_are_found_whatever_their_key():
    found = {"2": {"auroc": 0.7}, "limb": {"auroc": 0.8}}
    for leads, score in {"I+II": 0.7, "II,I": 0.7, "6": 0.8}.items():
        assert run_tables.by_leads(found, leads) == {"auroc": score}
    assert run_tables.by_leads(found, "12") is None


# ---------------------------------------------------------------- examples


def test_examples_are_the_first_records_of_their_class(inputs):
    found = {example.shown_for: example for example in inputs.examples}
    names = [one.name for one in classes("ptbxl_super")]
    assert [name for name in names if name in found] == list(found)
    for name, example in found.items():
        assert name in {p.name for p in example.predictions["ptbxl_super"] if p.labelled}
        assert set(example.signals) == set(LEADS)
        for predictions in example.predictions.values():
            whole = [p.all_leads for p in predictions]
            assert whole == sorted(whole, reverse=True)
            assert all(0 <= p.few_leads <= 1 for p in predictions)


@pytest.mark.parametrize(
    ("records", "truth", "chosen"),
    [
        (["10", "9", "11"], [[1, 1, 0], [1, 0, 0], [0, 1, 0]], {"9": "a", "10": "b"}),
        (["9"], [[1, 1, 0]], {"9": "a"}),
    ],
)
def test_first_positives_take_no_record_twice_and_count_as_people_do(records, truth, chosen):
    codes, labels = ("a", "b", "c"), np.array(truth, dtype=bool)
    scores = Scores("t", "c", codes, codes, tuple(records), (), {}, labels, {}, {})
    assert first_positives(scores) == chosen
