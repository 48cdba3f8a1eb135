"""The page's section of the paper's tables and figures, their drawings, and `kmerl tables`."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kmerl import cli
from kmerl.experiments import catalogue as catalogues
from kmerl.experiments import runs
from kmerl.experiments.catalogue import Catalogue
from kmerl.report import curves, drawings, export, figures, section
from kmerl.report.panels import panels
from kmerl.report.results import Result, results
from tests.experiment_runs import WORDS, made_up

RAN = ("kmerl", "merl-resnet", "merl-vit", "tokens-50", "no-segment-masking")


@pytest.fixture(scope="module")
def paper() -> Catalogue:
    return catalogues.read()


@pytest.fixture(scope="module")
def found(paper: Catalogue) -> dict[str, Result]:
    return {result.table.name: result for result in results(paper, made_up(paper, RAN))}


# ---------------------------------------------------------------- panels


def test_paper_and_ours_are_panels_of_their_own(found: dict[str, Result]) -> None:
    (ours,) = panels(found["figure-6a"])
    assert ours.title == "Ours, scale demo"
    assert list(ours.ticks) == list(range(1, 13))
    kmerl = ours.points[0]
    line = found["figure-6a"].lines[0]
    assert kmerl.y == tuple(line.ours[str(k)].value for k in range(1, 13))
    assert kmerl.lo == tuple(line.ours[str(k)].lo for k in range(1, 13))
    assert kmerl.joined
    assert panels(found["table-1"]) == []


def test_the_papers_panel_holds_its_numbers_alone(paper: Catalogue) -> None:
    given = paper.tables["table-2d"]
    table = type(given)(**{**vars(given), "kind": "bars"})
    whole = Catalogue(paper.every, paper.targets, paper.experiments, {"table-2d": table})
    (result,) = results(whole, made_up(paper, ["kmerl"]))
    theirs, ours = panels(result)
    assert theirs.title == "Paper, Table 2d"
    assert [points.y for points in theirs.points][:2] == [(71.61, 76.52), (70.32, 75.21)]
    assert theirs.points[0].lo == (None, None)
    assert [points.y for points in ours.points][1] == (None, None)
    assert theirs.words == ["1 lead", "12 leads"]
    beside = [points.x[0] for points in theirs.points]
    assert beside == sorted(set(beside))
    assert not any(points.joined for points in theirs.points)


def test_a_row_without_x_is_a_level_across_the_figure(found: dict[str, Result]) -> None:
    (ours,) = panels(found["figure-7-left"])
    curve, resnet, vit = ours.points
    assert (curve.name, resnet.name, vit.name) == ("K-MERL", "MERL (ResNet)", "MERL (ViT)")
    assert list(curve.x) == [25, 50, 100, 200]
    assert [y is None for y in curve.y] == [True, False, False, True]
    assert not curve.joined
    assert list(resnet.x) == [25, 200]
    assert resnet.y[0] == resnet.y[1]
    assert len({points.style for points in ours.points}) == 3


def test_words_on_the_axis_keep_their_order(paper: Catalogue) -> None:
    runs_of_sizes = made_up(paper, ["size-micro", "size-nano", "size-tiny"])
    (result,) = results(paper, runs_of_sizes, ["figure-8"])
    ours = panels(result)[-1]
    assert ours.words[:3] == ["nano", "micro", "tiny"]
    assert [y is None for y in ours.points[0].y] == [False, False, False, True, True, True]


# ---------------------------------------------------------------- charts


def test_charts_name_their_numbers_and_their_words(
    paper: Catalogue, found: dict[str, Result]
) -> None:
    shown = {one["name"]: one for one in section.section(paper, list(found.values()))["ran"]}
    (_, chart), *_ = shown["figure-4"]["charts"]
    value = found["figure-4"].lines[0].ours["CSN"]
    tooltip = f"K-MERL (Ours), CSN: {value.value:.2f} ({value.lo:.2f} to {value.hi:.2f})"
    assert tooltip in chart
    assert 'class="s0 whisker"' in chart
    assert "PTBXL-Super</text>" in chart
    assert shown["figure-4"]["legend"].count("<input type=") == 3


@pytest.mark.parametrize("style", range(figures.STYLES))
def test_every_style_has_a_mark_and_a_colour(style: int) -> None:
    one = figures.Series("s", [1, 2], [0.1, 0.2], style=style)
    chart = figures.line_chart(figures.Axes("t", "x", "y"), [one], 400, 300)
    ET.fromstring(chart)
    css = Path("kmerl/report/templates/report.css").read_text(encoding="utf-8")
    assert css.count(f"--s{style}:") == 2  # light and dark
    assert f".s{style}{{--c:var(--s{style})}}" in css
    assert f".plot:has(.k{style} input:not(:checked)) .pair .s{style}{{display:none}}" in css
    others = [figures.SHAPES[k] for k in range(figures.STYLES) if k != style]
    assert figures.SHAPES[style] not in others


# ---------------------------------------------------------------- the page


def test_the_section_shows_what_ran_and_lists_the_rest(
    paper: Catalogue, found: dict[str, Result]
) -> None:
    shown = section.section(paper, list(found.values()))
    names = [one["name"] for one in shown["ran"]]
    missing = [row[0].text for row in shown["missing"].groups[0].rows]
    assert sorted(names + missing) == sorted(paper.tables)
    assert "table-2d" in names
    assert "table-2e" in missing
    assert all(WORDS in one["measured"] for one in shown["ran"])
    needs = {row[0].text: row[3].text for row in shown["missing"].groups[0].rows}
    assert needs["table-2e"] == catalogues.NEEDS["hub"]
    nothing = section.section(paper, [])
    assert nothing["ran"] == []
    assert len(nothing["missing"].groups[0].rows) == len(paper.tables)


def test_a_page_table_holds_the_paper_ours_seeds_name_and_commit(found: dict[str, Result]) -> None:
    table = section._table(found["table-2d"])
    assert table.columns == (
        "Row", "1 lead: paper", "1 lead: ours", "12 leads: paper", "12 leads: ours", "Seeds",
        "Experiment", "Commit",
    )  # fmt: skip
    row = table.groups[0].rows[0]
    value = found["table-2d"].lines[0].ours["1 lead"]
    assert [cell.text for cell in row] == [
        "K-MERL (Ours)", "71.61", f"{value.value:.2f}", "76.52", row[4].text, "3", "kmerl",
        "0123456",
    ]  # fmt: skip
    assert row[2].detail == f"{value.lo:.1f}–{value.hi:.1f} ±{value.sd:.1f}"
    assert table.groups[0].rows[1][2].text == "not run"


def test_the_columns_of_table_1_are_groups_of_one_width(found: dict[str, Result]) -> None:
    table = section._table(found["table-1"])
    assert [group.title for group in table.groups][:2] == ["PTBXL-Super", "PTBXL-Sub"]
    assert {len(row) for group in table.groups for row in group.rows} == {len(table.columns)}
    last = next(row for row in table.groups[-1].rows if row[0].text == "K-MERL (Ours)")
    assert [last[k].text for k in (1, 3, 5)] == ["69.51", "83.53", "93.71"]


# ---------------------------------------------------------------- drawings


def test_drawings_are_the_same_bytes_and_hold_text(
    found: dict[str, Result], tmp_path: Path
) -> None:
    written = drawings.write(found["figure-4"], tmp_path)
    assert [path.name for path in written] == ["figure-4-demo.svg", "figure-4-demo.pdf"]
    first = [path.read_bytes() for path in written]
    drawings.write(found["figure-4"], tmp_path)
    assert [path.read_bytes() for path in written] == first
    svg = first[0].decode()
    ET.fromstring(svg)
    assert "date>" not in svg
    assert b"CreationDate" not in first[1]
    for text in ("MERL (ResNet)", "PTBXL-Rhythm", WORDS, "Ours, scale demo"):
        assert f">{text}" in svg or text in svg
    assert "<text" in svg


def test_a_table_and_a_figure_without_numbers_are_not_drawn(
    paper: Catalogue, found: dict[str, Result], tmp_path: Path
) -> None:
    assert drawings.write(found["table-2d"], tmp_path) == []
    (result,) = results(paper, [], ["figure-6a"])
    assert drawings.write(result, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_curves_differ_in_colour_marker_and_dash() -> None:
    for looks in (drawings.COLOURS, drawings.MARKERS, drawings.DASHES):
        assert len(set(looks)) == len(drawings.COLOURS)


# ---------------------------------------------------------------- files and the command


def test_files_hold_every_scale_of_a_table(paper: Catalogue, tmp_path: Path) -> None:
    given = made_up(paper, ["kmerl"]) + made_up(paper, ["kmerl"], [0], "paper", "771,693 pairs")
    written = export.write(results(paper, given, ["table-2d"]), tmp_path)
    assert [path.name for path in written] == ["table-2d.csv", "table-2d.tex"]
    scales = {line.split(",")[10] for line in written[0].read_text().splitlines()[1:]}
    assert scales == {"demo", "paper", ""}
    labels = re.findall(r"\\label\{(.*)\}", written[1].read_text())
    assert labels == ["tab:table-2d-demo", "tab:table-2d-paper"]


@pytest.fixture
def place(paper: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with experiments.yaml, params.yaml and a few runs."""
    for name, source in {"experiments.yaml": "", "params.yaml": "params/demo.yaml"}.items():
        (tmp_path / name).write_bytes(Path(source or name).read_bytes())
    runs.write(made_up(paper, RAN), tmp_path / runs.FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoked(*arguments: str) -> str:
    done = CliRunner().invoke(cli.app, ["tables", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_prints_a_table_in_each_format(place: Path) -> None:
    text = invoked("table-2d")
    assert text.startswith("table-2d  Masking strategy (Table 2d)\nPaper: pretrained on")
    assert "71.61" in text
    assert invoked("table-2d", "--format", "csv").startswith(",".join(export.COLUMNS))
    assert r"\toprule" in invoked("table-2d", "--format", "latex")
    assert "| - Lead Masking | 65.41 |" in invoked("table-2d", "--format", "markdown")
    (table,) = json.loads(invoked("table-2d", "--format", "json"))
    assert table["table"] == "table-2d"
    assert "\nOf these no row has run, or K-MERL's alone:\n" in invoked()


def test_the_command_writes_files_and_figures(place: Path) -> None:
    invoked("table-2d", "figure-6a", "--out", "made")
    assert sorted(path.name for path in (place / "made").iterdir()) == [
        "figure-6a-demo.pdf", "figure-6a-demo.svg", "figure-6a.csv", "figure-6a.tex",
        "table-2d.csv", "table-2d.tex",
    ]  # fmt: skip


def test_the_command_says_what_it_does_not_know(place: Path) -> None:
    done = CliRunner().invoke(cli.app, ["tables", "table-9"])
    assert (done.exit_code, "there is no table 'table-9'" in done.stderr) == (1, True)
    done = CliRunner().invoke(cli.app, ["tables", "--scale", "huge"])
    assert (done.exit_code, "choose one of demo" in done.stderr) == (1, True)


# ---------------------------------------------------------------- losses


def test_every_term_of_a_method_has_a_chart_with_a_title() -> None:
    rows = [
        {"epoch": str(e), "loss": f"{1 / e}", "prediction": f"{1 / e}", "my_term": "0.5",
         "learning_rate": "1", "val_loss": f"{2 / e}", "val_prediction": "", "feature_std": "1",
         "projection_rank": "3", "step": "4"}
        for e in range(1, 5)
    ]  # fmt: skip
    charts = dict(curves.losses(rows))
    assert list(charts) == ["Total loss", "Prediction", "My term"]
    assert charts["Total loss"].count("curve") == 2
    assert charts["Prediction"].count("curve") == 1
    assert curves.losses([]) == []


def test_every_loss_of_the_methods_has_a_title_of_its_own() -> None:
    terms = set()
    for path in Path("kmerl/methods").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        terms |= set(
            re.findall(r'(?:terms\[|return \{|terms = \{|^ +)"(\w+)"(?:\]|:)', source, re.M)
        )
    assert {"contrast", "query", "reconstruction", "temporal", "adversary"} <= terms
    assert terms <= set(curves.LOSSES), sorted(terms - set(curves.LOSSES))
