"""The paper's tables, ours beside them: the grid, its writers, the page and the command."""

import csv as standard_csv
import dataclasses
import io
import json as standard_json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kmerl import cli
from kmerl.experiments import catalogue as catalogues
from kmerl.experiments import runs
from kmerl.experiments.catalogue import Catalogue
from kmerl.report import paper_page
from kmerl.report.paper_tables import grid, not_run, stacked
from kmerl.report.results import Result, comparing, results
from kmerl.report.writers import csv, json, latex, markdown, terminal
from kmerl.report.writers.files import write_tables
from tests.experiment_runs import (
    CATALOGUE,
    COMMIT,
    METRICS,
    RAN,
    SMALL,
    TWO_SEEDS,
    WORDS,
    made_up,
    only,
)


@pytest.fixture(scope="module")
def paper() -> Catalogue:
    return catalogues.read()


@pytest.fixture(scope="module", params=[True, False], ids=["ran", "not run"])
def everything(paper: Catalogue, request: pytest.FixtureRequest) -> list[Result]:
    """Every table of experiments.yaml, with runs of all or of none."""
    return results(paper, made_up(paper, paper.experiments) if request.param else [])


def test_paper_and_ours_are_never_read_as_one_measurement(everything: list[Result]) -> None:
    for result in everything:
        said = result.measured()
        assert (WORDS in said) == ("demo, the synthetic demo cohort" in said) == result.ran
        assert ("not the paper's measurement" in said) == (result.printed and result.ran)
        assert ("771,693" in said) == result.printed


# ---------------------------------------------------------------- text


def text_of(result: Result, **options: Any) -> str:
    return terminal.as_text(grid(result), **options)


def test_no_table_is_wider_than_the_terminal(everything: list[Result]) -> None:
    for result in everything:
        for width in (100, 120):
            lines = text_of(result, width=width).splitlines()
            assert max(map(len, lines)) <= width, result.table.name


def test_each_cell_is_printed_once_in_the_row_of_its_label(paper: Catalogue) -> None:
    (result,) = results(paper, made_up(paper, ["kmerl", "simclr"]), ["table-1"])
    (ours,) = [line for line in result.lines if line.row.experiment == "simclr"]
    for wide in (False, True):
        text = text_of(result, wide=wide)
        rows = [line for line in text.splitlines() if line.strip().startswith("SimCLR")]
        assert len(rows) == 1 or not wide
        for column, value in ours.ours.items():
            printed = f"{ours.row.paper[column]:.2f}"
            cell = f"{printed}  {value.value:.2f} [{value.lo:.1f}, {value.hi:.1f}] ±{value.sd:.1f}"
            assert sum(row.count(cell) for row in rows) == 1, (wide, column)
        assert sum("3  simclr  0123456" in re.sub(" {2,}", "  ", row) for row in rows) == 1


def test_the_small_table_reads_as_it_should() -> None:
    lines = text_of(only(TWO_SEEDS), width=120).splitlines()
    assert lines[0] == "table-x  Masking & more (Table X)"
    (row,) = [line for line in lines if line.startswith("K-MERL") and "71.61" in line]
    assert re.split(" {2,}", row)[:5] == [
        "K-MERL (Ours)", "71.61", "71.00 [67.0, 74.5] ±1.4", "76.50", "71.00 [67.0, 74.5] ±1.4",
    ]  # fmt: skip
    (hub,) = [line for line in lines if line.startswith("From a hub") and "70.00" in line]
    assert re.split(" {2,}", hub)[1:4] == ["70.00", "-", "-"]
    assert any(line.startswith("- Masking_50%") and " none " in line for line in lines)
    assert f"Not run at scale demo; {catalogues.NEEDS['hub']}: hub-text." in lines
    assert "To run them: kmerl experiments queue table-x" in lines


def test_what_did_not_run_shows_the_papers_values_alone() -> None:
    text = text_of(only([]))
    assert "71.61" in text
    assert "ours" not in text.split("Not run")[0].replace("Ours: not run", "")


# ---------------------------------------------------------------- the grid


