"""Runs beside the paper: what is averaged, and what is never mixed."""

from dataclasses import replace

import pytest

from kmerl.experiments import catalogue as catalogues
from kmerl.experiments.catalogue import Row
from kmerl.experiments.runs import Value
from kmerl.params import ParamsError
from kmerl.report.results import comparing, results
from tests.experiment_runs import CATALOGUE, SMALL, TWO_SEEDS, WORDS, made_up, only, run

ONLY = "Only seed 0, as most rows ran with, of"


def test_ours_is_the_mean_over_seeds_of_values_and_bounds():
    ours = only(TWO_SEEDS).lines[0].ours["1 lead"]
    assert (ours.value, ours.lo, ours.hi) == pytest.approx((71.0, 67.0, 74.5))
    assert ours.sd == pytest.approx(2**0.5)  # of 70 and 72, n - 1
    assert ours.seeds == 2
    alone = only(TWO_SEEDS[2:3]).lines[1].ours["1 lead"]
    assert (alone.sd, alone.seeds) == (None, 1)
    # an interval that one seed lacks is not the mean of the others
    bare = [run("kmerl", 0, Value(0.7, 0.6, 0.8)), run("kmerl", 1, Value(0.7))]
    ours = only(bare).lines[0].ours["1 lead"]
    assert (ours.lo, ours.hi, ours.seeds) == (None, None, 2)


@pytest.mark.parametrize(
    ("ran", "shown", "left_out", "remarks"),
    [
        # three seeds of one row beside one seed of the others would compare cohorts
        (([0, 1, 2], [0], [0]), [1, 1, 1], 2, [f"{ONLY} K-MERL (Ours)."]),
        (([0, 1], [0, 1], [1]), [2, 2, 1], 0, ["Fewer seeds than most rows have: From a hub."]),
        (([0], [0, 1], []), [1, 1, 0], 1, [f"{ONLY} - Masking_50%."]),
    ],
)
def test_rows_are_averaged_over_the_seeds_that_most_of_them_have(ran, shown, left_out, remarks):
    by_name = zip(("kmerl", "no-masking", "hub-text"), ran, strict=True)
    runs = [run(name, k, Value(0.7 + k / 10)) for name, seeds in by_name for k in seeds]
    result = only(runs)
    assert [line.behind.seeds for line in result.lines] == shown
    assert sum(line.left_out for line in result.lines) == left_out
    assert result.lines[0].ours["1 lead"].value == pytest.approx(70 + 5 * (shown[0] - 1))
    assert result.remarks() == remarks


def test_what_was_not_measured_is_no_zero_and_counts_no_seed():
    assert "12 leads" not in only(TWO_SEEDS).lines[1].ours
    result = only([replace(TWO_SEEDS[2], values={})])
    line = result.lines[1]
    why = "ran, but measured none of this"
    assert (line.ours, line.behind.seeds, line.behind.absent) == ({}, 0, why)
    assert not result.ran
    without = replace(run("kmerl", 1, Value(0.9)), values={})
    line = only([run("kmerl", 0, Value(0.7)), without]).lines[0]
    assert (line.behind.seeds, line.left_out, line.ours["1 lead"].seeds) == (1, 0, 1)
    absent = [line.behind.absent for line in only(TWO_SEEDS).lines]
    assert absent == ["", "", f"not run at scale demo; {catalogues.NEEDS['hub']}"]
    assert [line.behind.absent for line in only([]).lines][:2] == ["not run", "not run"]


def test_scales_are_results_of_their_own():
    runs = [*TWO_SEEDS, run("kmerl", 0, Value(0.9), scale="paper", words="771,693 records")]
    demo, paper = results(CATALOGUE, runs[::-1])
    assert (demo.scale, paper.scale) == ("demo", "paper")
    assert demo.lines[0].ours["1 lead"].value == pytest.approx(71.0)
    assert paper.lines[0].ours["1 lead"].value == pytest.approx(90.0)
    assert "771,693 records" in paper.measured()
    chosen = only(runs, scale="demo")
    assert chosen.lines == demo.lines
    assert "Not shown: 1 run at scale paper." in chosen.remarks()
    assert not demo.remarks()


def test_other_words_for_a_scale_are_a_row_of_their_own():
    result = only([*TWO_SEEDS, run("kmerl", 0, Value(0.9), words="12 simulated pairs")])
    values = [line.ours["1 lead"].value for line in result.lines[:2]]
    assert sorted(values) == pytest.approx([71.0, 90.0])
    assert result.words == WORDS
    assert result.remarks() == [
        "On 12 simulated pairs: K-MERL (Ours).",
        "Fewer seeds than most rows have: K-MERL (Ours).",
    ]
    # of two wordings as common a table takes that of the row that changes nothing
    table = replace(SMALL, rows=SMALL.rows[1::-1])
    fewer = run("no-masking", 0, Value(0.7), words=f"10 % of {WORDS}")
    (result,) = results(replace(CATALOGUE, tables={"table-x": table}), [fewer, TWO_SEEDS[0]])
    assert [line.behind.words for line in result.lines] == [fewer.words, WORDS]
    assert result.words == WORDS


@pytest.mark.parametrize(
    ("runs", "names", "scale", "message"),
    [
        (TWO_SEEDS, (), "dmeo", r"no experiment ran at scale 'dmeo'; choose one of demo$"),
        (TWO_SEEDS, ["table-y"], None, "there is no table 'table-y'"),
        ([*TWO_SEEDS, run("kmerl", 1, Value(0.9))], (), None,
         r"kmerl holds seed 1 twice at scale 'demo'"),
    ],
)  # fmt: skip
def test_an_unknown_name_or_scale_and_a_seed_that_stands_twice_are_named(
    runs, names, scale, message
):
    with pytest.raises(ParamsError, match=message):
        results(CATALOGUE, runs, names, scale)


def test_a_row_may_read_another_metric():
    row = Row("kmerl", "Scratch", metrics={"zero_shot": "fine_tune", "auroc": "scratch_auroc"})
    catalogue = replace(CATALOGUE, tables={"table-x": replace(SMALL, rows=(row,))})
    given = replace(TWO_SEEDS[0], values={"fine_tune.average.1.scratch_auroc": Value(0.5)})
    (result,) = results(catalogue, [given])
    assert result.lines[0].ours["1 lead"].value == 50.0


def test_a_reference_alone_compares_nothing_and_is_counted():
    paper = catalogues.read()
    given = made_up(paper, ["kmerl", "layers-2"]) + made_up(paper, ["kmerl"], [0], "ptbxl", "w")
    (found,) = comparing(results(paper, given))
    assert (found.table.name, found.scale) == ("table-6b", "demo")
    assert found.remarks() == ["Not shown: 1 run at scale ptbxl."]
    alone = comparing(results(paper, made_up(paper, ["clinical-sets"])))
    assert {one.table.name for one in alone} == {"clinical-leads", "clinical-leads-probe"}
