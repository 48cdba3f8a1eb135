"""What the paper claims in one number, its Tables 3 and 5, and the noise floor: all computed."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from kmerl import cli
from kmerl.experiments import catalogue as catalogues
from kmerl.experiments.runs import Run, Value
from kmerl.files import write_csv, write_json
from kmerl.report import claims, data_tables, paper_page
from kmerl.report.grid import NOT_RUN
from kmerl.report.noise import floors
from kmerl.report.paper_tables import grid
from kmerl.report.published import PUBLISHED
from kmerl.report.results import comparing, results
from kmerl.report.writers import latex, markdown, records
from kmerl.tasks.classes import TASKS, classes
from tests.experiment_runs import COMMIT, NOISY, NUDGED, WORDS, run
from tests.import_closure import ROOT
from tests.test_experiments import PAPER as TEXT

PAPER = catalogues.read(ROOT / "experiments.yaml", ROOT / "params/demo.yaml")
GAIN, AHEAD = "Zero-shot: gain on 1 to 11, points", "Zero-shot: ahead, of 12 counts"
RISING = [40.0 + 3 * leads for leads in range(12)]  # 73 on twelve


def curve(name, seed, zero_shot, probe):
    """A run with both curves: points in per cent from one lead to all twelve, or one for all."""
    values = {}
    for table, given in {"figure-6a": zero_shot, "figure-6b": probe}.items():
        points = zip(PAPER.tables[table].columns.values(), np.broadcast_to(given, 12), strict=True)
        values |= {metric: Value(float(point) / 100) for metric, point in points}
    return Run(name, seed, "demo", WORDS, COMMIT, f"{name}-{seed}", "l", values)


RAN = [
    *(curve("kmerl", seed, 70 + seed, 60) for seed in (0, 1, 2)),
    *(curve("merl-resnet", seed, RISING, 50) for seed in (0, 1, 2)),
    *(curve("merl-vit", seed, 60, 62) for seed in (0, 1, 2)),
]


def computed(runs):
    """Of the claims' table, a mapping a group: the cells of each row."""
    (found,) = [one for one in claims.computed(PAPER, runs) if one.name == "claims"]
    return [{row.label: row.cells for row in group.rows} for group in found.groups]


def test_a_claim_is_taken_of_each_seed_against_the_best_merl_at_each_number_of_leads():
    (rows,) = computed(RAN)
    ours, best = np.array([[70.0], [71], [72]]), np.maximum(RISING, 60)
    gain = (ours - best)[:, :11].mean(axis=1)
    share = 100 * (ours / best - 1)[:, :11].mean(axis=1)
    expected = {  # value, deviation over seeds, the paper's
        GAIN: (gain.mean(), 1.0, "16.0"),
        "Zero-shot: the same as a share, %": (share.mean(), share.std(ddof=1), "16.0"),
        "Zero-shot: 1 lead less MERL on 12": (71 - 73, 1.0, "> 0"),
        AHEAD: (11, None, "12"),
        "Probe, 1 %: 1 lead less MERL on 12": (60 - 62, 0.0, "> 0"),
        "Probe, 1 %: ahead, of 12 counts": (0, None, "12"),
    }
    assert list(rows) == list(expected)
    for label, (value, sd, paper) in expected.items():
        cell, recommended = rows[label]
        assert (cell.value, cell.sd) == (pytest.approx(value), pytest.approx(sd, abs=1e-9)), label
        assert (cell.seeds, cell.printed()) == (3, paper)
        assert (recommended.value, recommended.text, recommended.printed()) == (None, NOT_RUN, "")


def test_a_claim_is_of_the_seeds_that_every_curve_has_and_masked_merl_stands_apart():
    more = [curve("merl-vit-masked", 1, 69, 20), curve("kmerl-recommended", 1, 75, 75)]
    of_the_paper, of_all = computed([*RAN, *more])
    assert [cell.seeds for cell in of_the_paper[GAIN]] == [3, 1]
    kmerl, recommended = of_all[GAIN]
    assert (kmerl.value, kmerl.sd, kmerl.seeds) == (pytest.approx(21 / 11), None, 1)
    assert recommended.value == pytest.approx(kmerl.value + 4)
    assert not any(cell.printed() for cells in of_all.values() for cell in cells)