def test_columns_share_a_heading_or_keep_their_name(paper: Catalogue) -> None:
    one, two = map(grid, results(paper, [], ["table-1", "table-2d"]))
    headings = {h: [one.columns[k].title for k in places] for h, places in one.headings()}
    assert list(headings) == [
        "PTBXL-Super", "PTBXL-Sub", "PTBXL-Form", "PTBXL-Rhythm", "CPSC2018", "CSN",
    ]  # fmt: skip
    assert set(map(tuple, headings.values())) == {("1%", "10%", "100%")}
    assert [(column.heading, column.title) for column in two.columns] == [
        ("", "1 lead"), ("", "12 leads"),
    ]  # fmt: skip
    assert [column.name for column in one.columns][:2] == ["PTBXL-Super 1%", "PTBXL-Super 10%"]


def test_tasks_stand_below_each_other_on_a_page(paper: Catalogue) -> None:
    found = {g.name: g for g in map(grid, results(paper, made_up(paper, RAN)))}
    table = stacked(found["table-1"])
    assert [group.title for group in table.groups][:2] == ["PTBXL-Super", "PTBXL-Sub"]
    assert {len(row.cells) for row in table.rows} == {len(table.columns)} == {3}
    (last,) = [row for row in table.groups[-1].rows if row.label == "K-MERL (Ours)"]
    assert [cell.printed() for cell in last.cells] == ["69.51", "83.53", "93.71"]
    assert stacked(found["table-2d"]) is found["table-2d"]


def test_a_row_of_a_page_holds_the_paper_ours_seeds_name_and_commit(paper: Catalogue) -> None:
    (result,) = results(paper, made_up(paper, RAN), ["table-2d"])
    text = paper_page.render(paper, [result])
    heads = re.findall(r'<th scope="col".*?>(.*?)</th>', text)
    assert heads == [
        "", "1 lead: paper", "1 lead: ours", "12 leads: paper", "12 leads: ours", "seeds",
        "experiment", "commit",
    ]  # fmt: skip
    value = result.lines[0].ours["1 lead"]
    (row,) = re.findall(r"<tr>(<th[^>]*>K-MERL \(Ours\).*?)</tr>", text, re.S)
    first, second, *_, seeds, name, commit = re.findall("<td.*?>(.*?)</td>", row)
    assert (first, seeds, name, commit) == ("71.61", "3", "kmerl", "0123456")
    small = f"{value.lo:.1f}–{value.hi:.1f} ±{value.sd:.1f}"
    assert second == f"{value.value:.2f}<small>{small}</small>"
    assert '<td class="none">not run</td>' in text


def test_the_page_shows_what_ran_and_lists_the_rest(paper: Catalogue) -> None:
    found = results(paper, made_up(paper, RAN))
    text = paper_page.render(paper, found)
    shown = [result.table.name for result in comparing(found)]
    assert re.findall(r'<section id="(.*?)-demo">', text) == shown
    missing = re.findall(r'<th scope="row">([\w-]+)</th>', text.split('id="not-run"')[1])
    assert sorted(shown + missing) == sorted(paper.tables)
    assert ("table-2d" in shown, "table-2e" in missing) == (True, True)
    assert text.count(WORDS) >= len(shown)
    (needs,) = [row.cells[2].text for row in not_run(paper, ["table-2e"]).rows]
    assert needs == catalogues.NEEDS["hub"]
    nothing = paper_page.render(paper, results(paper, []))
    assert "no experiment has run" in nothing
    assert "not-run" not in paper_page.render(paper, found[:1], named=True)


def test_charts_of_a_page_name_their_numbers_and_have_switches(paper: Catalogue) -> None:
    (result,) = results(paper, made_up(paper, RAN), ["figure-4"])
    text = paper_page.render(paper, [result])
    value = result.lines[0].ours["CSN"]
    assert f"K-MERL (Ours), CSN: {value.value:.2f} ({value.lo:.2f} to {value.hi:.2f})" in text
    assert 'class="s0 whisker"' in text
    assert "PTBXL-Super</text>" in text
    assert text.count("<input type=") == 3


# ---------------------------------------------------------------- CSV, JSON, Markdown, LaTeX


def test_csv_has_a_row_a_cell_and_the_same_numbers_as_json() -> None:
    found = [grid(only(TWO_SEEDS))]
    rows = list(standard_csv.DictReader(io.StringIO(csv.as_csv(found))))
    assert tuple(rows[0]) == csv.COLUMNS
    assert len(rows) == len(SMALL.rows) * len(METRICS)
    assert rows[0] == {
        "table": "table-x", "row": "K-MERL (Ours)", "experiment": "kmerl", "column": "1 lead",
        "paper": "71.61", "ours": "71.0", "lo": "67.0", "hi": "74.5", "sd": "1.41", "seeds": "2",
        "scale": "demo", "commit": COMMIT, "words": WORDS, "absent": "",
    }  # fmt: skip
    assert rows[-1]["ours"] == rows[-1]["scale"] == ""
    assert "model hub" in rows[-1]["absent"]
    (table,) = standard_json.loads(json.as_json(found))
    assert set(table) == {"table", "caption", "source", "measured", "remarks", "rows"}
    assert [row["ours"] for row in table["rows"]] == [
        float(row["ours"]) if row["ours"] else None for row in rows
    ]


