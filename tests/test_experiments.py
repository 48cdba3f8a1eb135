"""experiments.yaml holds the paper's tables and figures, and names nothing that is not there."""

import os
import re
from pathlib import Path

import pytest

from kmerl.experiments import catalogue, queueing, sections
from kmerl.experiments.queueing import Planned, State
from kmerl.experiments.runs import FILE, Run, Value, read, write
from kmerl.experiments.stages import value
from kmerl.files import read_yaml
from kmerl.leads import LEADS
from kmerl.models.masking import MaskParams
from kmerl.params import ParamsError
from kmerl.report.results import results
from tests.dvc_file import PROFILES, profile, stages
from tests.import_closure import ROOT

DATA = Path(os.environ.get("KMERL_REAL_DATA", ROOT.parent / "shared/data"))
PAPER = DATA.parent / "paper/k-merl.txt"
CASES = read_yaml(ROOT / "tests/cases/experiments.yaml")
CATALOGUE = catalogue.read(ROOT / "experiments.yaml", ROOT / "params.yaml")
SYMBOL = re.compile(r" \(\$?\\")  # "- ECG-Condition Alignment (\\mathcal{L}_{CQ})"
HELD = {  # of each table of the paper, its numbers; of each figure, its columns
    "table-1": 15 * 18, "table-2a": 3 * 2, "table-2b": 4 * 2, "table-2c": 3 * 2, "table-2d": 5 * 2,
    "table-2e": 3 * 2, "table-6a": 4 * 2, "table-6b": 5 * 2, "table-6c": 5 * 2,
    "figure-4": 7, "figure-5a": 2, "figure-5b": 2, "figure-5c": 7, "figure-6a": 12, "figure-6b": 12,
}  # fmt: skip


@pytest.mark.parametrize("name", HELD)
def test_every_number_curve_and_bar_of_the_paper_has_an_experiment(name):
    table = CATALOGUE.tables[name]
    if name.startswith("table"):
        assert sum(len(row.paper) for row in table.rows) == HELD[name]
    else:
        further = {"merl-resnet-ckepe", "merl-vit-ckepe"} if name == "figure-5c" else set()
        drawn = {row.experiment for row in table.rows}
        assert {"kmerl", "merl-resnet", "merl-vit"} | further <= drawn
        assert len(table.columns) == HELD[name]


def value_at(row: catalogue.Row, key: str, name: str = "paper"):
    """What a row's experiment has for a key of params.yaml, at a profile."""
    given = {**CATALOGUE.every, **CATALOGUE.experiments[row.experiment].set}
    return given.get(key, value(profile(name), key))


def points(figure: str) -> list[catalogue.Row]:
    return [row for row in CATALOGUE.tables[figure].rows if row.x is not None]


def test_every_point_of_figures_7_and_8_has_an_experiment():
    assert {row.x for row in points("figure-7-left")} == {25, 50, 100, 200}
    right = {(value_at(row, "mask.segments"), row.x) for row in points("figure-7-right")}
    assert right == {(share, leads) for share in (0.25, 0.5, 0.75) for leads in (9, 10, 11)}
    sizes = [row.x for row in points("figure-8")]
    assert sizes == ["nano", "micro", "tiny", "small", "middle", "base"]


@pytest.mark.parametrize("name", PROFILES)
def test_a_point_stands_where_its_experiment_is(name):
    keys = {"7-left": "encoder.token_samples", "7-right": "mask.min_leads", "8": "encoder.size"}
    for figure, key in keys.items():
        assert all(row.x == value_at(row, key, name) for row in points(f"figure-{figure}"))
    for row in points("figure-7-right"):
        assert row.group == f"{100 * value_at(row, 'mask.segments', name):g} % of segments"
    for row in points("masks"):
        mask = MaskParams(
            **{key: value_at(row, f"mask.{key}", name) for key in profile(name)["mask"]}
        )
        assert row.x == len(LEADS) - sum(mask.masked_range) / 2
    for table, key in {"table-6b": "layers", "table-6c": "heads"}.items():
        for row in CATALOGUE.tables[table].rows:
            assert int(row.label) == value_at(row, f"query_network.{key}", name)


@pytest.mark.parametrize("name", PROFILES)
def test_the_papers_tables_are_of_its_own_network_whatever_a_profile_has(name):
    """`kmerl-recommended` is ours, and the noise floor is of its trainings."""
    paper = {"query_network.self_attention": True, "mask.leads": "dynamic"}
    paper |= {"mask.min_leads": 9, "mask.max_leads": 11}
    rows = {row.experiment: row for row in CATALOGUE.tables["table-1"].rows}
    for key, held in paper.items():
        assert value_at(rows["kmerl"], key, name) == held
        assert value_at(rows["merl-resnet-masked"], key, name) == held
    ours = CATALOGUE.experiments["kmerl-recommended"].set
    noise = [one.set for one in CATALOGUE.of("noise")]
    assert noise == [{**ours, "pretrain.nudge": number} for number in range(1, 6)]


