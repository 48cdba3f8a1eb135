"""The evaluation stages on a small cohort with planted scores: joins, metrics, files, faults."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kmerl import params
from kmerl.evaluation import metric_rows, partial_leads, seen_unseen
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.encoded_corpus import open_encoded
from kmerl.evaluation.linear_probe import LinearProbe
from kmerl.evaluation.metrics import auroc, macro
from kmerl.evaluation.scores import Scores, read_scores, read_seeds
from kmerl.evaluation.zero_shot import ZeroShot, score_task
from kmerl.tasks import data_report
from kmerl.tasks.classes import TASKS, classes
from kmerl.tasks.cohort import read_cohort
from kmerl.tasks.splits import from_store
from kmerl.tasks.subsets import RATIOS
from stages import linear_probe as probe_stage
from stages import partial_leads as partial_stage
from stages import seen_unseen as seen_stage
from stages import splits as splits_stage
from stages import zero_shot as zero_stage
from tests.evaluation_cohort import LEAD_SETS, build, write_store


def _run_all() -> None:
    for stage in (splits_stage, zero_stage, probe_stage, partial_stage, seen_stage):
        stage.main()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same directory after all evaluation stages, run once."""
    root = tmp_path_factory.mktemp("finished")
    build(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        _run_all()
    return root


@pytest.fixture
def results(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inside `finished`, to read from."""
    monkeypatch.chdir(finished)
    return finished


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inside a directory of its own, no evaluation stage run."""
    build(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _json(path: str) -> dict:
    return json.loads(Path(path).read_text())


def _rows(path: str) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _files(root: Path) -> dict[str, bytes]:
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def test_a_second_run_writes_the_same_bytes(results: Path, world: Path) -> None:
    _run_all()
    first, second = _files(results), _files(world)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_metrics_have_every_key(results: Path) -> None:
    zero, probe = _json("metrics/zero_shot.json"), _json("metrics/linear_probe.json")
    assert set(zero) == set(probe) == {*TASKS, "average"}
    rows = [row for task in zero.values() for row in task.values()]
    assert all(set(task) == set(LEAD_SETS) for task in zero.values())
    assert len({frozenset(row) for row in rows}) == 1
    assert {"auroc", "auroc_lo", "auroc_hi", "f1", "f1_max", "positives_min"} < set(rows[0])
    for task in probe.values():
        assert set(task) == {str(ratio) for ratio in RATIOS}
        assert all(set(row) == set(LEAD_SETS) for row in task.values())


def test_a_corpus_without_records_has_nulls_and_stays_out_of_the_average(results: Path) -> None:
    zero, probe = _json("metrics/zero_shot.json"), _json("metrics/linear_probe.json")
    for row in (zero["cpsc2018"]["12"], probe["cpsc2018"]["10"]["12"]):
        assert (row["records"], row["classes"], row["auroc"], row["f1_hi"]) == (0, 0, None, None)
    others = [zero[task]["12"]["auroc"] for task in TASKS if task != "cpsc2018"]
    assert zero["average"]["12"]["auroc"] == pytest.approx(np.mean(others), abs=1e-3)


def test_zero_shot_scores_follow_the_records(results: Path) -> None:
    """Store and encodings are shuffled differently; only a join by record finds the signal."""
    zero = _json("metrics/zero_shot.json")["average"]
    assert zero["12"]["auroc"] > 0.99
    assert 0.5 < zero["1"]["auroc"] < zero["4"]["auroc"] < zero["12"]["auroc"]
    for row in zero.values():
        assert row["auroc_lo"] <= row["auroc"] <= row["auroc_hi"]
        assert row["f1"] <= row["f1_max"]


def test_the_other_kind_of_score_stands_beside(results: Path) -> None:
    """The cohort's cosine scores are its query scores turned round: as bad as those are good."""
    for row in _json("metrics/zero_shot.json")["average"].values():
        assert row["cosine_auroc"] == pytest.approx(1 - row["auroc"], abs=2e-3)
        assert row["above_cosine"] == pytest.approx(2 * row["auroc"] - 1, abs=2e-3)
        assert row["above_cosine_lo"] <= row["above_cosine"] <= row["above_cosine_hi"]
        assert row["cosine_auroc_lo"] <= row["cosine_auroc"] <= row["cosine_auroc_hi"]
    kept = read_scores(Path("data/zero_shot/cosine"), "csn").score["12"]
    np.testing.assert_array_equal(kept, -read_scores(Path("data/zero_shot"), "csn").score["12"])


@pytest.mark.parametrize("given", [["cosine"], []])
def test_a_method_is_measured_by_the_scores_it_gives(
    world: Path, monkeypatch: pytest.MonkeyPatch, given: list[str]
) -> None:
    for path in Path("data/encode").glob("*.json"):
        path.write_text(json.dumps(_json(str(path)) | {"score_kinds": given}))
    zero_stage.main()
    row = _json("metrics/zero_shot.json")["csn"]["12"]
    kept = read_scores(Path("data/zero_shot"), "csn")
    if given:
        expected = open_encoded(Path("data/encode"), "csn").scores("cosine", "csn", "12")
        assert set(kept.score["12"].ravel()) <= set(expected.ravel())
        assert row["records"] > 0
        assert row["query_auroc"] is None
    else:
        assert (row["records"], row["auroc"], row["cosine_auroc"]) == (0, None, None)


def test_cosine_scores_are_a_parameter(world: Path) -> None:
    cohort = read_cohort(Path("data/splits"), "csn")
    encoded = open_encoded(Path("data/encode"), "csn")
    query, cosine = (score_task(cohort, encoded, kind) for kind in ("query", "cosine"))
    np.testing.assert_array_equal(query.score["12"], -cosine.score["12"])


def test_class_rows_are_counted_and_sorted(results: Path) -> None:
    rows = _rows("plots/zero_shot_classes.csv")
    assert tuple(rows[0]) == metric_rows.CLASS_COLUMNS
    assert len(rows) == sum(len(classes(task)) for task in TASKS) * len(LEAD_SETS)
    keys = [(row["task"], row["leads"], row["code"]) for row in rows]
    assert keys == sorted(keys)
    test = read_cohort(Path("data/splits"), "csn").split("test")
    found = {(r["leads"], r["code"]): r for r in rows if r["task"] == "csn"}
    for i, kind in enumerate(test.classes):
        row = found["limb", kind.code]
        assert (row["name"], int(row["positives"])) == (kind.name, test.truth[:, i].sum())


def test_probe_subsets_are_listed_and_nested(results: Path) -> None:
    listed = _rows("data/linear_probe/subsets.csv")
    probe = _json("metrics/linear_probe.json")
    for task in TASKS:
        train = read_cohort(Path("data/splits"), task).split("train")
        seeds = [[r for r in listed if (r["task"], r["seed"]) == (task, s)] for s in ("0", "1")]
        for mine in seeds:
            assert [row["record"] for row in mine] == train.records.tolist()
            for ratio in RATIOS:
                count = sum(int(row["ratio"]) <= ratio for row in mine)
                assert probe[task][str(ratio)]["12"]["train_records"] == count
        ratios = [[row["ratio"] for row in mine] for mine in seeds]
        assert ratios[0] != ratios[1] or not len(train.records)


def test_probe_metrics_are_means_over_seeds(results: Path) -> None:
    row = _json("metrics/linear_probe.json")["csn"]["100"]["4"]
    seeds = [one[list(TASKS).index("csn")] for one in _probe_scores(100)]
    aurocs = [macro(auroc(one.truth, one.score["4"])) for one in seeds]
    assert row["auroc"] == pytest.approx(np.mean(aurocs), rel=1e-3)
    assert row["auroc_sd"] == pytest.approx(np.std(aurocs, ddof=1), rel=1e-3)
    assert row["seeds"] == 2
    alike = _json("metrics/partial_leads.json")["linear_probe"]
    assert alike["4"]["auroc"] == _json("metrics/linear_probe.json")["average"]["100"]["4"]["auroc"]


def _probe_scores(ratio: int) -> list[list[Scores]]:
    return read_seeds(Path("data/linear_probe") / str(ratio), TASKS)


def test_other_probes_stand_beside_the_fixed_one(results: Path) -> None:
    """Features hold the labels, those of the untrained encoder nothing."""
    row = _json("metrics/linear_probe.json")["ptbxl_super"]["100"]["12"]
    assert row["auroc"] > 0.6
    assert row["knn_auroc"] > 0.6
    assert 0.35 < row["random_auroc"] < 0.6
    assert row["above_random_lo"] < row["above_random"] < row["above_random_hi"]
    assert row["above_random"] == pytest.approx(row["auroc"] - row["random_auroc"], abs=2e-3)
    assert "auroc_merl_max_test" not in row
    without = _json("metrics/linear_probe.json")["csn"]["10"]["2"]
    assert "random_auroc" not in without
    assert "auroc_tuned_lo" in without


def test_choices_of_validation_are_listed_and_counted(results: Path) -> None:
    choices = _rows("data/linear_probe/choices.csv")
    mine = [r for r in choices if (r["task"], r["ratio"]) == ("csn", "10")]
    assert len(mine) == len(LEAD_SETS) * 2
    assert all(row["tuned_val_auroc"] >= row["val_auroc"] for row in mine if row["val_auroc"])
    counted = {
        row["weight_decay"]: int(row["chosen"])
        for row in _rows("data/linear_probe/weight_decays.csv")
        if (row["task"], row["ratio"]) == ("csn", "10")
    }
    assert counted == {
        decay: sum(row["weight_decay"] == decay for row in mine) for decay in ("0.0001", "10.0")
    }
    row = _json("metrics/linear_probe.json")["csn"]["10"]["2"]
    epochs = [int(one["epoch"]) for one in mine if one["leads"] == "2"]
    assert row["epoch"] == np.mean(epochs)


def test_partial_leads_curve_is_paired(results: Path) -> None:
    curve = _json("metrics/partial_leads.json")
    zero = _json("metrics/zero_shot.json")["average"]
    assert set(curve) == {"zero_shot", "linear_probe"}
    for count in partial_leads.COUNTS:
        row = curve["zero_shot"][count]
        assert {k: row[k] for k in row if "below" not in k} == {
            k: zero[count][k] for k in ("auroc", "auroc_lo", "auroc_hi")
        }
    full, one = curve["zero_shot"]["12"], curve["zero_shot"]["1"]
    assert full["below_full"] == full["below_full_lo"] == full["below_full_hi"] == 0
    assert 0 < one["below_full_lo"] < one["below_full"] < one["below_full_hi"]
    rows = _rows("plots/partial_leads.csv")
    mine = [r for r in rows if (r["protocol"], r["task"]) == ("zero_shot", "average")]
    assert sorted(r["key"] for r in mine) == sorted(curve["zero_shot"])
    assert [r["count"] for r in mine if r["order"] == "paper"] == list(partial_leads.COUNTS)
    assert mine[2]["leads"] == "I+II+III"


def test_every_order_and_named_set_has_its_row(results: Path) -> None:
    """mimic:4 was encoded for itself; its other steps are sets that the paper's order has too."""
    zero = _json("metrics/zero_shot.json")["average"]
    for protocol, curve in _json("metrics/partial_leads.json").items():
        mimic = {f"mimic:{count}" for count in partial_leads.COUNTS}
        assert set(curve) == {*partial_leads.COUNTS, "limb", *mimic}  # standard:5 is not encoded
        assert curve["mimic:5"] == curve["5"]
        assert curve["mimic:4"] != curve["4"]
        assert curve["limb"] == curve["6"]
        if protocol == "zero_shot":
            assert curve["mimic:4"]["auroc"] == zero["mimic:4"]["auroc"]
    rows = _rows("plots/partial_leads.csv")
    found = {r["key"]: (r["order"], r["leads"], r["count"]) for r in rows}
    assert found["mimic:4"] == ("mimic", "I+II+III+aVR", "4")
    assert found["4"] == ("paper", "I+II+III+aVF", "4")
    assert found["limb"] == ("", "I+II+III+aVR+aVL+aVF", "6")
    means = _rows("plots/lead_curves.csv")
    assert [row["count"] for row in means] == list(partial_leads.COUNTS)
    assert float(means[0]["zero_shot"]) == zero["1"]["auroc"]


def test_counts_that_follow_no_order_are_an_error() -> None:
    strange = LEAD_SETS | {"4": ("I", "II", "III", "V1")}
    with pytest.raises(ValueError, match="follow none of the orders standard, mimic, paper"):
        partial_leads.points(strange)


def test_scores_are_of_held_out_records_and_features_of_all(world: Path) -> None:
    cohort = read_cohort(Path("data/splits"), "csn")
    encoded = open_encoded(Path("data/encode"), "csn")
    held_out = cohort.take(cohort.splits != "train").records
    rows = encoded.scored_rows(held_out)
    assert len(set(rows)) == len(held_out) < len(encoded.scores("query", "csn", "12"))
    assert len(encoded.features("12")) == len(encoded.row_of) == 60
    trained, random = encoded.features("1"), encoded.features("1", "random")
    assert trained.shape == random.shape
    assert not np.array_equal(trained, random)
    with pytest.raises(ValueError, match=r"record 'r\d+' has no scores"):
        encoded.scored_rows(cohort.split("train").records)
    index = _json("data/encode/csn.json") | {"random_sets": ["12"]}
    Path("data/encode/csn.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"did not read leads '1'; add them to encode.random"):
        open_encoded(Path("data/encode"), "csn").features("1", "random")
    del index["scored"]
    Path("data/encode/csn.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"has no 'scored'; run `dvc repro encode`"):
        open_encoded(Path("data/encode"), "csn")


def test_seen_and_unseen_share_out_all_classes(results: Path) -> None:
    groups = _json("metrics/seen_unseen.json")
    listed = _rows("data/seen_unseen/classes.csv")
    assert groups["seen"]["classes"] == 20
    assert groups["seen"]["classes"] + groups["unseen"]["classes"] == len(listed)
    assert [row["group"] for row in listed] == ["seen"] * 20 + ["unseen"] * (len(listed) - 20)
    assert listed[3]["entity"] == "entity 03"
    defined = _json("metrics/zero_shot.json")["average"]["12"]["classes"]
    assert groups["seen"]["scored"] + groups["unseen"]["scored"] == defined


def test_the_data_report_counts_splits_and_classes(results: Path) -> None:
    entry = _json("metrics/ingest.json")["ptb-xl"]
    assert (entry["records"], entry["rejected_flat"], entry["patients"]) == (80, 2, 40)
    assert sum(entry[f"records_{split}"] for split in ("train", "val", "test")) == 80
    cohort = read_cohort(Path("data/splits"), "ptbxl_sub")
    test = cohort.split("test").truth
    found = entry["tasks"]["ptbxl_sub"]["test"]
    assert (found["rows"], found["positives"]) == (len(test), test.sum())
    rows = {(r["task"], r["code"]): r for r in _rows("plots/classes.csv")}
    for i, kind in enumerate(cohort.classes):
        assert int(rows["ptbxl_sub", kind.code]["test"]) == test[:, i].sum()


def test_a_patient_in_two_splits_stops_the_data_report(tmp_path: Path) -> None:
    swap = {"test": "train", "train": "test", "val": "val"}
    write_store(tmp_path, "csn", split=lambda old: [swap[old[0]], *old[1:]])
    (tmp_path / "csn.json").write_text(json.dumps({"csn": {"records": 60}}))
    with pytest.raises(
        data_report.LeakageError, match=r"csn: 1 patients .* 'p\d+' \(test, train\)"
    ):
        data_report.corpus_entry(tmp_path / "csn.json", tmp_path, "csn")


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("record", lambda old: [old[1], *old[1:]], "has two rows"),
        ("split", lambda old: ["fold 9", *old[1:]], "a split that is none of"),
        ("label.csn.AF", lambda old: [None] * len(old), "has labels of csn in part"),
    ],
)
def test_faults_of_the_store_are_named(
    tmp_path: Path, column: str, change: Callable[[list], list], message: str
) -> None:
    write_store(tmp_path, "csn", **{column: change})
    with pytest.raises(ValueError, match=message):
        from_store(tmp_path, "csn")


def test_faults_of_the_encodings_are_named(world: Path) -> None:
    encode, cohort = Path("data/encode"), read_cohort(Path("data/splits"), "csn")
    index = _json("data/encode/csn.json")
    path = encode / "csn.json"
    path.write_text(json.dumps(index | {"tasks": {"csn": index["tasks"]["csn"][::-1]}}))
    with pytest.raises(ValueError, match="task csn was encoded with classes"):
        score_task(cohort, open_encoded(encode, "csn"), "query")
    path.write_text(json.dumps(index | {"scored": ["x" + r for r in index["scored"]]}))
    with pytest.raises(ValueError, match=r"record 'r\d+' has no scores"):
        score_task(cohort, open_encoded(encode, "csn"), "query")
    path.write_text(json.dumps(index | {"records": ["x" + r for r in index["records"]]}))
    with pytest.raises(ValueError, match=r"record 'r\d+' is missing"):
        open_encoded(encode, "csn").rows(cohort.records)
    path.write_text(json.dumps(index | {"records": index["records"][:1] * 60}))
    with pytest.raises(ValueError, match="listed twice"):
        open_encoded(encode, "csn")
    with pytest.raises(FileNotFoundError, match="run `dvc repro encode`"):
        open_encoded(encode, "ptbxl")


def test_the_demo_has_every_parameter() -> None:
    demo = Path(__file__).parents[1] / "params/demo.yaml"
    assert params.load("zero_shot", ZeroShot, demo).score == "query"
    assert params.load("linear_probe", LinearProbe, demo).epochs == 100
    assert params.load("partial_leads", partial_leads.PartialLeads, demo).ratio in RATIOS
    assert params.load("seen_unseen", seen_unseen.SeenUnseen, demo).threshold == 0.95
    assert params.load("statistics", Statistics, demo).level == 0.95