def test_files_hold_every_scale_of_a_table(paper: Catalogue, tmp_path: Path) -> None:
    given = made_up(paper, ["kmerl"]) + made_up(paper, ["kmerl"], [0], "paper", "771,693 pairs")
    written = write_tables([grid(one) for one in results(paper, given, ["table-2d"])], tmp_path)
    assert [path.name for path in written] == ["table-2d.csv", "table-2d.tex"]
    scales = {line.split(",")[10] for line in written[0].read_text().splitlines()[1:]}
    assert scales == {"demo", "paper", ""}
    labels = re.findall(r"\\label\{(.*)\}", written[1].read_text())
    assert labels == ["tab:table-2d-demo", "tab:table-2d-paper"]


def test_markdown_has_every_row_and_column_once(everything: list[Result]) -> None:
    for result in everything:
        rows = [
            [cell.strip() for cell in line.strip("|").split(" | ")]
            for line in markdown.as_markdown([grid(result)]).splitlines()
            if line.startswith("| ")
        ]
        tables = sum(row[-1] == "commit" for row in rows)
        for line in result.lines:
            same = [row for row in rows if f"`{line.row.experiment}`" in row]
            assert len(same) == tables, result.table.name
            for value in line.row.paper.values():
                assert any(f"{value:.{result.decimals()}f}" in row for row in same), value
        headed = [title for row in rows if row[-1] == "commit" for title in row[1:-3]]
        named = [title.removesuffix(": paper") for title in headed if title != "ours"]
        assert named == [column.title for column in grid(result).columns]


def test_markdown_says_what_is_ours_and_what_did_not_run() -> None:
    text = markdown.as_markdown([grid(only(TWO_SEEDS))])
    assert "## Masking & more (Table X)" in text
    assert "| K-MERL (Ours) | 71.61 | 71.00 [67.0, 74.5] ±1.4 |" in text
    assert "| not run |" in text


