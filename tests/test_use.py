"""`kmerl` in Python: load, read, predict, embed; a model of the Hub; docs/use.md."""

import doctest
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import kmerl
from kmerl.leads import LEADS
from kmerl.predict import exporting
from kmerl.training.model import save
from tests import methods
from tests.cohorts import RATE
from tests.import_closure import ROOT
from tests.test_cli import write_wfdb
from tests.test_encode import CLASSES, FakeTower, enlarged, voltages

FEW = CLASSES[:3]
HERE = {"rate": float(RATE), "unit": "uV"}


@pytest.fixture(scope="module")
def model() -> kmerl.Model:
    return made()


def made(**how) -> kmerl.Model:
    found = kmerl.Model(*enlarged(), **how)
    found.vocabulary.tower = FakeTower()
    return found


@pytest.fixture(scope="module")
def signals() -> np.ndarray:
    return voltages(11, 4)


def test_whatever_the_form_the_answer_is_the_same_bits(model, signals, tmp_path):
    """A file, a recording, an array, {lead: samples}, several of them; alone or in a batch."""
    write_wfdb(tmp_path, "a", RATE, dict(zip(LEADS, signals[0].astype(float), strict=True)))
    two = signals[:, [1, 6]]
    whole = model.predict(two, FEW, ["II", "V1"], **HERE)
    assert list(whole.columns) == [
        "record", "start", "seconds", "leads", *FEW, "notes", "left_out",
    ]  # fmt: skip
    assert list(whole["leads"]) == ["II V1"] * 11
    assert whole["record"][3] == "recordings[3]"
    mapping = {"lead v1": two[0, 1], "MDC_ECG_LEAD_II": two[0, 0]}
    recording = kmerl.from_array(two[0] / 1000, "II,V1", rate=RATE, unit="mV", source="mine")
    for given, told in (
        (tmp_path / "a", {}),
        ([str(tmp_path / "a.hea")], {}),
        (recording, {}),
        (mapping, HERE),
        (iter([kmerl.read(tmp_path / "a"), recording]), {}),
        ([two[0], two[0][::-1]], HERE),
    ):
        leads = ["II", "V1"]
        found = model.predict(given, FEW, leads, **told)
        for name in FEW:
            assert found[name][0] == whole[name][0]
    for row in range(11):
        alone = model.predict(two[row], FEW, ["II", "V1"], **HERE)
        score = model.score(two[row][::-1], ["V1", "II"], FEW)
        for place, name in enumerate(FEW):
            assert alone[name][0] == whole[name][row] == score[place]
    other = made(batch=3).predict(two, FEW, ["II", "V1"], **HERE)
    np.testing.assert_allclose(other[FEW], whole[FEW], rtol=0, atol=1e-5)
    threads = torch.get_num_threads()
    vectors = np.stack(model.embed(two, "II,V1", **HERE)["vector"])
    assert vectors.shape == (11, 96) and vectors.dtype == np.float32
    assert torch.get_num_threads() == threads


def test_recordings_of_several_lead_sets_come_back_in_their_order(model, signals):
    given = [
        dict(zip(LEADS[: 1 + row % 3], signals[row], strict=False)) for row in range(len(signals))
    ]
    found = model.predict(given, FEW, **HERE)
    assert [len(leads.split()) for leads in found["leads"]] == [len(one) for one in given]
    assert list(found["record"]) == [f"recordings[{k}]" for k in range(len(given))]
    for row in (0, 4, 8):
        alone = model.predict(given[row], FEW, **HERE)
        assert all(alone[name][0] == found[name][row] for name in FEW)


@pytest.mark.parametrize(
    ("values", "leads", "message"),
    [
        (
            [[1.0, np.nan, np.nan]],
            "I",
            r"recordings\[0\]: lead I is nan at sample 1 and at 1 other",
        ),
        ([[1.0, np.inf]], "I", "lead I is inf at sample 1"),
        ([[1.0, 2.0]], None, "say which leads its rows are"),
        ([[1.0, 2.0]], "I,II", "2 leads are named, and there are 1 rows"),
        ([[1.0, 2.0]] * 2, "I,Lead I", "lead I is there twice"),
        ([[1.0, 2.0]], "RESP", "names none of the leads"),
        ([["a", "b"]], "I", "are no numbers"),
        ([[9e5, 2.0]], "I", "no ECG; give its true --unit"),
    ],
)
def test_an_array_that_can_be_no_ecg_is_an_error_that_says_where(values, leads, message, model):
    with pytest.raises(kmerl.RecordError, match=message):
        model.predict(np.array(values), FEW, leads, rate=500.0, unit="mV")


def test_gaps_can_be_said_and_then_no_answer_is_nan(model, signals):
    values = signals[0, :2].astype(float)
    values[1, 10:30] = np.nan
    found = kmerl.from_array(values, "I,II", rate=RATE, unit="uV", gaps=True)
    answers = model.predict(found, FEW)
    assert answers[FEW].notna().all().all()
    assert "lead II: 20 missing samples bridged" in answers["notes"][0]
    with pytest.raises(kmerl.RecordError, match="say its rate and unit"):
        model.predict(values, FEW, "I,II")