@pytest.mark.skipif(not PAPER.exists(), reason="the paper's text is not beside the project")
@pytest.mark.parametrize("table", CATALOGUE.tables)
def test_the_papers_numbers_are_in_its_text(table):
    lines = [line.split("\t") for line in PAPER.read_text(encoding="utf-8").splitlines()]
    held = CATALOGUE.tables[table]
    for row in held.rows:
        wanted = list(row.paper.values())
        if held.kind == "table" and wanted:
            assert any(stands(row.label, wanted, cells) for cells in lines), row
        for number in wanted:
            assert any(f"{number:.2f}" in cells or f"{number:.1f}" in cells for cells in lines)


def stands(label: str, wanted: list[float], cells: list[str]) -> bool:
    """Is there a cell that begins like the label, and behind it just these numbers?"""
    numbers = [float(cell) if re.fullmatch(r"[\d.]*\d", cell) else None for cell in cells]
    return any(
        cell and label.startswith(SYMBOL.split(cell)[0]) and numbers[i : i + len(wanted)] == wanted
        for i, cell in enumerate(cells, 1)
    )


def test_the_paper_gives_an_experiment_one_value_of_a_metric():
    given = [
        ((row.experiment, table.metric(row, column)), value)
        for table in CATALOGUE.tables.values()
        for row in table.rows
        for column, value in row.paper.items()
    ]
    assert len({place for place, _ in given}) == len(set(given)) < len(given)
    known = CATALOGUE.printed("kmerl")
    assert known["zero_shot.average.1.auroc"] == 71.61
    assert known["linear_probe.csn.100.12.auroc"] == 93.71


def test_a_wrong_number_would_be_seen():
    assert stands("ASTCL (from its abstract)", [72.5, 77.3], ["ASTCL", "72.50", "77.3"])
    assert not stands("ASTCL", [72.5, 77.3], ["ASTCL", "72.50", "77.31"])
    assert not stands("BYOL", [72.5, 77.3], ["ASTCL", "72.50", "77.3"])


@pytest.mark.parametrize("name", PROFILES)
def test_every_experiment_is_one_that_the_code_can_read(name):
    """Every section that an experiment changes is built, its method's options too."""
    sections.check(CATALOGUE, ROOT / f"params/{name}.yaml")


def test_no_row_gives_a_method_what_belongs_to_a_scale():
    """At the paper's a method is as its file has it, but for the network and the masks compared."""
    given = {key for one in CATALOGUE.experiments.values() for key in one.set if "options." in key}
    assert given == {"options.backbone", "options.lead_masking"}


def test_every_target_is_a_stage_that_writes_the_metrics_that_are_shown():
    """What a cell shows is written by a stage that its experiment runs, as target or on the way."""
    writers = {out: stage.address for stage in stages() for out in stage.outs}
    for table in CATALOGUE.tables.values():
        for row in table.rows:
            targets = CATALOGUE.experiments[row.experiment].targets
            assert set(targets) <= set(writers.values())
            run = set(targets)
            if "partial_leads" in targets:
                run |= {"zero_shot", "linear_probe"}
            shown = {table.metric(row, column).split(".")[0] for column in table.columns}
            assert {writers[f"metrics/{file}.json"] for file in shown} <= run, (table.name, row)


def test_dvc_sets_what_an_experiment_says(tmp_path):
    """Each value of each key once, as many keys at a time as there are."""
    from dvc.utils.hydra import apply_overrides  # slow

    values = {}
    for experiment in CATALOGUE.experiments.values():
        for key, given in experiment.set.items():
            if given not in values.setdefault(key, []):
                values[key].append(given)
    file = tmp_path / "params.yaml"
    for number in range(max(map(len, values.values()))):
        given = {key: found[number] for key, found in values.items() if number < len(found)}
        file.write_text((ROOT / "params.yaml").read_text())
        one = catalogue.Experiment("one", given)
        apply_overrides(file, queueing.overrides(CATALOGUE, one, 2))
        expected = {"seed": 2, **CATALOGUE.every, **given}
        assert read_yaml(file) == catalogue.changed(profile("demo"), expected)


def test_values_that_hydra_could_misread():
    texts = queueing.written({"a": None, "b": "it's {x}, \\", "c": {"k": [1, True]}, "d": 1e-05})
    assert texts == ["a=null", "b='it\\'s {x}, \\\\'", "c={k:[1,true]}", "d=1e-05"]


def test_only_evaluation_changes_where_nothing_needs_training():
    of_training = {"method", "options", "mask", "encoder", "loss", "pretrain", "query_network"}
    for name, base in [("merl-vit-ckepe", "merl-vit"), ("simclr-std", "simclr")]:
        here, there = CATALOGUE.experiments[name].set, CATALOGUE.experiments[base].set
        new = {key.split(".")[0] for key in here.keys() - there.keys()}
        assert new and not new & of_training


def small(tmp_path, old="", new=""):
    """The small experiments.yaml, with a word of it replaced."""
    assert old in CASES["small"]
    file = tmp_path / "experiments.yaml"
    file.write_text(CASES["small"].replace(old, new, 1))
    return catalogue.read(file, ROOT / "params.yaml")