def tabulars(text: str) -> list[tuple[str, list[str]]]:
    """The column specification and the rows of each tabular."""
    found = re.findall(r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\\end\{tabular\}", text, re.S)
    return [
        (spec, [line for line in body.splitlines() if line.endswith(r"\\")]) for spec, body in found
    ]


def cells_across(row: str) -> int:
    """The columns that a row of LaTeX fills."""
    spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", row)]
    return len(re.findall(r"(?<!\\)&", row)) + 1 + sum(spans) - len(spans)


def test_latex_is_well_formed_and_plain_ascii(everything: list[Result]) -> None:
    for result in everything:
        text = latex.as_latex([grid(result)])
        assert text.isascii(), result.table.name
        opened = re.findall(r"\\begin\{([\w*]+)\}", text)
        assert opened == re.findall(r"\\end\{([\w*]+)\}", text)[::-1]
        bare = text.replace(r"\{", "").replace(r"\}", "")
        assert bare.count("{") == bare.count("}")
        uncommented = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
        assert not re.search(r"(?<!\\)[%#_]", re.sub(r"\\label\{.*\}", "", uncommented))
        ((spec, rows),) = tabulars(text)
        assert {cells_across(row) for row in rows} == {len(spec)}, result.table.name
        for rule in ("toprule", "midrule", "bottomrule"):
            assert rf"\{rule}" in text


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex to compile LaTeX with")
def test_latex_compiles_and_fits_a_page(everything: list[Result], tmp_path: Path) -> None:
    """Seven inches: a page of two columns as journals set it."""
    tables = "\\clearpage\n".join(latex.as_latex([grid(result)]) for result in everything)
    head = r"\documentclass{article}\usepackage{booktabs}\textwidth=7in\begin{document}"
    (tmp_path / "all.tex").write_text(f"{head}\n{tables}\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert re.findall(r"Overfull .*", done.stdout) == []
    assert f"({len(everything)} pages" in done.stdout


def test_latex_leaves_out_the_papers_column_where_it_prints_nothing(paper: Catalogue) -> None:
    text = latex.as_latex(
        [grid(one) for one in results(paper, made_up(paper, ["kmerl"]), ["figure-5a"])]
    )
    assert r" & ours & ours & seeds \\" in text
    assert "paper &" not in text


def test_latex_sets_the_best_of_each_side_in_bold() -> None:
    text = latex.as_latex([grid(only(TWO_SEEDS))])
    (row,) = [line for line in text.splitlines() if line.startswith("K-MERL")]
    assert row == (
        r"K-MERL (Ours) & \textbf{71.61} & \textbf{71.00} {\scriptsize [67.0, 74.5]} & 76.50 & "
        r"71.00 {\scriptsize [67.0, 74.5]} & 2 \\"
    )
    assert r"- Masking\_50\% & 68.93 & 65.00" in text
    assert r"\caption{Masking \& more (Table X). Paper: pretrained on" in text
    assert f"% commits: {COMMIT}" in text


def test_latex_of_many_columns_marks_the_papers_lines_and_ours(paper: Catalogue) -> None:
    text = latex.as_latex(
        [grid(one) for one in results(paper, made_up(paper, ["simclr"]), ["table-1"])]
    )
    rows = text.splitlines()
    at = next(k for k, row in enumerate(rows) if row.startswith("SimCLR & paper & 63.41 &"))
    assert rows[at + 1].startswith(" & ours & ")
    assert any(row.startswith("BYOL & paper") for row in rows)
    assert rows.count(r"\begin{table*}") == 1


def test_mathematics_is_left_alone() -> None:
    assert latex.escaped(r"- $\mathcal{L}_{CQ}$ & 5 %") == r"- $\mathcal{L}_{CQ}$ \& 5 \%"
    assert latex.escaped("a_b ±1–2 $") == r"a\_b $\pm$1--2 \$"


def test_the_papers_decimals_are_kept(paper: Catalogue) -> None:
    assert only(TWO_SEEDS).decimals() == 2
    rows = tuple(dataclasses.replace(row, paper={"1 lead": 70.5}) for row in SMALL.rows)
    table = dataclasses.replace(SMALL, rows=rows)
    (result,) = results(dataclasses.replace(CATALOGUE, tables={"table-x": table}), TWO_SEEDS)
    assert result.decimals() == 1
    assert "71.0 [67.0, 74.5]" in text_of(result)


# ---------------------------------------------------------------- the command


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


@pytest.mark.parametrize(
    ("form", "start", "part"),
    [
        ("text", "table-2d  Masking strategy (Table 2d)\nPaper: pretrained on", "71.61"),
        ("csv", ",".join(csv.COLUMNS), "71.61"),
        ("latex", "% table-2d", r"\toprule"),
        ("markdown", "## Masking strategy", "| - Lead Masking | 65.41 |"),
        ("json", "[", '"table": "table-2d"'),
        ("html", "<!doctype html>", '<section id="table-2d-demo">'),
    ],
)
def test_the_command_prints_a_table_in_each_format(
    place: Path, form: str, start: str, part: str
) -> None:
    text = invoked("table-2d", "--format", form)
    assert text.startswith(start)
    assert part in text


def test_what_compares_nothing_is_a_list_unless_asked_for(place: Path) -> None:
    text = invoked()
    assert "\nOf these no row has run, or K-MERL's alone:\n" in text
    assert re.search(r"^  table-2e +\S.* \(Table 2e\)$", text, re.M)
    assert not re.search(r"^  table-2d ", text, re.M)
    assert invoked("table-2e").startswith("table-2e  ")


def test_the_command_writes_files_and_figures(place: Path) -> None:
    invoked("table-2d", "figure-6a", "--out", "made")
    assert sorted(path.name for path in (place / "made").iterdir()) == [
        "figure-6a-demo.pdf", "figure-6a-demo.svg", "figure-6a.csv", "figure-6a.tex",
        "table-2d.csv", "table-2d.tex",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["table-9"], "there is no table 'table-9'"), (["--scale", "huge"], "choose one of demo")],
)
def test_the_command_says_what_it_does_not_know(
    place: Path, arguments: list[str], message: str
) -> None:
    done = CliRunner().invoke(cli.app, ["tables", *arguments])
    assert (done.exit_code, message in done.stderr) == (1, True)
