"""The paper's tables, ours beside them: the grid, its writers, the page and the command.

`python -m tests.test_paper_tables` writes tests/cases/tables anew, for a reader of the diff.
"""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kmerl import cli
from kmerl.experiments import catalogue as catalogues
from kmerl.experiments import runs
from kmerl.experiments.catalogue import Row
from kmerl.report import paper_page
from kmerl.report.paper_tables import grid, not_run, stacked
from kmerl.report.results import comparing, left_out, results
from kmerl.report.writers import html, latex, markdown, records, terminal
from kmerl.report.writers.files import write_tables
from tests import experiment_runs as made
from tests.experiment_runs import CATALOGUE, RAN, SMALL, TWO_SEEDS, WORDS, made_up, only
from tests.import_closure import ROOT

CASES = ROOT / "tests/cases/tables"
PAPER = catalogues.read(ROOT / "experiments.yaml", ROOT / "params/demo.yaml")
COLUMNS = {f"{t} {r}%": f"linear_probe.{t}.{r}.12.auroc" for t in ("PTBXL", "CSN") for r in (1, 99)}
LONG = Row("no-masking", "- Lead-independent Segment Masking of 50_%", group="Ours $a_b$")
MANY = replace(
    SMALL,
    name="table-y",
    columns=COLUMNS | {"PTBXL 100%": "linear_probe.all.12.auroc"},
    rows=(Row("kmerl", "K-MERL", dict.fromkeys(COLUMNS, 70.5), group="Theirs"), LONG),
    note="A note on 1 %.",
)


def of_one(table, given):
    (result,) = results(replace(CATALOGUE, tables={table.name: table}), given)
    return grid(result)


def written():
    """A table of few columns, one that did not run, and one of many columns, by each writer."""
    few, nothing = grid(only(TWO_SEEDS)), grid(only([]))
    ran = made_up(replace(CATALOGUE, tables={"table-y": MANY}), ["kmerl", "no-masking"], [0, 1])
    many = of_one(MANY, ran)
    (floor,) = map(grid, results(made.NOISY, TWO_SEEDS + made.NUDGED, ["table-x"]))
    bare = tuple(replace(row, paper={}) for row in SMALL.rows)  # the paper prints none of it
    return {
        "few.txt": terminal.as_text(few, 120),
        "few.csv": records.as_csv([few]),
        "few.html": f"{html.ENVIRONMENT.get_template('grid.html').module.table(few)}\n",
        "few.json": records.as_json([few]),
        "few.md": markdown.as_markdown([few]),
        "few.tex": latex.as_latex([few]),
        "floor.txt": terminal.as_text(floor, 120),
        "floor.csv": records.as_csv([floor]),
        "floor.html": f"{html.ENVIRONMENT.get_template('grid.html').module.table(floor)}\n",
        "floor.md": markdown.as_markdown([floor]),
        "floor.tex": latex.as_latex([floor]),
        "nothing.txt": terminal.as_text(nothing),
        "nothing.tex": latex.as_latex([nothing]),
        "many.txt": terminal.as_text(many, 80),
        "many-wide.txt": terminal.as_text(many, 80, wide=True),
        "many.md": markdown.as_markdown([many]),
        "many.tex": latex.as_latex([many]),
        "bare.tex": latex.as_latex([of_one(replace(SMALL, rows=bare), TWO_SEEDS)]),
    }


@pytest.mark.parametrize("name", written())
def test_a_table_reads_as_it_should(name):
    assert written()[name] == (CASES / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=[True, False], ids=["ran", "not run"])
def everything(request):
    """Every table of experiments.yaml, with runs of all or of none."""
    return results(PAPER, made_up(PAPER, PAPER.experiments) if request.param else [])


def test_paper_and_ours_are_never_read_as_one_measurement(everything):
    for result in everything:
        said = result.measured()
        assert (WORDS in said) == ("demo, the synthetic demo cohort" in said) == result.ran
        assert ("not the paper's measurement" in said) == (result.printed and result.ran)
        assert ("771,693" in said) == result.printed


def test_no_table_is_wider_than_the_terminal(everything):
    for result in everything:
        for width in (100, 120):
            lines = terminal.as_text(grid(result), width).splitlines()
            assert max(map(len, lines)) <= width, result.table.name


def test_markdown_has_every_row_and_column_once(everything):
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


