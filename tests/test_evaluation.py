"""The evaluation stages on a small cohort with planted scores: joins, metrics, files, faults."""

import importlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kmerl.evaluation import metric_rows, partial_leads
from kmerl.evaluation.encoded_corpus import open_encoded
from kmerl.evaluation.metrics import auroc, macro
from kmerl.evaluation.scores import read_scores, read_seeds
from kmerl.evaluation.zero_shot import score_task
from kmerl.files import read_json, write_json
from kmerl.store import write_index
from kmerl.tasks import data_report
from kmerl.tasks.classes import TASKS, classes, official
from kmerl.tasks.cohort import read_cohort
from kmerl.tasks.splits import from_store
from kmerl.tasks.subsets import RATIOS
from stages import zero_shot as zero_stage
from tests.cohorts import files_below, read_rows
from tests.evaluation_cohort import LEAD_SETS


def _run_all() -> None:
    for name in ("splits", "zero_shot", "linear_probe", "partial_leads", "seen_unseen"):
        importlib.import_module(f"stages.{name}").main()


@pytest.fixture(scope="module")
def finished(evaluation_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory after all evaluation stages, run once."""
    root = tmp_path_factory.mktemp("finished")
    shutil.copytree(evaluation_cohort, root, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        _run_all()
    return root


@pytest.fixture
def metrics(finished, monkeypatch) -> dict[str, dict]:
    """What each stage measured, by its name; inside `finished`, to read from."""
    monkeypatch.chdir(finished)
    return {path.stem: read_json(path) for path in Path("metrics").glob("*.json")}


def test_a_second_run_writes_the_same_bytes(finished, world):
    _run_all()
    first, second = files_below(finished), files_below(world)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_metrics_have_every_key_and_nulls_where_a_corpus_has_no_records(metrics):
    zero, probe = metrics["zero_shot"], metrics["linear_probe"]
    assert set(zero) == set(probe) == {*TASKS, "average"}
    rows = [row for task in zero.values() for row in task.values()]
    assert all(set(task) == set(LEAD_SETS) for task in zero.values())
    assert len({frozenset(row) for row in rows}) == 1
    assert {"auroc", "auroc_lo", "auroc_hi", "f1", "f1_max", "positives_min"} < set(rows[0])
    for task in probe.values():
        assert set(task) == {str(ratio) for ratio in RATIOS}
        assert all(set(row) == set(LEAD_SETS) for row in task.values())
    for row in (zero["cpsc2018"]["12"], probe["cpsc2018"]["10"]["12"]):
        assert (row["records"], row["classes"], row["auroc"], row["f1_hi"]) == (0, 0, None, None)
    others = [zero[task]["12"]["auroc"] for task in TASKS if task != "cpsc2018"]
    assert zero["average"]["12"]["auroc"] == pytest.approx(np.mean(others), abs=1e-3)


def test_scores_follow_the_records_and_the_other_kind_stands_beside(metrics):
    """Store and encodings are shuffled differently; only a join by record finds the signal. The
    cosine scores are the query scores turned round: as bad as those are good."""
    zero = metrics["zero_shot"]["average"]
    assert zero["12"]["auroc"] > 0.99
    assert 0.5 < zero["1"]["auroc"] < zero["4"]["auroc"] < zero["12"]["auroc"]
    assert zero["1"]["f1"] < zero["1"]["f1_max"]  # thresholds are of validation
    for row in zero.values():
        for name in ("auroc", "cosine_auroc", "above_cosine"):
            assert row[f"{name}_lo"] <= row[name] <= row[f"{name}_hi"]
        assert row["f1"] <= row["f1_max"]
        assert row["cosine_auroc"] == pytest.approx(1 - row["auroc"], abs=2e-3)
        assert row["above_cosine"] == pytest.approx(2 * row["auroc"] - 1, abs=2e-3)
    kept = read_scores(Path("data/zero_shot/cosine"), "csn").score["12"]
    np.testing.assert_array_equal(kept, -read_scores(Path("data/zero_shot"), "csn").score["12"])


@pytest.mark.parametrize("given", [["cosine"], []])
def test_a_method_is_measured_by_the_scores_it_gives(world, monkeypatch, given):
    for path in Path("data/encode").glob("*.json"):
        write_json(path, read_json(path) | {"score_kinds": given})
    zero_stage.main()
    row = read_json("metrics/zero_shot.json")["csn"]["12"]
    kept = read_scores(Path("data/zero_shot"), "csn")
    if given:
        expected = open_encoded(Path("data/encode"), "csn").scores("cosine", "csn", "12")
        assert set(kept.score["12"].ravel()) <= set(expected.ravel())
        assert row["records"] > 0
        assert row["query_auroc"] is None
    else:
        assert (row["records"], row["auroc"], row["cosine_auroc"]) == (0, None, None)


def test_class_rows_are_counted_and_sorted(metrics):
    listed = read_rows("plots/zero_shot_classes.csv")
    assert tuple(listed[0]) == metric_rows.CLASS_COLUMNS
    assert len(listed) == sum(len(classes(task)) for task in TASKS) * len(LEAD_SETS)
    keys = [(row["task"], row["leads"], row["code"]) for row in listed]
    assert keys == sorted(keys)
    test = read_cohort(Path("data/splits"), official("csn")).split("test")
    found = {(r["leads"], r["code"]): r for r in listed if r["task"] == "csn"}
    for i, kind in enumerate(test.classes):
        row = found["limb", kind.code]
        assert (row["name"], int(row["positives"])) == (kind.name, test.truth[:, i].sum())


def test_probe_subsets_are_listed_and_nested(metrics):
    listed = read_rows("data/linear_probe/subsets.csv")
    probe = metrics["linear_probe"]
    for task in TASKS:
        train = read_cohort(Path("data/splits"), official(task)).split("train")
        seeds = [[r for r in listed if (r["task"], r["seed"]) == (task, s)] for s in ("0", "1")]
        for mine in seeds:
            assert [row["record"] for row in mine] == train.records.tolist()
            for ratio in RATIOS:
                count = sum(int(row["ratio"]) <= ratio for row in mine)
                assert probe[task][str(ratio)]["12"]["train_records"] == count
        ratios = [[row["ratio"] for row in mine] for mine in seeds]
        assert ratios[0] != ratios[1] or not len(train.records)


def test_probe_metrics_are_means_over_seeds_with_other_probes_beside(metrics):
    """Features hold the labels, those of the untrained encoder nothing."""
    row = metrics["linear_probe"]["csn"]["100"]["4"]
    seeds = [one for (one,) in read_seeds(Path("data/linear_probe/100"), ["csn"])]
    aurocs = [macro(auroc(one.truth, one.score["4"])) for one in seeds]
    assert row["auroc"] == pytest.approx(np.mean(aurocs), rel=1e-3)
    assert row["auroc_sd"] == pytest.approx(np.std(aurocs, ddof=1), rel=1e-3)
    assert row["seeds"] == 2
    alike = metrics["partial_leads"]["linear_probe"]
    assert alike["4"]["auroc"] == metrics["linear_probe"]["average"]["100"]["4"]["auroc"]
    row = metrics["linear_probe"]["ptbxl_super"]["100"]["12"]
    assert min(row["auroc"], row["knn_auroc"]) > 0.6
    assert 0.35 < row["random_auroc"] < 0.6
    assert row["above_random_lo"] < row["above_random"] < row["above_random_hi"]
    assert row["above_random"] == pytest.approx(row["auroc"] - row["random_auroc"], abs=2e-3)
    assert "auroc_merl_max_test" not in row
    without = metrics["linear_probe"]["csn"]["10"]["2"]
    assert "random_auroc" not in without
    assert "auroc_tuned_lo" in without


def test_choices_of_validation_are_listed_and_counted(metrics):
    choices = read_rows("data/linear_probe/choices.csv")
    mine = [r for r in choices if (r["task"], r["ratio"]) == ("csn", "10")]
    assert len(mine) == len(LEAD_SETS) * 2
    assert all(row["tuned_val_auroc"] >= row["val_auroc"] for row in mine if row["val_auroc"])
    counted = {
        row["weight_decay"]: int(row["chosen"])
        for row in read_rows("data/linear_probe/weight_decays.csv")
        if (row["task"], row["ratio"]) == ("csn", "10")
    }
    assert counted == {
        decay: sum(row["weight_decay"] == decay for row in mine) for decay in ("0.0001", "10.0")
    }
    row = metrics["linear_probe"]["csn"]["10"]["2"]
    epochs = [int(one["epoch"]) for one in mine if one["leads"] == "2"]
    assert row["epoch"] == np.mean(epochs)


def test_partial_leads_curves_are_paired_and_have_every_order_and_named_set(metrics):
    curve = metrics["partial_leads"]
    zero = metrics["zero_shot"]["average"]
    assert set(curve) == {"zero_shot", "linear_probe"}
    for count in partial_leads.COUNTS:
        row = curve["zero_shot"][count]
        assert {k: row[k] for k in row if "below" not in k} == {
            k: zero[count][k] for k in ("auroc", "auroc_lo", "auroc_hi")
        }
    full, one = curve["zero_shot"]["12"], curve["zero_shot"]["1"]
    assert full["below_full"] == full["below_full_lo"] == full["below_full_hi"] == 0
    assert 0 < one["below_full_lo"] < one["below_full"] < one["below_full_hi"]
    listed = read_rows("plots/partial_leads.csv")
    mine = [r for r in listed if (r["protocol"], r["task"]) == ("zero_shot", "average")]
    assert sorted(r["key"] for r in mine) == sorted(curve["zero_shot"])
    assert [r["count"] for r in mine if r["order"] == "paper"] == list(partial_leads.COUNTS)
    # mimic:4 was encoded for itself; its other steps are sets that the paper's order has too
    assert curve["zero_shot"]["mimic:4"]["auroc"] == zero["mimic:4"]["auroc"]
    for rows in curve.values():
        mimic = {f"mimic:{count}" for count in partial_leads.COUNTS}
        assert set(rows) == {*partial_leads.COUNTS, "limb", *mimic}  # standard:5 is not encoded
        assert (rows["mimic:5"], rows["limb"]) == (rows["5"], rows["6"])
        assert rows["mimic:4"] != rows["4"]
    found = {r["key"]: (r["order"], r["leads"], r["count"]) for r in listed}
    assert found["mimic:4"] == ("mimic", "I+II+III+aVR", "4")
    assert found["4"] == ("paper", "I+II+III+aVF", "4")
    assert found["limb"] == ("", "I+II+III+aVR+aVL+aVF", "6")
    means = read_rows("plots/lead_curves.csv")
    assert [row["count"] for row in means] == list(partial_leads.COUNTS)
    assert float(means[0]["zero_shot"]) == zero["1"]["auroc"]
    strange = LEAD_SETS | {"4": ("I", "II", "III", "V1")}
    with pytest.raises(ValueError, match="follow none of the orders standard, mimic, paper"):
        partial_leads.points(strange)


def test_what_validates_can_be_tested_on_and_sets_no_threshold_then(finished, monkeypatch):
    monkeypatch.chdir(finished)
    cohort = read_cohort(Path("data/splits"), official("csn"))
    encoded = open_encoded(Path("data/encode"), "csn")
    both = score_task(cohort, encoded, "query", ("val", "test"))
    alone = score_task(cohort, encoded, "query")
    assert set(both.records) == set(cohort.records[cohort.splits != "train"]) > set(alone.records)
    assert np.isnan(both.threshold["12"]).all() > np.isnan(alone.threshold["12"]).all()
    rows = [both.records.index(record) for record in alone.records]
    np.testing.assert_array_equal(both.score["12"][rows], alone.score["12"])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("tasks", lambda old: {"csn": old["csn"][::-1]}, "task csn was encoded with classes"),
        ("scored", lambda old: ["x" + r for r in old], r"record 'r\d+' has no scores"),
        ("records", lambda old: ["x" + r for r in old], r"record 'r\d+' is missing"),
        ("records", lambda old: old[:1] * 60, "listed twice"),
        ("scored", None, r"has no 'scored'; run `dvc repro encode`"),
        ("random_sets", lambda old: ["12"], "did not read leads '1'; add them to encode.random"),
    ],
)
def test_faults_of_what_was_encoded_are_named(world, name, change, message):
    path, cohort = Path("data/encode/csn.json"), read_cohort(Path("data/splits"), official("csn"))
    index = read_json(path)
    changed = {name: change(index.pop(name))} if change else index.pop(name) and {}
    write_json(path, index | changed)
    with pytest.raises(ValueError, match=message):
        encoded = open_encoded(Path("data/encode"), "csn")
        score_task(cohort, encoded, "query")
        encoded.rows(cohort.records)
        encoded.features("1", "random")
    with pytest.raises(FileNotFoundError, match="run `dvc repro encode`"):
        open_encoded(Path("data/encode"), "ptbxl")


def test_seen_and_unseen_share_out_all_classes(metrics):
    groups = metrics["seen_unseen"]
    listed = read_rows("data/seen_unseen/classes.csv")
    assert groups["seen"]["classes"] == 20
    assert groups["seen"]["classes"] + groups["unseen"]["classes"] == len(listed)
    assert [row["group"] for row in listed] == ["seen"] * 20 + ["unseen"] * (len(listed) - 20)
    assert listed[3]["entity"] == "entity 03"
    mined = read_rows("data/seen_unseen/entities.csv")
    assert (mined[3]["entity"], mined[3]["class"]) == ("entity 03", listed[3]["class"])
    for group, row in groups.items():
        assert row["entities"] == sum(one["group"] == group for one in mined)
    group_of = {row["class"]: row["group"] for row in listed}
    classes = [r for r in read_rows("plots/zero_shot_classes.csv") if r["leads"] == "12"]
    for group, row in groups.items():
        aurocs = [float(r["auroc"]) for r in classes if r["auroc"] and group_of[r["name"]] == group]
        assert row["scored"] == len(aurocs)
        assert row["auroc"] == pytest.approx(np.mean(aurocs), rel=1e-3)


def test_the_data_report_counts_splits_and_classes(metrics):
    entry = metrics["ingest"]["ptb-xl"]
    assert (entry["records"], entry["rejected_flat"], entry["patients"]) == (80, 2, 40)
    assert sum(entry[f"records_{split}"] for split in ("train", "val", "test")) == 80
    cohort = read_cohort(Path("data/splits"), official("ptbxl_sub"))
    test = cohort.split("test").truth
    found = entry["tasks"]["ptbxl_sub"]["test"]
    assert (found["rows"], found["positives"]) == (len(test), test.sum())
    rows = {(r["task"], r["code"]): r for r in read_rows("plots/classes.csv")}
    for i, kind in enumerate(cohort.classes):
        assert int(rows["ptbxl_sub", kind.code]["test"]) == test[:, i].sum()


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("record", lambda old: old[1], "has two rows"),
        ("split", lambda old: "fold 9", "a split that is none of"),
        ("split", lambda old: "train", r"csn: 1 patients .* 'p\d+' \(train, val\)"),
        ("label.csn.AF", lambda old: None, "has labels of csn in part"),
    ],
)
def test_faults_of_the_store_are_named(world, column, change, message):
    path = Path("data/ecg/csn/signals-00000.parquet")
    table = pq.read_table(path)
    row = table["split"].to_pylist().index("val")
    values = table[column].to_pylist()
    values[row] = change(values)
    place, kind = table.column_names.index(column), table.schema.field(column).type
    pq.write_table(table.set_column(place, column, pa.array(values, kind)), path)
    write_index(path.parent)
    with pytest.raises(ValueError, match=message):
        from_store(Path("data/ecg"), official("csn"))
        data_report.corpora_report(Path("metrics/ingest"), Path("data/ecg"), ["csn"], [])
