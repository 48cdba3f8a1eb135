"""`kmerl probe`, `kmerl fine-tune` and what `kmerl predict` makes of them."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.calibration import calibration
from kmerl.evaluation.cross_validation import Examples, cross_validate, fit
from kmerl.evaluation.features_file import Features, read_features, write_features
from kmerl.evaluation.metrics import auprc, auprc_replicates
from kmerl.evaluation.own_probe import Labels, Settings, probe
from kmerl.evaluation.probe_file import CONFIG, WEIGHTS, read_probe
from kmerl.files import write_csv
from kmerl.predict.model import load
from kmerl.predict.preparing import choose, prepare
from kmerl.recordings import read
from kmerl.training.model import save
from tests.cohorts import read_rows
from tests.test_cli import call, write_wfdb
from tests.test_encode import enlarged

RECORDS, WIDTH = 160, 6
SETTINGS = Settings(5, 7, 0, Statistics(50, 0.9, 0))


@pytest.fixture(scope="module")
def examples():
    """Two records a patient; the first number of the features tells the class, with noise."""
    random = np.random.default_rng(5)
    patients = np.repeat(np.arange(RECORDS // 2), 2).astype(str)
    truth = np.repeat(random.random(RECORDS // 2) < 0.35, 2)
    features = random.normal(size=(RECORDS, WIDTH)) * [1, 50, 1, 1, 1, 0] + 7
    features[:, 0] += 1.5 * truth
    return Examples(features, truth, patients)


@pytest.fixture
def files(examples, tmp_path, monkeypatch):
    """A table of labels and features of two lead sets, in the working directory."""
    monkeypatch.chdir(tmp_path)
    names = tuple(f"r{row}" for row in range(RECORDS))
    write_features(
        tmp_path / "features.parquet",
        {
            "12": Features(names, examples.features),
            "mine": Features(names[:-3], examples.features[:-3]),
        },
    )
    rows = [
        (f"r{row}", f"r{row}.edf", patient, "" if row == 5 else int(label), row % 90)
        for row, (patient, label) in enumerate(zip(examples.patients, examples.truth, strict=True))
    ]
    rows.append(("r0", "again.edf", "p", 1, 3))
    write_csv(tmp_path / "labels.csv", ("record", "path", "patient", "AF", "age"), rows)
    return tmp_path


def test_every_record_is_scored_by_a_classifier_that_did_not_see_its_patient(examples):
    found = cross_validate(examples, 5, 7, seed=0)
    assert np.isfinite(found.logits).all() and len(found.penalties) == 5
    for patient in np.unique(examples.patients):
        assert len(set(found.fold[examples.patients == patient])) == 1
    other = Examples(examples.features, ~examples.truth, examples.patients)
    first = found.fold == 0
    moved = examples.features.copy()
    moved[first] += 100  # what is held out moves no weight
    again = cross_validate(Examples(moved, examples.truth, examples.patients), 5, 7, seed=0)
    assert (found.fold == again.fold).all() and found.penalties[0] == again.penalties[0]
    assert roc_auc_score(examples.truth, found.logits) > 0.75
    assert roc_auc_score(other.truth, -found.logits) > 0.75


def test_the_classifier_is_scikit_learns_on_standardised_features(examples):
    ours = fit(examples, seed=0)
    scale = np.where(examples.features.std(0) > 0, examples.features.std(0), 1)
    inputs = (examples.features - examples.features.mean(0)) / scale
    model = LogisticRegression(C=ours.penalty, tol=1e-8).fit(inputs, examples.truth)
    np.testing.assert_allclose(
        ours.logits(examples.features), model.decision_function(inputs), atol=1e-3
    )


def test_calibration_knows_what_is_too_extreme_and_too_low():
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, 20_000)
    truth = random.random(20_000) < 1 / (1 + np.exp(-logits))
    right = calibration(truth, logits)
    assert abs(right.slope - 1) < 0.05 and abs(right.intercept) < 0.05 and right.error < 0.02
    assert abs(calibration(truth, 2 * logits).slope - 0.5) < 0.03
    assert abs(calibration(truth, logits - 1).intercept - 1) < 0.06
    assert [count for *_, count in right.bins] == [2000] * 10
    assert np.isnan(calibration(np.array([False, True]), np.array([-1.0, 1.0])).slope)


def test_auprc_of_replicates_is_that_of_repeated_records():
    random = np.random.default_rng(2)
    truth, score = random.random((60, 1)) < 0.3, random.integers(0, 12, (60, 1)) / 11
    weights = random.integers(0, 3, (60, 9)).astype(np.float32)
    found = auprc_replicates(truth, score, weights)[:, 0]
    for value, counts in zip(found, weights.T.astype(int), strict=True):
        one, two = np.repeat(truth[:, 0], counts), np.repeat(score[:, 0], counts)
        assert value == pytest.approx(average_precision_score(one, two))
    once = np.ones((60, 1), np.float32)
    assert auprc_replicates(truth, score, once)[0] == pytest.approx(auprc(truth, score))


def test_kmerl_probe_on_features_of_any_encoder(files, examples):
    said = call("probe", "features.parquet", "labels.csv", "--out", "out", "--replicates", 50)
    assert "column 'age' is no label" in said
    rows = {row["leads"]: row for row in read_rows(files / "out/metrics.csv")}
    assert sorted(rows) == ["12", "mine"] and rows["12"]["records"] == str(RECORDS - 1)
    for row in rows.values():
        for name in ("auroc", "auprc", "knn_auroc"):
            assert float(row[f"{name}_lo"]) <= float(row[name]) <= float(row[f"{name}_hi"])
    left = read_rows(files / "out/left_out.csv")
    assert [(r["record"], r["reason"]) for r in left if r["leads"] == "12"] == [("r5", "no label")]
    assert [r["record"] for r in left if r["reason"] == "no features"] == ["r157", "r158", "r159"]
    assert ("r0", "listed before") in [(r["record"], r["reason"]) for r in left]
    scores = read_rows(files / "out/scores.csv")
    mine = [row for row in scores if row["leads"] == "12"]
    auroc = roc_auc_score(
        [int(row["label"]) for row in mine], [float(row["probability"]) for row in mine]
    )
    assert auroc == pytest.approx(float(rows["12"]["auroc"]), abs=1e-3)
    assert "not a" in (files / "out/README.md").read_text().lower()
    assert read_probe(files / "out").config.model == ""
    before = {path.name: path.read_bytes() for path in (files / "out").iterdir()}
    call("probe", "features.parquet", "labels.csv", "--out", "out", "--replicates", 50)
    assert before == {path.name: path.read_bytes() for path in (files / "out").iterdir()}


WRONG_FEATURES = {  # columns of the Parquet file, and what is said
    "no vector": ({"record": ["a"], "leads": ["12"]}, "no column vector"),
    "twice": ({"record": ["a", "a"], "leads": ["12"] * 2, "vector": [[1.0]] * 2}, "2 vectors"),
    "short": (
        {"record": ["a", "b"], "leads": ["12"] * 2, "vector": [[1.0, 2.0], [1.0]]},
        "'b' has not the 2",
    ),
    "nan": ({"record": ["a"], "leads": ["12"], "vector": [[float("nan")]]}, "not finite"),
    "empty": ({"record": ["a"], "leads": ["12"], "vector": [[]]}, "row 1"),
}


@pytest.mark.parametrize("fault", WRONG_FEATURES)
def test_wrong_features_are_named(tmp_path, fault):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns, said = WRONG_FEATURES[fault]
    pq.write_table(pa.table(columns), tmp_path / "f.parquet")
    with pytest.raises(ValueError, match=said):
        read_features(tmp_path / "f.parquet")


def test_windows_of_a_record_are_averaged(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {"record": ["a", "a"], "leads": ["12"] * 2, "start": [0.0, 5.0]}
    pq.write_table(pa.table({**rows, "vector": [[1.0, 0.0], [3.0, 2.0]]}), tmp_path / "f.parquet")
    assert read_features(tmp_path / "f.parquet")["12"].vectors.tolist() == [[2.0, 1.0]]


def test_a_class_with_too_few_patients_is_said():
    labels = Labels(("a", "b"), ("p", "q"), {"AF": [True, False]})
    features = {"12": Features(("a", "b"), np.eye(2))}
    with pytest.raises(ValueError, match="AF: 1 patients have it and 1 do not; 8 of each"):
        probe(features, labels, SETTINGS)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A small model, and recordings of 40 patients, of which AF has a larger signal."""
    root = tmp_path_factory.mktemp("own")
    config, network = enlarged()
    save(root / "models", config, network)
    random = np.random.default_rng(3)
    rows = []
    for i in range(40):
        values = {
            lead: random.normal(0, 200 + 900 * (i % 2), config.samples) for lead in ("I", "II")
        }
        write_wfdb(root, f"r{i}", config.rate, values)
        split = ("train", "val", "test")[min(i // 4 % 5, 2)]
        rows.append((f"r{i}", f"p{i}", split, i % 2, int(i % 3 == 0)))
    rows.append(("none", "p40", "test", 1, 0))
    write_csv(root / "labels.csv", ("path", "patient", "split", "AF", "LBBB"), rows)
    return root


def told(root, name):
    return ("--model", root / "models", "--leads", name, "--replicates", 5, "--threads", 1)


def test_a_probe_answers_as_its_scores_say(recordings, tmp_path):
    root, out = recordings, tmp_path / "probe"
    call("probe", root, root / "labels.csv", "--out", out, *told(root, "I,I+II"))
    left = read_rows(out / "left_out.csv")
    assert {row["record"] for row in left} == {"none"} and "does not exist" in left[0]["reason"]
    with_it = ("--model", root / "models", "--probe", out, "--json")
    answer = json.loads(call("predict", root / "r1", "--leads", "I", *with_it))
    found = {one["name"]: one["probability"] for one in answer["predictions"]}
    assert found.keys() == {"AF", "LBBB"}
    probe_itself, leads = read_probe(out), ("I",)
    model = load(root / "models", device="cpu")
    recording = choose(read(root / "r1"), "I")
    prepared = prepare(recording, model.config.rate, model.config.samples)
    vector = model.features(prepared.signal[None], leads)
    wanted = probe_itself.probabilities("I", vector)[0]
    np.testing.assert_allclose([found["AF"], found["LBBB"]], wanted, atol=1e-5)
    for more, said in {
        ("--leads", "II"): "made with leads I or I+II, not with II",
        ("--leads", "I", "--classes", "x"): "its own classes, AF, LBBB",
    }.items():
        assert said in call("predict", root / "r1", *more, *with_it, status=1)


def test_fine_tuning_leaves_a_model_that_answers_the_labels(recordings, tmp_path):
    root, out = recordings, tmp_path / "tuned"
    more = ("--epochs", 2, "--batch", 8)
    call("fine-tune", root, root / "labels.csv", "--out", out, *more, *told(root, "I+II"))
    (row, _) = read_rows(out / "metrics.csv")
    assert row["name"] == "AF" and row["records"] == "24"
    (left,) = read_rows(out / "left_out.csv")
    assert left["record"] == "none" and "does not exist" in left["reason"]
    answer = json.loads(call("predict", root / "r1", "--leads", "I+II", "--model", out, "--json"))
    assert {one["name"] for one in answer["predictions"]} == {"AF", "LBBB"}
    said = call(
        "predict", root / "r1", "--leads", "I+II", "--model", root / "models", "--probe", out,
        status=1,
    )  # fmt: skip
    assert "made with another model" in said


def test_a_probe_that_was_changed_is_refused(files):
    call("probe", "features.parquet", "labels.csv", "--out", "out", "--replicates", 5)
    path = files / "out" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ValueError, match=f"not the weights that {CONFIG}"):
        read_probe(files / "out")
