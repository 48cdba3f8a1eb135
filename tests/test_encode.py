"""The frozen encoder over a corpus, and the predictor that answers about one recording."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from kmerl.evaluation.encode import Corpus, CorpusEncoder, EncodeParams, lead_sets
from kmerl.leads import LEADS, parse_leads
from kmerl.models.inputs import SignalParams
from kmerl.models.vit import SIZES
from kmerl.predict.model import load as load_model
from kmerl.store import read_signals, read_table
from kmerl.tasks.classes import classes, official
from kmerl.tasks.cohort import Cohort
from kmerl.tasks.prompts import Asked
from kmerl.text import TextEncoderParams
from kmerl.training.model import ModelConfig, create, initial, load, save, sections_of
from kmerl.training.session import Session
from tests.cohorts import RATE, SAMPLES, TEXT_WIDTH, files_below, write_cohort, write_store
from tests.test_training import values

CORPUS = TASK = "cpsc2018"
CLASSES = [one.name for one in classes(TASK)]
RECORDS = 6
EVERYONE = tuple(f"r{i}" for i in range(RECORDS))
SETTINGS = EncodeParams(("paper", "mimic"), ("I+II", "limb", "easi"), ("1", "I+II"), 4, "fp32")
KEYS = [*map(str, range(1, 13)), "I+II", "limb", "easi", "mimic:4"]
HELD_OUT = ("r1", "r2", "r5")
CLOSE = {"rtol": 0, "atol": 1e-3}  # of scores of tens: another batch is another order of sums


class FakeTower:
    """A vector for each text, drawn from the text itself."""

    def embed(self, texts, _keep=None):
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text):
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).normal(size=TEXT_WIDTH).astype(np.float32)


ASKED = Asked(
    "by name", {f"{TASK}/{c.code}": c.name for c in classes(TASK)}, FakeTower().embed(CLASSES)
)


def enlarged(kind: str = "zscore", **changes: object) -> tuple[ModelConfig, Any]:
    """A new model whose weights are large enough that every lead and sample matters."""
    torch.manual_seed(0)
    chosen = values(**changes)
    text = TextEncoderParams(**chosen["text_encoder"])
    sections, signal = sections_of("kmerl", chosen), SignalParams(kind, "available")
    names = tuple(CLASSES)
    config = ModelConfig("kmerl", sections, signal, text, names, TEXT_WIDTH, RATE, SAMPLES)
    model = create(config, torch.from_numpy(FakeTower().embed(CLASSES))).eval()
    with torch.no_grad():
        if chosen["encoder"]["tokens"] == "lead":
            model.encoder.tokenizer.lead.mul_(50)
        for weight in model.query_network.parameters():
            weight.mul_(4 if weight.ndim == 2 else 1)
    return config, model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    save(root, *enlarged())
    return root


def voltages(records: int, seed: int) -> np.ndarray:
    """Microvolt (records, 12, samples), each lead with its own size and offset."""
    rng = np.random.default_rng(seed)
    size, offset = rng.uniform(50, 900, (2, records, 12, 1))
    return rng.normal(offset, size, (records, 12, SAMPLES)).astype(np.int16)


def write_tests(directory: Path, signals: np.ndarray) -> Path:
    """A store of test records, the last of them r0, each of its own patient."""
    rows = range(len(signals))[::-1]
    columns = {"record": [f"r{i}" for i in rows], "patient": [f"p{i}" for i in rows]}
    return write_store(directory, signals, columns | {"split": ["test" for _ in rows]})


@pytest.fixture(scope="module")
def signals():
    return voltages(RECORDS, 5)


@pytest.fixture(scope="module")
def store(tmp_path_factory, signals):
    return write_tests(tmp_path_factory.mktemp("store") / CORPUS, signals)


def write_encoded(encoder, store, out, wanted=EVERYONE, scored=EVERYONE):
    """data/encode of one corpus."""
    people = np.array(wanted)
    splits = np.array(["test" if record in scored else "train" for record in wanted])
    truth = np.zeros((len(people), len(CLASSES)), bool)
    cohort = Cohort(*official(TASK), people, people, splits, truth)
    corpus = Corpus.read(CORPUS, store, [cohort])
    pieces = corpus.pieces(encoder.params.batch)
    made = dict(encoder.encode(pieces, list(pieces)))
    encoder.write(corpus, [made[name] for name in pieces], out)


def encode(
    store, models, out, signal=None, scored=EVERYONE, seed=0, threads=1, wanted=EVERYONE, **changes
):
    """data/encode of one corpus: tensors, description."""
    config, model = load(models)
    settings = dataclasses.replace(SETTINGS, **changes)
    chosen = signal or config.signal
    untrained = initial(config, seed).encoder.eval()
    encoder = CorpusEncoder(model, untrained, settings, chosen, ASKED, "cpu", threads)
    write_encoded(encoder, store, out, wanted, scored)
    text = (out / f"{CORPUS}.json").read_text(encoding="utf-8")
    return load_file(out / f"{CORPUS}.safetensors"), json.loads(text)


@pytest.fixture(scope="module")
def encoded(store, models, tmp_path_factory):
    return encode(store, models, tmp_path_factory.mktemp("encode"))


# ---------------------------------------------------------------- encode


def test_every_lead_set_has_features_and_both_scores(encoded, store):
    tensors, described = encoded
    shapes = {f"features/{key}": (RECORDS, SIZES["nano"].width) for key in KEYS}
    shapes |= {f"random/{key}": (RECORDS, SIZES["nano"].width) for key in SETTINGS.random}
    shapes |= {f"query/{TASK}/{key}": (RECORDS, len(CLASSES)) for key in KEYS}
    shapes |= {f"cosine/{TASK}/{key}": (RECORDS, len(CLASSES)) for key in KEYS}
    assert {name: tensor.shape for name, tensor in tensors.items()} == shapes
    assert all(tensor.dtype == np.float32 for tensor in tensors.values())
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    assert all(np.abs(tensors[f"cosine/{TASK}/{key}"]).max() <= 1 + 1e-6 for key in KEYS)
    assert described["records"] == read_table(store, ["record"])["record"].to_pylist()
    assert described["tasks"] == {TASK: [one.code for one in classes(TASK)]}
    assert described["scored"] == described["records"]
    assert described["random_sets"] == list(SETTINGS.random)
    assert list(described["lead_sets"]) == KEYS
    assert described["lead_sets"]["4"] == ["I", "II", "III", "aVF"]
    assert described["lead_sets"]["mimic:4"] == ["I", "II", "III", "aVR"]


@pytest.mark.parametrize(
    ("batch", "scored"), [(1, EVERYONE), (64, EVERYONE), (2, HELD_OUT), (4, ())]
)
def test_neither_the_batch_size_nor_who_is_scored_changes_a_result(
    encoded, store, models, tmp_path, batch, scored
):
    """Scores are of the records asked for, in the rows' order, and features of all."""
    whole, described = encoded
    some, now = encode(store, models, tmp_path, scored=scored, batch=batch)
    records = described["records"]
    rows = [row for row, record in enumerate(records) if record in scored]
    assert now == described | {"scored": [records[row] for row in rows]}
    assert scored != HELD_OUT or rows != [0, 1, 2]  # no head of the store
    scores = {name for name in whole if name.startswith(("query", "cosine"))}
    assert set(some) == (set(whole) if scored else set(whole) - scores)
    for name, tensor in some.items():
        expected = whole[name][rows] if name in scores else whole[name]
        assert np.allclose(tensor, expected, **CLOSE), name


