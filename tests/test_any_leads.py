"""Any subset of leads, in any order: one score, and a lead that is not there is never read."""

from copy import deepcopy
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from kmerl import recordings
from kmerl.evaluation import encode
from kmerl.leads import LEADS, parse_leads
from kmerl.models.vit import SIZES, Size
from kmerl.predict import asking, preparing
from kmerl.predict.model import Model
from kmerl.signal import NAN
from tests import methods
from tests.cohorts import RATE, SAMPLES
from tests.test_cli import write_wfdb
from tests.test_encode import (
    ASKED,
    CLASSES,
    CORPUS,
    FakeTower,
    enlarged,
    voltages,
    write_encoded,
    write_tests,
)

RECORDS = 5
FEW = CLASSES[:3]
SUBSETS = [leads for size in range(1, 13) for leads in combinations(LEADS, size)]
CLOSE = {"rtol": 0, "atol": 1e-5}
SOME = [("V3",), ("II", "aVR", "V6"), LEADS[:6], LEADS[1:]]


def small(tokens: str, kind: str) -> Model:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "nano", Size(24, 1, 3))
        made = enlarged(kind, encoder__token_samples=250, encoder__tokens=tokens)
    found = Model(*made)
    found.vocabulary.tower = FakeTower()
    return found


@pytest.fixture(scope="module")
def ask() -> Model:
    return small("lead", "zscore")


@pytest.fixture(scope="module", params=["lead zscore", "joint minmax", "lead root"])
def ask_of(request) -> Model:
    """With a token for each lead, and with tokens of all leads together."""
    return small(*request.param.split())


@pytest.fixture(scope="module")
def signals() -> np.ndarray:
    return voltages(RECORDS, 1)


def rows(leads) -> list[int]:
    return [LEADS.index(lead) for lead in leads]


def test_every_one_of_the_4095_subsets_has_a_score_of_its_own(ask, signals):
    """Many at once through the model; every ninth also by itself through the predictor."""
    signal, vectors = signals[0], torch.from_numpy(FakeTower().embed(FEW))
    scores = []
    for size in range(1, 13):
        index = np.array([rows(leads) for leads in combinations(LEADS, size)])
        block = signal[index].astype(np.float32)
        mean, deviation = block.mean((1, 2), keepdims=True), block.std((1, 2), keepdims=True)
        with torch.inference_mode():
            shown = torch.from_numpy((block - mean) / deviation), torch.from_numpy(index)
            scores.append(
                ask.network.score(ask.network.encoder(*shown), vectors)[0].sigmoid().numpy()
            )
    together = np.concatenate(scores)
    assert together.shape == (4095, len(FEW))
    assert np.isfinite(together).all()
    assert together.std(axis=0).min() > 1e-3
    assert len(np.unique(together.round(6), axis=0)) > 4000
    alone = [ask.score(signal[rows(leads)], leads, FEW) for leads in SUBSETS[::-9]]
    np.testing.assert_allclose(together[::-9], alone, rtol=0, atol=1e-4)