def test_latex_is_well_formed_and_plain_ascii(everything):
    for result in everything:
        text = latex.as_latex([grid(result)])
        assert text.isascii(), result.table.name
        uncommented = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
        assert not re.search(r"(?<!\\)[%#_]", re.sub(r"\\label\{.*\}", "", uncommented))
        ((spec, body),) = re.findall(
            r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\\end\{tabular\}", text, re.S
        )
        for row in body.splitlines():
            if row.endswith(r"\\"):
                spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", row)]
                filled = len(re.findall(r"(?<!\\)&", row)) + 1 + sum(spans) - len(spans)
                assert filled == len(spec), result.table.name


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex to compile LaTeX with")
def test_latex_compiles_and_fits_a_page(everything, tmp_path):
    """Seven inches: a page of two columns as journals set it."""
    tables = "\\clearpage\n".join(latex.as_latex([grid(result)]) for result in everything)
    head = r"\documentclass{article}\usepackage{booktabs}\textwidth=7in\begin{document}"
    (tmp_path / "all.tex").write_text(f"{head}\n{tables}\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert re.findall(r"Overfull .*", done.stdout) == []
    assert f"({len(everything)} pages" in done.stdout


def test_mathematics_is_left_alone():
    assert latex.escaped(r"- $\mathcal{L}_{CQ}$ & 5 %") == r"- $\mathcal{L}_{CQ}$ \& 5 \%"
    assert latex.escaped("a_b ±1–2 $") == r"a\_b $\pm$1--2 \$"


def test_files_hold_every_scale_of_a_table(tmp_path):
    given = made_up(PAPER, ["kmerl"]) + made_up(PAPER, ["kmerl"], [0], "paper", "771,693 pairs")
    found = write_tables([grid(one) for one in results(PAPER, given, ["table-2d"])], tmp_path)
    assert [path.name for path in found] == ["table-2d.csv", "table-2d.tex"]
    scales = {line.split(",")[10] for line in found[0].read_text().splitlines()[1:]}
    assert scales == {"demo", "paper", ""}
    labels = re.findall(r"\\label\{(.*)\}", found[1].read_text())
    assert labels == ["tab:table-2d-demo", "tab:table-2d-paper"]


# ---------------------------------------------------------------- the page


def test_tasks_stand_below_each_other_on_a_page():
    found = {g.name: g for g in map(grid, results(PAPER, made_up(PAPER, RAN)))}
    table = stacked(found["table-1"])
    assert [group.title for group in table.groups] == [
        "PTBXL-Super", "PTBXL-Sub", "PTBXL-Form", "PTBXL-Rhythm", "CPSC2018", "CSN",
    ]  # fmt: skip
    assert {len(row.cells) for row in table.rows} == {len(table.columns)} == {3}
    (last,) = [row for row in table.groups[-1].rows if row.label == "K-MERL (Ours)"]
    assert [cell.printed() for cell in last.cells] == ["69.51", "83.53", "93.71"]
    assert stacked(found["table-2d"]) is found["table-2d"]


def test_the_page_shows_what_ran_and_lists_the_rest():
    found = results(PAPER, made_up(PAPER, RAN))
    shown = comparing(found)
    text = paper_page.render(PAPER, shown, left_out(found, shown))
    names = [result.table.name for result in shown]
    assert re.findall(r'<section id="(.*?)-demo">', text) == names
    missing = re.findall(r'<th scope="row">([\w-]+)</th>', text.split('id="not-run"')[1])
    assert sorted(names + missing) == sorted(PAPER.tables)
    assert ("table-2d" in names, "table-2e" in missing) == (True, True)
    assert text.count(WORDS) >= len(names)
    (needs,) = [row.cells[2].text for row in not_run(PAPER, [PAPER.tables["table-2e"]]).rows]
    assert needs == catalogues.NEEDS["hub"]
    assert "no experiment has run" in paper_page.render(PAPER, [], list(PAPER.tables.values()))


def test_charts_of_a_page_name_their_numbers_and_have_switches():
    (result,) = results(PAPER, made_up(PAPER, RAN), ["figure-4"])
    text = paper_page.render(PAPER, [result])
    value = result.lines[0].ours["CSN"]
    assert f"K-MERL (Ours), CSN: {value.value:.2f} ({value.lo:.2f} to {value.hi:.2f})" in text
    assert 'class="s0 whisker"' in text
    assert "PTBXL-Super</text>" in text
    assert text.count("<input type=") == 3
    assert "not-run" not in text


# ---------------------------------------------------------------- the command


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """`kmerl tables` in a folder with experiments.yaml, params.yaml and a few runs."""
    shutil.copy(ROOT / "experiments.yaml", tmp_path)
    shutil.copy(ROOT / "params/demo.yaml", tmp_path / "params.yaml")
    runs.write(made_up(PAPER, RAN), tmp_path / runs.FILE)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli.app, ["tables", *arguments])


def test_the_command_prints_a_table_in_each_format(tables):
    for form, (start, part) in {
        "text": ("table-2d  Masking strategy (Table 2d)\nPaper: pretrained on", "71.61"),
        "csv": (",".join(records.COLUMNS), "71.61"),
        "latex": ("% table-2d", r"\toprule"),
        "markdown": ("## Masking strategy", "| - Lead Masking | 65.41 |"),
        "json": ("[", '"table": "table-2d"'),
        "html": ("<!doctype html>", '<section id="table-2d-demo">'),
    }.items():
        done = tables("table-2d", "--format", form)
        assert (done.exit_code, done.stdout.startswith(start), part in done.stdout) == (
            0,
            True,
            True,
        )


def test_what_compares_nothing_is_a_list_unless_asked_for(tables):
    text = tables().stdout
    assert "\nOf these no row has run, or K-MERL's alone:\n" in text
    assert re.search(r"^  table-2e +\S.* \(Table 2e\)$", text, re.M)
    assert not re.search(r"^  table-2d ", text, re.M)
    assert tables("table-2e").stdout.startswith("table-2e  ")


def test_the_command_writes_files_and_figures(tables):
    assert tables("table-2d", "figure-6a", "--out", "made").exit_code == 0
    assert sorted(path.name for path in Path("made").iterdir()) == [
        "figure-6a-demo.pdf", "figure-6a-demo.svg", "figure-6a.csv", "figure-6a.tex",
        "table-2d.csv", "table-2d.tex",
    ]  # fmt: skip


def test_the_command_says_what_it_does_not_know(tables):
    for arguments, message in {
        ("table-9",): "there is no table 'table-9'",
        ("--scale", "huge"): "choose one of demo",
    }.items():
        done = tables(*arguments)
        assert (done.exit_code, message in done.stderr) == (1, True)


if __name__ == "__main__":
    for case, text in written().items():
        (CASES / case).write_text(text, encoding="utf-8")