def test_what_lacks_a_curve_is_not_run_and_scales_and_wordings_stand_apart(tmp_path):
    for runs in ([], RAN[:6], [replace(one, values={}) for one in RAN]):
        for cells in computed(runs)[0].values():
            assert [(cell.value, cell.text) for cell in cells] == [(None, NOT_RUN)] * 2
    other = [replace(one, scale="paper", words="771,693 pairs") for one in RAN]
    few = replace(RAN[0], words="few pairs", seed=9)
    demo, paper, *data = claims.computed(PAPER, [*RAN, *other, few], root=tmp_path)
    assert (demo.scale, paper.scale, "771,693 pairs" in paper.measured) == ("demo", "paper", True)
    assert demo.rows[0].cells[0].seeds == 3
    assert [one.name for one in data] == ["table-3", "seen-entities", "table-5"]
    assert {cell.text for one in data for row in one.rows for cell in row.cells} == {NOT_RUN, ""}


def test_ahead_is_beyond_the_noise_floor():
    nudged = [curve(f"nudge-{number}", 0, 70 + number, 60) for number in (1, 2, 3)]
    (rows,) = computed([*RAN, *nudged])
    beyond = 71 - np.maximum(RISING, 60) > 2 * np.sqrt(2 / 3)  # the floor is one point
    assert rows[AHEAD][0].value == sum(beyond) == 10


@pytest.mark.skipif(not TEXT.exists(), reason="the paper's text is not beside the project")
def test_what_the_paper_says_stands_in_its_text():
    text, overlap = TEXT.read_text(encoding="utf-8"), PUBLISHED["overlap"]
    rows = [line.split("\t") for line in text.splitlines()]
    for row in PUBLISHED["splits"].values():
        (found,) = [cells[1:] for cells in rows if cells[0].startswith(f"{row['name']} (")]
        assert found == [f"{row[key]:,}" for key in ("categories", "train", "val", "test")]
    listed = text[text.index("Table 5: Overlap") : text.index("Table 6: Additional")]
    left, right = zip(*re.findall("^(.*)\t(.*)$", listed, re.M), strict=True)
    assert overlap["entities"] == [name for name in left + right if name]
    assert len(overlap["entities"]) == overlap["seen"]
    for said in (
        f"{overlap['seen']} out of {PUBLISHED['mining']['columns']} extracted",
        f"approximately {overlap['percent']}%",
        f"an average improvement of **{PUBLISHED['partial_leads']['gain']}%**",
        "with just a single lead surpasses MERL",
        f"all lead combinations from 1 to {PUBLISHED['partial_leads']['ahead']} in both",
    ):
        assert said in text


@pytest.fixture
def root(tmp_path):
    """A folder with the files that Tables 3 and 5 are made of."""
    entries = {corpus: {"tasks": {}} for corpus in TASKS.values()}
    for number, (task, corpus) in enumerate(TASKS.items()):
        rows = {name: {"rows": number + 10 * k} for k, name in enumerate(("train", "val", "test"))}
        entries[corpus]["tasks"][task] = rows
    write_json(tmp_path / data_tables.COUNTS, entries)
    overlaps = [
        ("arrhythmia", "sinus arrhythmia", 0.82, "unseen"),
        ("hypertrophy", "hypertrophy", 1.0, "seen"),
        ("qrs abnormality", "abnormal qrs", 0.96, "seen"),
        ("tachycardia", "sinus tachycardia", 0.9, "unseen"),
    ]
    write_csv(tmp_path / data_tables.ENTITIES, ("entity", "class", "similarity", "group"), overlaps)
    return tmp_path