@given(st.permutations(LEADS), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_the_order_in_which_leads_are_given_changes_no_bit(ask_of, signals, order, size):
    leads = order[:size]
    standard = [lead for lead in LEADS if lead in leads]
    one, two = (ask_of.score(signals[0][rows(k)], k, CLASSES) for k in (leads, standard))
    assert np.array_equal(one, two)


@given(st.permutations(LEADS), st.integers(2, 12))
@settings(max_examples=20, deadline=None)
def test_the_model_itself_knows_no_order(ask_of, signals, order, size):
    """Without the predictor's sorting. In double: sums taken in another order round otherwise, and
    an untrained model in single precision comes to 1e-5 by that alone."""
    model = deepcopy(ask_of.network).double()
    signal = torch.from_numpy(signals[1].astype(np.float64) / 500)
    vectors = torch.from_numpy(FakeTower().embed(CLASSES)).double()
    found = []
    for leads in (order[:size], sorted(order[:size], key=LEADS.index)):
        index = torch.tensor([rows(leads)])
        with torch.inference_mode():
            tokens = model.encoder(signal[index[0]][None], index)
            found.append(model.score(tokens, vectors)[0].sigmoid().numpy())
    np.testing.assert_allclose(*found, rtol=0, atol=1e-12)


# ---------------------------------------------------------------- leads that are not there


def poisoned(signals: np.ndarray, kept) -> np.ndarray:
    """The other leads say that no sample was measured."""
    spoiled = signals.copy()
    spoiled[:, rows(lead for lead in LEADS if lead not in kept)] = NAN
    return spoiled


@pytest.mark.parametrize("leads", SOME, ids="+".join)
def test_encoding_never_reads_a_lead_that_is_not_asked_for(
    leads, ask_of, signals, tmp_path, monkeypatch
):
    only = {"some": parse_leads(",".join(leads[::-1]))}
    monkeypatch.setattr(encode, "lead_sets", lambda _: only)
    settings = encode.EncodeParams(("paper",), (), ("some",), 2, "fp32")
    how = settings, ask_of.config.signal, ASKED, "cpu"
    encoder = encode.CorpusEncoder(ask_of.network, ask_of.network.encoder, *how)
    found = []
    for place, shown in (("whole", leads), ("spoiled", leads), ("worse", leads[1:])):
        given = signals if place == "whole" else poisoned(signals, shown)
        store = write_tests(tmp_path / place, given)
        write_encoded(encoder, store, tmp_path)
        found.append(load_file(tmp_path / f"{CORPUS}.safetensors"))
    whole, spoiled, worse = found
    assert {name.split("/")[0] for name in whole} == {"features", "random", "query", "cosine"}
    for name, value in whole.items():
        assert np.array_equal(value, spoiled[name]), name
    assert not np.allclose(worse["features/some"], whole["features/some"], **CLOSE)


@pytest.mark.parametrize("leads", SOME, ids="+".join)
def test_predicting_never_reads_a_lead_that_is_not_asked_for(leads, ask_of, signals, tmp_path):
    """Twelve leads of which the others are all NaN, and a file that has the asked ones alone."""
    microvolt = dict(zip(LEADS, signals[0].astype(float), strict=True))
    gone = {lead: np.full(SAMPLES, np.nan) for lead in LEADS if lead not in leads}
    write_wfdb(tmp_path, "whole", RATE, microvolt)
    write_wfdb(tmp_path, "spoiled", RATE, dict(reversed((microvolt | gone).items())))
    write_wfdb(tmp_path, "few", RATE, {lead: microvolt[lead] for lead in leads[::-1]})
    asked = {"whole": ",".join(leads), "spoiled": ",".join(leads[::-1]), "few": None}
    found = []
    for name, wanted in asked.items():
        recording = preparing.choose(recordings.read(tmp_path / name), wanted)
        made = preparing.prepare(recording, RATE, SAMPLES)
        found.append(asking.ranked(CLASSES, ask_of.score(made.signal, made.leads, CLASSES)))
    assert found[0] == found[1] == found[2]
    index = rows(sorted(leads, key=LEADS.index))
    direct = ask_of.score(signals[0][index], [LEADS[i] for i in index], CLASSES)
    assert dict(found[0]) == dict(zip(CLASSES, map(float, direct), strict=True))


@pytest.mark.parametrize(
    ("self_attention", "context", "matters"),
    [(True, "asked", True), (True, "entities", False), (False, "asked", False)],
)
def test_company_is_spoken_of_where_it_matters(self_attention, context, matters, signals):
    company = {"query_network__self_attention": self_attention, "query_network__context": context}
    ask_of = Model(*enlarged("zscore", **company))
    ask_of.vocabulary.tower = FakeTower()
    given = signals[0][:2], LEADS[:2]
    together = ask_of.score(*given, FEW)
    alone = np.array([ask_of.score(*given, [name])[0] for name in FEW])
    other = ask_of.in_company(*given, FEW)
    assert np.allclose(alone, together, **CLOSE) is not matters
    assert bool(other) is matters
    if matters:
        np.testing.assert_allclose(other["alone"], alone, **CLOSE)
        every = ask_of.score(*given, ask_of.entities)  # the three are the first of them
        np.testing.assert_allclose(other["beside the model's entities"], every[:3], **CLOSE)


def test_a_method_without_a_query_network_is_not_asked():
    with pytest.raises(ValueError, match="'simclr', which has no query network"):
        Model(methods.config("simclr"), methods.small("simclr")).asked(["a"])