def test_names_are_embedded_once_a_model_and_unknown_ones_are_warned_of(signals):
    model, asked = made(), []
    embed = FakeTower().embed
    model.vocabulary.tower.embed = lambda names: asked.extend(names) or embed(names)
    entities = model.predict(signals[0], leads=LEADS, **HERE)
    assert list(entities.columns[4:-2]) == model.entities
    assert asked == []  # their vectors are in the model
    with pytest.warns(UserWarning, match="'sinus rythm' is no name .*nearest are sinus rhythm"):
        one = model.predict(signals, ["Sinus  rythm"], LEADS, **HERE)
    model.predict(signals, ["sinus rythm"], LEADS, **HERE)  # said once
    assert asked == ["sinus rythm"]
    assert "sinus rythm" in one
    with pytest.raises(ValueError, match="is the name of another column"):
        model.predict(signals, ["notes"], LEADS, **HERE)


def test_every_method_has_features_and_one_alone_answers_names(signals):
    other = kmerl.Model(methods.config("simclr"), methods.small("simclr"))
    values = np.tile(signals, 2)[:, :, : methods.SAMPLES]
    rate = float(other.config.rate)
    assert len(other.embed(values, LEADS, rate=rate, unit="uV")) == 11
    with pytest.raises(ValueError, match="'simclr', which has no query network"):
        other.predict(values, FEW, LEADS, rate=rate, unit="uV")


# ---------------------------------------------------------------- the Hub


@pytest.fixture
def exported(tmp_path, monkeypatch) -> Path:
    (tmp_path / "metrics").mkdir()
    row = {"auroc": 0.7, "auroc_lo": 0.6, "auroc_hi": None}
    counts = dict.fromkeys(("records", "patients", "patients_crossing_splits"), 7)
    counts |= {f"records_{split}": 2 for split in ("train", "val", "test")}
    for name, value in (
        ("ingest", {"ptb-xl": counts}),
        ("zero_shot", {"average": {"12": row}, "csn": {"1": {}}}),
    ):
        (tmp_path / "metrics" / f"{name}.json").write_text(json.dumps(value))
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/zero_shot_classes.csv").write_text(
        "task,leads,name,positives,auroc,auroc_lo,auroc_hi\ncsn,1,pacing,6,0.9,0.8,1.0\n"
        "csn,2,pacing,6,0.5,0.4,0.6\ncsn,12,flutter,0,,,\n"
    )
    shutil.copy(ROOT / "params.yaml", tmp_path)
    made().save_pretrained(tmp_path / "folder", run=tmp_path, licence="mit")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "folder"


def test_a_model_of_the_hub_is_found_in_the_cache_at_its_revision(exported, signals, monkeypatch):
    """The cache's own layout, offline: no host is asked."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = exported.parent / "hub"
    folder = cache / "models--someone--k-merl"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    shutil.copytree(exported, folder / "snapshots" / commit)
    for name, value in (("HF_HUB_CACHE", str(cache)), ("HF_HUB_OFFLINE", True)):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    given = signals[0, :2], FEW, "I,II"
    expected = made().predict(*given, **HERE)
    for found in (
        kmerl.load("someone/k-merl"),
        kmerl.load("someone/k-merl", revision=commit, device="cpu"),
        kmerl.Model.from_pretrained(exported),
    ):
        found.vocabulary.tower = None  # its names came with it
        assert found.predict(*given, **HERE).equals(expected)
    with pytest.raises(FileNotFoundError, match="nor can it be had from the Hub at revision v9"):
        kmerl.load("someone/k-merl", revision="v9")
    with pytest.raises(FileNotFoundError, match="someone/other does not exist here"):
        kmerl.load("someone/other")
    with pytest.raises(ValueError, match="device 'cuda:99' is not here"):
        kmerl.load(exported, device="cuda:99")


def test_its_card_has_data_splits_numbers_intervals_limits_and_licence(exported):
    card = (exported / "README.md").read_text()
    for words in (
        "license: mit", "| PTB-XL | none, simulated | evaluation | 7 | 7 | 2 | 2 | 2 |",
        "are simulated hearts", "no patient is in them",
        "| csn | pacing | 6 | 0.900 (0.800 to 1.000) | not measured | not measured |",
        "0.700 (0.600 to ?)", "not calibrated",
        "Not a medical device", CLASSES[0],
    ):  # fmt: skip
        assert words in card
    names = exported / "names.safetensors"
    names.write_bytes(names.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"names\.safetensors is damaged"):
        kmerl.load(exported)
    assert exporting.__doc__


# ---------------------------------------------------------------- what a page says


def test_importing_costs_nothing_and_offers_what_it_says():
    line = "import sys, kmerl; print(sorted(m for m in sys.modules if m in ('torch', 'numpy')))"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert set(kmerl.__all__) <= set(dir(kmerl))
    assert all(getattr(kmerl, name) for name in kmerl.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(kmerl, "nothing")  # noqa: B009


def test_the_page_of_use_and_the_docstrings_are_true(tmp_path, monkeypatch, signals):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "models", *enlarged())
    for name, row in (("a", 0), ("b", 1)):
        long = np.tile(signals[row], 4).astype(float)
        write_wfdb(tmp_path, name, RATE, dict(zip(LEADS, long, strict=True)))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    parser, finder = doctest.DocTestParser(), doctest.DocTestFinder()
    page = (ROOT / "docs" / "use.md").read_text()
    module = sys.modules["kmerl.recordings.in_memory"]
    tests = [parser.get_doctest(page, {}, "use.md", "use.md", 0), *finder.find(module)]
    assert sum(len(test.examples) for test in tests) > 10
    for test in tests:
        runner.run(test)
    assert not runner.summarize(verbose=False).failed