def test_who_is_in_no_task_is_not_encoded(encoded, store, models, tmp_path, monkeypatch):
    """And pieces of two records are put together as one piece was."""
    whole, described = encoded
    monkeypatch.setattr("kmerl.evaluation.encode.PIECE", 2)
    people = ("r0", "r2", "r3", "r5")
    some, now = encode(store, models, tmp_path, wanted=people, scored=("r1", *HELD_OUT), batch=2)
    assert now["records"] == [one for one in described["records"] if one in people]
    assert now["scored"] == [one for one in now["records"] if one in HELD_OUT]
    rows = [described["records"].index(one) for one in now["records"]]
    asked = [described["records"].index(one) for one in now["scored"]]
    for name, tensor in some.items():
        chosen = asked if name.startswith(("query", "cosine")) else rows
        assert np.allclose(tensor, whole[name][chosen], **CLOSE), name


def test_bf16_is_near_and_its_scores_do_not_tie(encoded, store, models, tmp_path):
    exact, (found, _) = encoded[0], encode(store, models, tmp_path, precision="bf16")
    for name, tensor in found.items():
        assert not np.array_equal(tensor, exact[name]), name
        assert np.corrcoef(tensor.ravel(), exact[name].ravel())[0, 1] > 0.99, name
        assert len(np.unique(tensor)) > 0.95 * tensor.size, name


