"""Paired comparison of two scorings: its numbers, its coverage, its errors and its command."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kmerl import cli
from kmerl.evaluation import compare, metric_rows
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.metrics import auroc, macro
from kmerl.evaluation.scores import Scores, scored
from kmerl.leads import parse_leads
from kmerl.tasks.classes import ClassName
from kmerl.tasks.cohort import Cohort

LEAD_SETS = {key: parse_leads(key) for key in ("1", "12")}
WORSE, BETTER = 0.5, 1.0


def _scores(
    random: np.random.Generator, skills: tuple[float, ...], patients: int = 60, task: str = "csn"
) -> list[Scores]:
    """Two records a patient, scored once for each skill; scorings share half of their noise."""
    truth = np.repeat(random.random((patients, 2)) < 0.4, 2, axis=0)
    ids = np.array([f"r{i}" for i in range(len(truth))])
    names = (ClassName("A", "a"), ClassName("B", "b"))
    people = np.array([f"p{i // 2}" for i in range(len(truth))])
    everyone = Cohort(task, "csn", names, ids, people, ids, truth)
    shared, found = random.standard_normal(truth.shape), []
    for skill in skills:
        person = np.repeat(random.standard_normal((patients, 2)), 2, axis=0)
        score = {"12": shared + person + skill * truth, "1": shared + person}
        found.append(scored(everyone, everyone, score, score, LEAD_SETS))
    return found


def _row(a: Scores, b: Scores, replicates: int = 200, seed: int = 0) -> metric_rows.Row:
    return compare.compare([[a]], [[b]], ["12"], replicates, 0.95, seed)["csn"]["12"]


def test_differences_are_those_of_the_metrics_and_their_replicates():
    a, b = _scores(np.random.default_rng(0), (BETTER, WORSE))
    row = _row(a, b)
    means = [float(macro(auroc(one.truth, one.score["12"]))) for one in (a, b)]
    assert [row["a"], row["b"]] == pytest.approx(means)
    assert row["difference"] == pytest.approx(means[0] - means[1])
    found = [metric_rows.evaluate([s], Statistics(200, 0.95, 1), 0)["csn"]["12"] for s in (a, b)]
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
    aurocs = [macro(auroc(one.truth, one.score["12"])) for one in (a, b)]
    assert table["csn"]["12"]["a"] == pytest.approx(np.mean(aurocs))
    mean = np.mean([table[task]["1"]["difference"] for task in ("csn", "cpsc2018")])
    assert table["average"]["1"]["difference"] == pytest.approx(mean)


@pytest.mark.parametrize(("skill", "true"), [(WORSE, 0.0), (BETTER, None)])
def test_intervals_of_a_difference_cover_the_true_one(skill, true):
    """A as good as B, and better: 300 cohorts; nominal 0.95, three deviations are 0.038."""
    random = np.random.default_rng(2)
    if true is None:
        large = _scores(random, (skill, WORSE), 40_000)
        one, two = (macro(auroc(side.truth, side.score["12"])) for side in large)
        true = float(one - two)
    rows = [_row(*_scores(random, (skill, WORSE)), seed=i) for i in range(300)]
    covered = np.mean([row["difference_lo"] <= true <= row["difference_hi"] for row in rows])
    assert 0.905 <= covered <= 0.985
    ahead = np.mean([row["ahead"] for row in rows])
    assert (ahead > 0.9) if true > 0 else (0.4 < ahead < 0.6)


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
    other = dataclasses.replace(a, **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        _row(a, other)
    with pytest.raises(ValueError, match=r"differ|leads|tasks"):
        compare.compare([[a], [other]], [[a]], ["12"], 10, 0.95, 0)


# ---------------------------------------------------------------- the command


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of scores, and one with a level of seeds."""
    sides = _scores(np.random.default_rng(0), (BETTER, WORSE, WORSE))
    for place, one in zip(("zero_shot", "probe/0", "probe/1"), sides, strict=True):
        one.write(tmp_path / place)
    return tmp_path / "zero_shot", tmp_path / "probe"


def _call(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(cli.app, ["compare", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.output


def test_the_command_prints_a_table_or_json(folders):
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
    seeds = [macro(auroc(s.truth, s.score["12"])) for (s,) in compare.read_folder(folders[1])]
    assert row["b"] == pytest.approx(np.mean(seeds), rel=1e-3)


def test_the_command_names_what_is_missing(folders, tmp_path):
    assert "holds no scores; name a folder such as" in _call(tmp_path, folders[0], status=1)
    assert "not both have leads 'limb'" in _call(*folders, "--leads", "limb", status=1)
