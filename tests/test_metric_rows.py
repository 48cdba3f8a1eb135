"""Scores on disk, their metrics over seeds, seen classes, and whether one scoring is better."""

import dataclasses
import json
from statistics import NormalDist

import numpy as np
import pytest
from typer.testing import CliRunner

from kmerl import cli
from kmerl.evaluation import compare, metric_rows, seen_unseen
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.metrics import auroc, macro
from kmerl.evaluation.scores import Scores, read_seeds, scored
from kmerl.leads import parse_leads
from kmerl.tasks.classes import ClassName
from kmerl.tasks.cohort import Cohort

LEAD_SETS = {key: parse_leads(key) for key in ("1", "12")}
WORSE, BETTER = 0.5, 1.0
STATISTICS = Statistics(replicates=200, level=0.95, min_positives=1)


def _scores(
    random: np.random.Generator, skills: tuple[float, ...], task: str = "csn"
) -> list[Scores]:
    """Two records a patient, scored once for each skill; scorings share half of their noise."""
    truth = np.repeat(random.random((60, 2)) < 0.4, 2, axis=0)
    ids, people = (np.array([f"{i // many}" for i in range(120)]) for many in (1, 2))
    names = (ClassName("A", "a"), ClassName("B", "b"))
    everyone = Cohort(task, "csn", names, ids, people, ids, truth)
    shared, found = random.standard_normal(truth.shape), []
    for skill in skills:
        person = np.repeat(random.standard_normal((60, 2)), 2, axis=0)
        score = {"12": shared + person + skill * truth, "1": shared + person}
        found.append(scored(everyone, everyone, score, score, LEAD_SETS))
    return found


def _row(a: Scores, b: Scores, seed: int = 0) -> metric_rows.Row:
    return compare.compare([[a]], [[b]], ["12"], 200, 0.95, seed)["csn"]["12"]


def _aurocs(scorings: list[Scores]) -> list[float]:
    return [float(macro(auroc(one.truth, one.score["12"]))) for one in scorings]


def test_seen_is_above_the_threshold_and_ties_go_by_name():
    vectors = np.array([[1.0, 0.0], [0.6, 0.8]])
    entities = np.array([[3.0, 0.0], [1.0, 0.0]])
    found = seen_unseen.overlaps(["b", "a"], vectors, ["y", "x"], entities, 0.6)
    assert [dataclasses.astuple(one) for one in found] == [
        ("a", "x", pytest.approx(0.6), "unseen"),
        ("b", "x", 1.0, "seen"),
    ]
    alone = seen_unseen.overlaps(["b"], vectors[:1], [], np.empty((0, 2)), 0.6)[0]
    assert (alone.nearest, alone.group) == ("", "unseen")
    with pytest.raises(ValueError, match="'b' has length 0"):
        seen_unseen.overlaps(["b"], 0 * vectors[:1], ["x"], entities[:1], 0.6)


def test_scores_come_back_from_disk_as_they_were_and_seeds_in_their_order(tmp_path):
    before = dict(zip((10, 2, 0), _scores(np.random.default_rng(0), (0, 1, 2)), strict=True))
    for seed, one in before.items():
        one.threshold["1"][1] = np.nan
        one.write(tmp_path / str(seed))
    for (after,), seed in zip(read_seeds(tmp_path, ["csn"]), (0, 2, 10), strict=True):
        for name in ("task", "codes", "names", "records", "patients", "lead_sets", "corpus"):
            assert getattr(after, name) == getattr(before[seed], name)
        np.testing.assert_array_equal(after.truth, before[seed].truth)
        for key in LEAD_SETS:
            np.testing.assert_array_equal(after.score[key], before[seed].score[key])
            np.testing.assert_array_equal(after.threshold[key], before[seed].threshold[key])
    with pytest.raises(FileNotFoundError, match="holds no seed"):
        read_seeds(tmp_path / "0", ["csn"])


def test_the_mean_over_seeds_is_of_metrics_and_of_replicates():
    scorings = _scores(np.random.default_rng(2), (0.1, 0.5, 0.9))
    seeds = [metric_rows.evaluate([one], STATISTICS, 0) for one in scorings]
    every = [one["csn"]["12"] for one in seeds]
    found = metric_rows.over_seeds(seeds)["csn"]["12"]
    for name in ("auroc", "auprc", "f1", "f1_max", "auroc_replicates", "f1_replicates"):
        values = [getattr(one, name) for one in every]
        np.testing.assert_allclose(getattr(found, name), sum(values) / 3, atol=1e-12)
    row = metric_rows.summarise([found], STATISTICS)
    of_mean = np.mean([one.auroc_replicates.mean(1) for one in every], axis=0)
    low, high = np.percentile(of_mean, [2.5, 97.5])
    assert (row["auroc_lo"], row["auroc_hi"]) == pytest.approx((low, high))
    with pytest.raises(ValueError, match="differ in their test records"):
        other = {key: dataclasses.replace(found, records=59) for key in LEAD_SETS}
        metric_rows.over_seeds([seeds[0], {"csn": other}])


# ---------------------------------------------------------------- is A better than B?