def test_an_experiment_like_another_has_its_keys_and_its_own(tmp_path):
    found = small(tmp_path)
    second = found.experiments["second"]
    assert second.set == {"mask.min_leads": 8, "mask.segments": 0.5}
    assert (second.targets, second.needs) == (("zero_shot",), ("gpu",))
    table = found.tables["two"]
    assert table.metric(table.rows[0], "12 leads") == "fine_tune.average.12.auroc"
    assert found.metrics() == ["fine_tune.average.12.auroc", "zero_shot.average.12.auroc"]
    assert [each.name for each in found.of("one")] == ["first", "second"]
    assert [each.name for each in found.of("second", "all", "one")] == ["second", "first"]
    with pytest.raises(ParamsError, match="no table 'three'; choose one of one, two"):
        found.of("three")
    with pytest.raises(ParamsError, match="does not exist"):
        catalogue.read(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(("old", "new", "message"), CASES["slips"])
def test_what_is_wrong_in_the_file_is_said(tmp_path, old, new, message):
    with pytest.raises(ValueError, match=message):
        small(tmp_path, old, new)


@pytest.mark.parametrize(("given", "message"), CASES["values"])
def test_a_value_that_the_code_cannot_read_is_said(tmp_path, given, message):
    held = "mask.min_leads: 9"
    sections.check(small(tmp_path, held, "pretrain.learning_rate: 1e-4"), ROOT / "params.yaml")
    where = r"^experiments.yaml: tables\.one\.rows\.first\.set: "
    with pytest.raises(ParamsError, match=where + message):
        sections.check(small(tmp_path, held, given), ROOT / "params.yaml")
    with pytest.raises(ParamsError, match=r"every: mask\.scope is 'all'; it must be 'group'"):
        sections.check(small(tmp_path, "scope: record", "scope: all"), ROOT / "params.yaml")


def test_what_is_known_already_or_needs_more_is_skipped_with_its_reason(tmp_path):
    found = small(tmp_path)
    states = {"first-s0": State("first-s0", "running"), "first-s1": State("first-s1", "failed")}
    states["first-s2"] = State("first-s2", "success")
    planned = queueing.plan(found, ["one", "two"], 3, [], states)
    skipped = {one.name: one.skip for one in planned}
    assert " ".join(skipped) == "first-s0 second-s0 first-s1 second-s1 first-s2 second-s2"
    assert skipped["first-s0"] == "running already"
    assert skipped["first-s1"] == ""
    assert "--again" in skipped["first-s2"]
    assert skipped["second-s0"] == "needs gpu (hours to days on a CPU)"
    again = queueing.plan(found, ["one"], 3, ["gpu"], states, again=True)
    assert [one.name for one in again if one.skip] == ["first-s0"]
    with pytest.raises(ParamsError, match="--with: 'gpus' is no need"):
        queueing.plan(found, ["one"], 1, ["gpus"], {})
    assert Planned(found.experiments["first"], 7).name == "first-s7"


FAILED = "ERROR: failed to reproduce"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (f"Traceback\nValueError: no lead\n{FAILED} 'a': exited\n", "a: ValueError: no lead"),
        (f"a bar: 1 of 2\rkmerl: it is full\n{FAILED} 'a@b': exited", "a@b: kmerl: it is full"),
        (f"Running stage 'a':\n> python\n{FAILED} 'a': no x", f"a: {FAILED} 'a': no x"),
        ("ERROR: the lock is held\n\n", "ERROR: the lock is held"),
        ("", ""),
    ],
)
def test_the_reason_of_a_failure_is_its_stage_and_its_last_line(log, said):
    assert queueing.reason(log) == said


def test_runs_come_back_as_they_were_and_in_order(tmp_path):
    file = tmp_path / "experiments.json"
    assert read(file) == []
    values = {"zero_shot.average.12.auroc": Value(0.7, 0.6, None), "a.b": Value(None)}
    one = Run("b", 0, "demo", "10 pairs", "c", "r", "l", values)
    other = Run("a", 1, "demo", "10 pairs", "c", "r", "l", {"x": Value(0.1234567)})
    write([one, other], file)
    first = file.read_bytes()
    back = read(file)
    assert back[1] == one
    assert back[0].values["x"].value == 0.12346
    write(reversed(back), file)
    assert file.read_bytes() == first
    assert b'"zero_shot.average.12.auroc": [0.7, 0.6, null]' in first
    file.write_text("[{")
    with pytest.raises(ParamsError, match="is no JSON file"):
        read(file)
    file.write_text("[{}]")
    with pytest.raises(ParamsError, match=r"run 0\.experiment is missing"):
        read(file)


def test_the_runs_that_were_collected_are_averaged_over_their_seeds():
    collected = read(ROOT / FILE)
    found = [one for one in results(CATALOGUE, collected) if one.scale in ("demo", "ptbxl")]
    assert max(line.behind.seeds for one in found for line in one.lines) >= 3
    for result in found:
        rows = [line.row.experiment for line in result.lines]
        assert len(set(rows)) == len(rows), (result.table.name, result.scale)