def test_the_untrained_encoder_is_the_one_that_pretraining_began_with(
    encoded, store, models, tmp_path, monkeypatch
):
    tensors, _ = encoded
    assert np.array_equal(tensors["random/1"], encode(store, models, tmp_path)[0]["random/1"])
    other, _ = encode(store, models, tmp_path, seed=1)
    for key in SETTINGS.random:
        assert not np.allclose(tensors[f"random/{key}"], tensors[f"features/{key}"], **CLOSE)
        assert not np.allclose(tensors[f"random/{key}"], other[f"random/{key}"], **CLOSE)
        assert np.array_equal(tensors[f"features/{key}"], other[f"features/{key}"])
    still = values(pretrain__epochs=1, pretrain__learning_rate=1e-300, pretrain__weight_decay=0.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kmerl.training.session._live", lambda: None)
    Session.from_params(still, write_cohort(tmp_path)).train(tmp_path, "cpu")
    config, kept = load(tmp_path / "models")
    began = initial(config, values()["seed"]).encoder.state_dict()
    for name, value in kept.encoder.state_dict().items():
        assert torch.equal(began[name], value), name


def test_scores_depend_on_record_name_and_leads_and_not_on_the_key(encoded):
    tensors, _ = encoded
    for name in ("features", f"query/{TASK}", f"cosine/{TASK}"):
        assert np.array_equal(tensors[f"{name}/2"], tensors[f"{name}/I+II"])
        assert np.array_equal(tensors[f"{name}/6"], tensors[f"{name}/limb"])
        values = np.stack([tensors[f"{name}/{key}"] for key in ("1", "2", "3", "12")])
        assert all(values.std(axis=axis).min() > 1e-4 for axis in range(3)), name


def test_orders_decide_which_leads_a_count_names_and_add_only_new_ones():
    every = dataclasses.replace(SETTINGS, orders=("paper", "mimic", "standard"))
    found = lead_sets(every)
    assert found["4"] == ("I", "II", "III", "aVF")
    assert found["12"] == LEADS
    assert [key for key in found if ":" in key] == ["mimic:4", "standard:5"]
    assert found["standard:5"] == ("I", "II", "III", "aVR", "aVL")
    named = lead_sets(dataclasses.replace(every, sets=("I,II,III,aVR",), random=()))
    assert [key for key in named if ":" in key] == ["standard:5"]
    again = lead_sets(dataclasses.replace(every, orders=("standard", "paper", "mimic")))
    assert [key for key in again if ":" in key] == ["paper:4", "paper:5"]
    assert again["4"] == ("I", "II", "III", "aVR")
    assert all(parse_leads(key) == leads for key, leads in found.items())


def test_the_range_of_all_twelve_leads_lets_hidden_leads_through(store, signals, models, tmp_path):
    changed = signals.copy()
    changed[:, 1:] = changed[:, 1:] // 2 + 3000
    other = write_tests(tmp_path / "other", changed)
    signal = SignalParams("minmax", "global12")
    one, _ = encode(store, models, tmp_path, signal)
    two, _ = encode(other, models, tmp_path, signal)
    assert not np.allclose(one["features/1"], two["features/1"], **CLOSE)
    available, _ = encode(store, models, tmp_path, SignalParams("minmax", "available"))
    assert np.allclose(one["features/12"], available["features/12"], **CLOSE)


def test_encoding_again_on_any_number_of_threads_writes_the_same_bytes(store, models, tmp_path):
    for threads in (1, 3):
        encode(store, models, tmp_path / str(threads), batch=2, threads=threads)
    assert files_below(tmp_path / "1") == files_below(tmp_path / "3")


def test_an_empty_corpus_has_a_description_and_no_tensors(models, tmp_path):
    store = write_tests(tmp_path / CORPUS, np.zeros((0, 12, SAMPLES), np.int16))
    tensors, described = encode(store, models, tmp_path / "out")
    assert tensors == {}
    assert described["records"] == []
    assert list(described["tasks"]) == [TASK]


# ---------------------------------------------------------------- predictor


@pytest.fixture
def ask(models):
    loaded = load_model(models)
    loaded.vocabulary.tower = FakeTower()  # stands in the place of the cached property
    return loaded


def recording(store, row, leads):
    return next(read_signals(store, leads, 1, np.array([row])))[1][0]


@pytest.mark.parametrize("key", ["1", "I+II", "limb", "12"])
def test_a_score_is_the_probability_that_encoding_a_corpus_gives(key, ask, encoded, store):
    """Whatever the order of the names, and the spelling of the leads."""
    tensors, described = encoded
    leads = described["lead_sets"][key]
    for row in (0, 5):
        signal, logits = recording(store, row, leads), tensors[f"query/{TASK}/{key}"][row]
        expected = 1 / (1 + np.exp(-logits))
        assert np.allclose(ask.score(signal, leads, CLASSES), expected, rtol=0, atol=1e-4)
        shuffled = [lead.lower() for lead in leads[::-1]], CLASSES[::-1]
        assert np.allclose(ask.score(signal[::-1], *shuffled), expected[::-1], rtol=0, atol=1e-4)
        misnamed = ask.score(signal, [LEADS[-1 - LEADS.index(lead)] for lead in leads], CLASSES)
        assert np.abs(misnamed - expected).max() > 1e-3  # under another name another question


@pytest.mark.parametrize(
    ("leads", "samples", "message"),
    [
        (["I", "i"], SAMPLES, "I, I: a lead is given twice"),
        (["I", "V7"], SAMPLES, "unknown lead 'V7'"),
        (["I", "II"], SAMPLES - 1, rf"\(2, {SAMPLES - 1}\).*{SAMPLES} samples at {RATE} Hz"),
        (["I", "II", "III"], SAMPLES, r"shape is \(2, .*3 leads"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(leads, samples, message, ask):
    with pytest.raises(ValueError, match=message):
        ask.score(np.zeros((2, samples), np.int16), leads, CLASSES)


def test_a_model_that_needs_all_twelve_leads_says_so(ask):
    ask.config = dataclasses.replace(ask.config, signal=SignalParams("minmax", "global12"))
    signal = np.arange(12 * SAMPLES, dtype=np.int16).reshape(12, SAMPLES)
    with pytest.raises(ValueError, match=r"global12.*all twelve"):
        ask.score(signal[:1], ["I"], CLASSES)
    given = ask.score(signal, LEADS, CLASSES)
    ask.config = dataclasses.replace(ask.config, signal=SignalParams("minmax", "available"))
    assert np.array_equal(given, ask.score(signal, LEADS, CLASSES))


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_truncated_model_file_is_named(share, models, tmp_path):
    shutil.copytree(models, tmp_path / "models")
    weights = tmp_path / "models" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        load_model(tmp_path / "models")