def test_differences_are_those_of_the_metrics_and_their_replicates():
    a, b = _scores(np.random.default_rng(0), (BETTER, WORSE))
    row, means = _row(a, b), _aurocs([a, b])
    assert [row["a"], row["b"]] == pytest.approx(means)
    assert row["difference"] == pytest.approx(means[0] - means[1])
    found = [metric_rows.evaluate([side], STATISTICS, 0)["csn"]["12"] for side in (a, b)]
    one, two = (side.auroc_replicates.mean(1) for side in found)
    assert row["ahead"] == np.mean(one > two)
    ends = row["difference_lo"], row["difference_hi"]
    assert ends == pytest.approx(tuple(np.percentile(one - two, [2.5, 97.5])))
    assert ends[1] - ends[0] < 0.9 * 2 * 1.96 * np.hypot(one.std(), two.std())  # pairing narrows
    level = _row(a, a)
    assert (level["difference"], level["difference_lo"], level["difference_hi"]) == (0, 0, 0)
    assert level["ahead"] == 0.5


def test_seeds_are_averaged_and_tasks_weigh_alike():
    random = np.random.default_rng(1)
    a, b, c = _scores(random, (BETTER, BETTER, WORSE))
    d, e = _scores(random, (BETTER, WORSE), task="cpsc2018")
    table = compare.compare([[a, d], [b, d]], [[c, e]], None, 50, 0.95, 0)
    assert list(table) == ["csn", "cpsc2018", "average"]
    assert table["csn"]["12"]["a"] == pytest.approx(np.mean(_aurocs([a, b])))
    mean = np.mean([table[task]["1"]["difference"] for task in ("csn", "cpsc2018")])
    assert table["average"]["1"]["difference"] == pytest.approx(mean)


@pytest.mark.parametrize("skill", [WORSE, BETTER])
def test_intervals_of_a_difference_cover_the_true_one(skill):
    """A as good as B, and better: 300 cohorts; nominal 0.95, three deviations are 0.038.

    Patients are drawn: records, two a patient, would give intervals that cover it in 0.83.
    """
    random = np.random.default_rng(2)
    one, two = (NormalDist().cdf(of / 2) for of in (skill, WORSE))  # noise of variance 2 a score
    rows = [_row(*_scores(random, (skill, WORSE)), seed=i) for i in range(300)]
    covered = np.mean([r["difference_lo"] <= one - two <= r["difference_hi"] for r in rows])
    assert 0.905 <= covered <= 0.985
    ahead = np.mean([row["ahead"] for row in rows])
    assert (ahead > 0.85) if skill > WORSE else (0.4 < ahead < 0.6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"records": ("x",) * 120}, "differ in their test records"),
        ({"patients": ("x",) * 120}, "differ in their test patients"),
        ({"codes": ("B", "A")}, "differ in their test codes"),
        ({"truth": np.zeros((120, 2), bool)}, "differ in the labels"),
        ({"lead_sets": LEAD_SETS | {"12": ("I",)}}, "not both have leads '12'; both have 1"),
        ({"task": "cpsc2018"}, r"one side has tasks \['csn'\], the other \['cpsc2018'\]"),
    ],
)
def test_what_cannot_be_paired_is_named(change, message):
    (a,) = _scores(np.random.default_rng(0), (BETTER,))
    other = dataclasses.replace(a, **change)
    for sides in (([[a]], [[other]]), ([[a], [other]], [[a]])):
        with pytest.raises(ValueError, match=message):
            compare.compare(*sides, ["12"], 10, 0.95, 0)


@pytest.fixture
def folders(tmp_path):
    """A folder of scores, and one with a level of seeds."""
    sides = _scores(np.random.default_rng(0), (BETTER, WORSE, WORSE))
    for place, one in zip(("zero_shot", "probe/0", "probe/1"), sides, strict=True):
        one.write(tmp_path / place)
    return tmp_path / "zero_shot", tmp_path / "probe"


def _call(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(cli.app, ["compare", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.output


def test_the_command_prints_a_table_or_json_and_names_what_is_missing(folders, tmp_path):
    lines = _call(*folders, "--replicates", 50).splitlines()
    assert " ".join(lines[0].split()) == "task leads A B A - B 95 % interval A ahead"
    assert [line.split()[:2] for line in lines[1:]] == [["csn", "12"], ["average", "12"]]
    assert lines[1].split()[-1] == "92%"
    options = ("--json", "--leads", "all", "--replicates", 50, "--seed", 4)
    table = json.loads(_call(*folders, *options))
    assert set(table["csn"]) == {"1", "12"}
    assert table["csn"] == table["average"]
    back, row = json.loads(_call(*reversed(folders), *options))["csn"]["12"], table["csn"]["12"]
    assert (back["difference"], back["ahead"]) == (-row["difference"], 1 - row["ahead"])
    seeds = _aurocs([scores for (scores,) in compare.read_folder(folders[1])])
    assert row["b"] == pytest.approx(np.mean(seeds), rel=1e-3)
    assert "holds no scores; name a folder such as" in _call(tmp_path, folders[0], status=1)
    assert "not both have leads 'limb'" in _call(*folders, "--leads", "limb", status=1)