def test_tables_of_the_data_hold_what_the_run_found(root):
    counts, share, names = data_tables.grids(root)
    shown = [
        [(cell.shown(), cell.printed()) for cell in one.rows[-1].cells] for one in (counts, share)
    ]
    assert shown == [
        [("38", "38"), ("5", "16,546"), ("15", "1,860"), ("25", "4,620")],
        [("4", "277"), ("2", "35"), ("50.0", "12.7")],
    ]
    categories = {task: row["categories"] for task, row in PUBLISHED["splits"].items()}
    assert categories == {task: len(classes(task)) for task in TASKS}
    listed, more = names.groups
    assert (len(listed.rows), [row.label for row in more.rows]) == (30, ["qrs abnormality"])
    told = {row.label: [cell.shown() for cell in row.cells] for row in names.rows}
    assert told["arrhythmia"] == ["unseen", "0.82", "sinus arrhythmia"]
    assert told["atrial flutter"][0] == "not mined"


def test_every_writer_and_the_page_carry_them(root, monkeypatch):
    found = claims.computed(PAPER, RAN, root=root)
    first, *_, last = (table["rows"] for table in json.loads(records.as_json(found)))
    assert (first[0]["row"], first[0]["paper"], first[0]["seeds"]) == (GAIN, 16, 3)
    assert ("hypertrophy", "seen") in {(one["row"], one["ours"]) for one in last}
    assert "1 lead less MERL on 12,figure-6a,K-MERL,> 0,-2.0" in records.as_csv(found)
    assert "| CPSC2018 | 9 | 9 | 4,950 | 4 |" in markdown.as_markdown(found)
    text = latex.as_latex(found)
    assert r"arrhythmia & unseen & 0.82 & sinus arrhythmia \\" in text
    assert text.isascii() and r"\textbf" not in text  # nothing in them is ranked
    page = paper_page.render(PAPER, comparing(results(PAPER, RAN)), computed=found)
    sections = re.findall(r'<section id="(.*?)">', page)
    assert sections[:5] == ["claims-demo", "table-3", "seen-entities", "table-5", "figure-6a-demo"]
    for path in ("experiments.yaml", "params.yaml", "experiments.json"):
        (root / path).write_bytes((ROOT / path).read_bytes())
    monkeypatch.chdir(root)
    done = CliRunner().invoke(cli.app, ["tables", "table-3", "table-2d", "--scale", "demo"])
    assert re.findall(r"^(table-\w+)  \w", done.stdout, re.M) == ["table-3", "table-2d"]


def test_the_floor_is_the_deviation_of_trainings_of_one_seed():
    metric = "zero_shot.average.1.auroc"
    assert floors(NOISY, NUDGED)["demo"].deviations == {metric: pytest.approx(8**0.5)}
    more = [run("nudge-1", 1, Value(0.5)), run("nudge-2", 1, Value(0.5))]  # another cohort's
    assert floors(NOISY, NUDGED + more)["demo"].deviations[metric] == pytest.approx(2)
    assert floors(NOISY, NUDGED[:1]) == floors(NOISY, [run("kmerl", 0, Value(0.7))] * 2) == {}
    assert floors(NOISY, [NUDGED[0], replace(NUDGED[1], scale="ptbxl")]) == {}
    (found,) = results(NOISY, NUDGED, ["table-x"], "demo")  # nothing to set it beside
    assert (len(grid(found).groups), found.remarks()) == (1, [])


@pytest.mark.parametrize(
    ("heights", "best"),
    [
        ([0.71, 0.68, 0.60], ["kmerl", "no-masking"]),  # 2.8 times 2.83 are 8.0 points
        ([0.71, 0.62, 0.60], ["kmerl"]),
        ([0.71, 0.68, 0.66], []),  # all are level
    ],
)
def test_nothing_is_ranked_below_the_floor(heights, best):
    names = ("kmerl", "no-masking", "hub-text")
    given = [run(name, 0, Value(height)) for name, height in zip(names, heights, strict=True)]
    table = grid(*results(NOISY, given + NUDGED, ["table-x"]))
    assert [row.behind.experiment for row in table.best(0)] == best
    assert [row.behind.experiment for row in table.best(1)] == ["kmerl"]  # no floor is known there
