"""The batched linear probe against plain loops, against separate fits, and on its protocol."""

import dataclasses
import math
from functools import partial
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kmerl import params
from kmerl.evaluation import linear_probe, neighbours, probe_fit
from kmerl.evaluation.encoded_corpus import EncodedCorpus, open_encoded
from kmerl.evaluation.metrics import auroc, macro
from kmerl.evaluation.probe_fit import LinearProbe, Part, fit
from kmerl.seeds import generator
from kmerl.tasks import subsets
from kmerl.tasks.classes import official
from kmerl.tasks.cohort import Cohort, read_cohort
from tests.evaluation_cohort import LEAD_SETS, RANDOM_SETS
from tests.plain_training import plain_training

SETTINGS = dataclasses.replace(
    params.load("linear_probe", LinearProbe, Path("params/demo.yaml")),
    **{"learning_rate": 0.01, "weight_decay": 0.1, "weight_decays": (3.0, 20.0)},
    **{"epochs": 8, "warmup_epochs": 2, "seeds": 2, "neighbours": 5},
)
EVERY = np.arange(50)[None]
"""One seed, which trains on all records."""


def _part(views: int = 3, records: int = 50) -> Part:
    random = np.random.default_rng(views + records)
    truth = random.random((records, 4)) < 0.3
    signal = truth @ random.standard_normal((4, 6))
    features = signal + 2 * random.standard_normal((views, records, 6))
    return Part(torch.from_numpy(features.astype(np.float32)), truth)


@pytest.mark.parametrize("standardise", [False, True])
def test_equals_plain_pytorch_loops(standardise):
    """Two lead sets, three seeds with records of their own, three weight decays."""
    part, nobody = _part(2), Part(torch.empty(2, 0, 6), np.zeros((0, 4), bool))
    subsets = np.stack([np.random.default_rng(10 + seed).permutation(50)[:37] for seed in range(3)])
    settings = dataclasses.replace(SETTINGS, standardise=standardise)
    randoms = [np.random.default_rng(seed) for seed in range(3)]
    found = fit(part, nobody, subsets, settings, settings.decays, randoms)
    assert (found.epoch == 8).all()  # no validation: the last epoch is kept
    logits = torch.stack(
        [probe_fit.logits(part.features, found.weight[:, :, decay]) for decay in range(3)]
    )
    for view, seed, decay in product(range(2), range(3), range(3)):
        features, rows = part.features[view], subsets[seed]
        if standardise:
            mean, deviation = features[rows].mean(0), features[rows].std(0, correction=0)
            features = (features - mean) / deviation
        random, bound = np.random.default_rng(seed), 1 / math.sqrt(6)
        start = torch.from_numpy(random.uniform(-bound, bound, (7, 4)).astype(np.float32))
        layer = torch.nn.Linear(6, 4)
        layer.load_state_dict({"weight": start[:-1].T, "bias": start[-1]})
        asked = partial(lambda layer, shown, at: layer(shown[at]), layer, features[rows])
        how = dataclasses.replace(SETTINGS, weight_decay=settings.decays[decay])
        rates = {layer: settings.learning_rate}
        plain_training(rates, asked, part.truth[rows], how, random)
        expected = layer(features).detach()
        torch.testing.assert_close(logits[decay, view, seed], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("views", "records"), [(2, 7), (5, 50)])
def test_together_equals_one_by_one(views, records):
    train, validation = _part(views, records), _part(views, 40)
    draws = [np.random.default_rng(seed).permutation(records) for seed in range(3)]
    subsets = np.stack(draws)[:, : records // 2]
    randoms = [np.random.default_rng(seed) for seed in range(3)]
    together = fit(train, validation, subsets, SETTINGS, SETTINGS.decays, randoms)
    for view, seed, decay in product(range(0, views, 2), range(3), range(3)):
        alone = fit(
            Part(train.features[view : view + 1], train.truth),
            Part(validation.features[view : view + 1], validation.truth),
            subsets[seed : seed + 1],
            SETTINGS,
            SETTINGS.decays[decay : decay + 1],
            [np.random.default_rng(seed)],
        )
        assert together.epoch[view, seed, decay] == alone.epoch[0, 0, 0]
        mine, its = together.weight[view, seed, decay], alone.weight[0, 0, 0]
        torch.testing.assert_close(mine, its, rtol=0, atol=1e-6)


def test_keeps_the_first_of_the_best_validation_epochs(monkeypatch):
    monkeypatch.setattr(probe_fit, "learning_rate", lambda *_: SETTINGS.learning_rate)
    train, validation, seen = _part(3), _part(3, 40), []
    for epochs in range(3, 9):  # a constant schedule makes a shorter fit a head of a longer one
        settings = dataclasses.replace(SETTINGS, epochs=epochs, warmup_epochs=0)
        seen.append(fit(train, validation, EVERY, settings, (0.1, 3.0), [np.random.default_rng(2)]))
    for short, long in pairwise(seen):
        assert (long.auroc >= short.auroc).all()
        same = long.auroc == short.auroc
        np.testing.assert_array_equal(long.epoch[same], short.epoch[same])
    scores = probe_fit.logits(validation.features, seen[-1].weight[:, :, 1]).numpy()
    np.testing.assert_allclose(macro(auroc(validation.truth, scores)), seen[-1].auroc[:, :, 1])
    monkeypatch.setattr(probe_fit, "learning_rate", lambda *_: 0.0)  # each epoch as good as another
    still = fit(train, validation, EVERY, settings, (0.1, 3.0), [np.random.default_rng(2)])
    assert (still.epoch == 1).all()


def test_the_best_test_epoch_is_reported_and_never_used():
    train, validation, test = _part(3), _part(3, 40), _part(3, 41)
    without = fit(train, validation, EVERY, SETTINGS, (0.1,), [np.random.default_rng(0)])
    found = fit(train, validation, EVERY, SETTINGS, (0.1,), [np.random.default_rng(0)], test)
    torch.testing.assert_close(found.weight, without.weight, rtol=0, atol=0)
    assert np.isnan(without.test_auroc).all()
    chosen_on_test = fit(train, test, EVERY, SETTINGS, (0.1,), [np.random.default_rng(0)])
    np.testing.assert_array_equal(found.test_auroc, chosen_on_test.auroc)
    logits = probe_fit.logits(test.features, found.weight[:, :, 0]).numpy()
    at_best = macro(auroc(test.truth, logits))
    assert (found.test_auroc[:, :, 0] >= at_best).all()


def test_what_is_constant_is_only_centred_and_the_bias_is_left():
    features = _part(2).features.clone()
    features[:, :, 0] = 3.0
    mean, deviation = probe_fit.moments(features, np.stack([np.arange(20), np.arange(20, 40)]))
    assert (mean[:, :, 0] == 3).all()
    assert (mean[:, :, -1] == 0).all()
    assert (deviation[:, :, [0, -1]] == 1).all()


@given(st.integers(0, 20000), st.integers(0, 3))
def test_subsets_nest_are_never_empty_and_are_of_each_seed_s_own_order(records, seed):
    sizes = [subsets.subset_size(records, ratio) for ratio in subsets.RATIOS]
    assert sizes == sorted(sizes)
    assert sizes[-1] == records
    assert sizes[0] == (max(1, records // 100) if records else 0)
    orders = [subsets.training_order(50, "csn", seed, number).tolist() for number in range(3)]
    assert [sorted(order) for order in orders] == [list(range(50))] * 3
    assert len({tuple(order) for order in orders}) == 3
    assert orders[0] == generator(seed, "linear_probe", "subset", "csn").permutation(50).tolist()


# ---------------------------------------------------------------- a task


@pytest.fixture(scope="module")
def world(evaluation_cohort: Path) -> tuple[Cohort, EncodedCorpus]:
    cohort = read_cohort(evaluation_cohort / "data/splits", official("ptbxl_super"))
    return cohort, open_encoded(evaluation_cohort / "data/encode", "ptb-xl")


@pytest.fixture(scope="module")
def probed(world) -> linear_probe.ProbedTask:
    return _probe(world)


def _probe(world, ratio: int = 100, **changes) -> linear_probe.ProbedTask:
    settings = dataclasses.replace(SETTINGS, **changes)
    probing = linear_probe.Probing(*world, ratio, settings, 0)
    return probing.result(probing.fit())


def test_the_tuned_probe_takes_what_validation_likes_best(world, probed):
    alone = [_probe(world, weight_decay=w, weight_decays=()) for w in SETTINGS.decays]
    found = probed
    for key, number in product(LEAD_SETS, range(2)):
        values = [one.choices[key][number].val_auroc for one in alone]
        best = int(np.argmax(values))
        choice, best_alone = found.choices[key][number], SETTINGS.decays[best]
        assert (choice.weight_decay, choice.tuned_val_auroc) == (best_alone, values[best])
        assert choice.tuned_epoch == alone[best].choices[key][number].epoch
        mine = found.others[linear_probe.TUNED][key][number]
        np.testing.assert_allclose(mine, alone[best].scores[number].score[key], atol=1e-5)
        its = alone[0].scores[number].score[key]
        np.testing.assert_allclose(found.scores[number].score[key], its, atol=1e-5)
    assert linear_probe.TUNED not in alone[0].others


def test_lead_sets_of_the_same_leads_are_fitted_once(world):
    twice = dataclasses.replace(world[1], lead_sets=LEAD_SETS | {"twelve": LEAD_SETS["12"]})
    views = linear_probe.Views.of(twice)
    assert views.trained["twelve"] == views.trained["12"]
    assert len(views.sources) == len(set(LEAD_SETS.values())) + len(RANDOM_SETS)
    assert set(views.untrained.values()).isdisjoint(views.trained.values())


def test_merls_best_test_epoch_is_an_option(world, probed):
    found = _probe(world, merl_max_test=True)
    for key, number in product(LEAD_SETS, range(2)):
        scores = found.scores[number]
        np.testing.assert_array_equal(scores.score[key], probed.scores[number].score[key])
        reached = macro(auroc(scores.truth, scores.score[key]))
        assert found.choices[key][number].test_auroc >= reached - 1e-9
        assert np.isnan(probed.choices[key][number].test_auroc)


# ---------------------------------------------------------------- nearest neighbours


@pytest.mark.parametrize(("known", "asked", "count"), [(40, 9, 7), (4, 3, 20), (30, 600, 5)])
def test_neighbours_agree_with_scikit_learn(known, asked, count, monkeypatch):
    from sklearn.neighbors import NearestNeighbors  # slow

    monkeypatch.setattr(neighbours, "RECORDS_AT_ONCE", 64)
    train, other = _part(2, known), _part(2, asked)
    found = neighbours.neighbour_scores(train.features, train.truth, other.features, count)
    for view, (near, far) in enumerate(zip(train.features, other.features, strict=True)):
        search = NearestNeighbors(metric="cosine", algorithm="brute").fit(near.numpy())
        distance, rows = search.kneighbors(far.numpy(), min(count, known))
        weight = 1 - distance / 2
        share = (weight[:, :, None] * train.truth[rows]).sum(1) / weight.sum(1, keepdims=True)
        np.testing.assert_allclose(found[view], share, atol=1e-5)


def test_seeds_with_the_same_records_have_the_same_neighbours(world, probed):
    everyone, few = (p.others[linear_probe.NEIGHBOURS]["12"] for p in (probed, _probe(world, 10)))
    np.testing.assert_array_equal(everyone[0], everyone[1])
    assert not np.array_equal(few[0], few[1])
