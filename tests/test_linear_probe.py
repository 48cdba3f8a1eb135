"""The batched linear probe against a plain loop, against separate fits, and on its protocol."""

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kmerl.evaluation import linear_probe
from kmerl.evaluation.linear_probe import LinearProbe, fit
from kmerl.evaluation.metrics import auroc, macro
from kmerl.params import ParamsError

SETTINGS = LinearProbe(
    learning_rate=0.01,
    weight_decay=0.1,
    batch=16,
    epochs=8,
    warmup_epochs=2,
    validate_every=1,
    standardise=False,
)


def _data(sets: int = 3, records: int = 50) -> tuple[torch.Tensor, np.ndarray]:
    random = np.random.default_rng(sets + records)
    truth = random.random((records, 4)) < 0.3
    signal = truth @ random.standard_normal((4, 6))
    features = signal + 2 * random.standard_normal((sets, records, 6))
    return torch.from_numpy(features.astype(np.float32)), truth


def _loop(features: torch.Tensor, truth: np.ndarray, start: torch.Tensor) -> torch.Tensor:
    """One lead set by torch.nn.Linear, BCEWithLogitsLoss, torch.optim.AdamW; the last epoch."""
    random = np.random.default_rng(0)
    random.uniform(size=start.shape)  # fit draws the initial weights first
    layer = torch.nn.Linear(features.shape[1], truth.shape[1])
    layer.load_state_dict({"weight": start[:-1].T, "bias": start[-1]})
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.01, weight_decay=0.1)
    steps = math.ceil(len(truth) / 16)
    for epoch in range(8):
        order = torch.from_numpy(random.permutation(len(truth)))
        for step in range(steps):
            rows, now = order[step * 16 : step * 16 + 16], epoch * steps + step
            warm, whole = 2 * steps, 8 * steps
            cosine = 0.5 * (1 + math.cos(math.pi * (now - warm) / (whole - warm)))
            optimizer.param_groups[0]["lr"] = 0.01 * ((now + 1) / warm if now < warm else cosine)
            optimizer.zero_grad()
            targets = torch.from_numpy(truth).float()[rows]
            torch.nn.BCEWithLogitsLoss()(layer(features[rows]), targets).backward()
            optimizer.step()
    return torch.cat([layer.weight.detach().T, layer.bias.detach()[None]])


def test_equals_a_plain_pytorch_loop() -> None:
    features, truth = _data()
    none = np.zeros((0, 4), bool)  # no validation: the last epoch is kept
    found = fit(features, truth, features[:, :0], none, SETTINGS, random=np.random.default_rng(0))
    start = linear_probe._initial(7, 4, np.random.default_rng(0))[0]
    assert found.epoch.tolist() == [8, 8, 8]
    for one, weight in zip(features, found.weight, strict=True):
        torch.testing.assert_close(weight, _loop(one, truth, start), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("sets", "records"), [(2, 7), (5, 50), (14, 33)])
def test_together_equals_one_by_one(sets: int, records: int) -> None:
    features, truth = _data(sets, records)
    validation, labels = _data(sets, 40)
    together = fit(features, truth, validation, labels, SETTINGS, random=np.random.default_rng(1))
    for i in range(sets):
        one = slice(i, i + 1)
        alone = fit(
            features[one], truth, validation[one], labels, SETTINGS, random=np.random.default_rng(1)
        )
        assert together.epoch[i] == alone.epoch[0]
        torch.testing.assert_close(together.weight[one], alone.weight, rtol=0, atol=1e-6)


def test_keeps_the_first_of_the_best_validation_epochs() -> None:
    features, truth = _data(3)
    validation, labels = _data(3, 40)
    seen = []
    for epochs in range(3, 9):  # a constant schedule makes a shorter fit a head of a longer one
        settings = dataclasses.replace(SETTINGS, epochs=epochs, warmup_epochs=0)
        seen.append(_constant_schedule(settings, features, truth, validation, labels))
    for short, long in pairwise(seen):
        assert (long.auroc >= short.auroc).all()
        same = long.auroc == short.auroc
        np.testing.assert_array_equal(long.epoch[same], short.epoch[same])
    scores = seen[-1].logits(validation).numpy()
    np.testing.assert_allclose(macro(auroc(labels, scores)), seen[-1].auroc)


def _constant_schedule(settings: LinearProbe, *data: object) -> linear_probe.Fit:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear_probe, "learning_rate_factor", lambda *_: 1.0)
        return fit(*data, settings, random=np.random.default_rng(2))  # type: ignore[arg-type]


def test_learns_what_the_features_hold() -> None:
    random = np.random.default_rng(7)
    truth, labels = random.random((200, 3)) < 0.4, random.random((100, 3)) < 0.4
    informative = [np.hstack([y, random.random((len(y), 3))]) for y in (truth, labels)]
    noise = [random.random((len(y), 6)) for y in (truth, labels)]
    train, validation = (
        torch.from_numpy(np.stack(pair).astype(np.float32))
        for pair in zip(informative, noise, strict=True)
    )
    settings = dataclasses.replace(SETTINGS, learning_rate=0.1)
    found = fit(train, truth, validation, labels, settings, random=random)
    assert found.auroc[0] == 1.0
    assert found.auroc[1] < 0.75


def test_standardises_by_the_training_records_alone() -> None:
    features, _ = _data(2)
    features[:, :, 0] = 3.0
    train, other = linear_probe.standardise([features, 2 * features + 1])
    torch.testing.assert_close(train.mean(1), torch.zeros(2, 6), rtol=0, atol=1e-5)
    torch.testing.assert_close(train[:, :, 1:].std(1, correction=0), torch.ones(2, 5))
    assert (train[:, :, 0] == 0).all()
    assert (other[:, :, 0] == 4.0).all()


@given(st.integers(0, 20000), st.integers(0, 3))
def test_subsets_nest_and_are_never_empty(records: int, seed: int) -> None:
    sizes = [linear_probe.subset_size(records, ratio) for ratio in linear_probe.RATIOS]
    assert sizes == sorted(sizes)
    assert sizes[-1] == records
    assert sizes[0] == (max(1, records // 100) if records else 0)
    order = linear_probe.training_order(min(records, 50), "csn", seed)
    assert sorted(order) == list(range(min(records, 50)))


def test_learning_rate_warms_up_and_ends_near_zero() -> None:
    rates = [linear_probe.learning_rate_factor(step, 5, SETTINGS) for step in range(40)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.01


@pytest.mark.parametrize("change", [{"batch": 0}, {"epochs": 0}, {"warmup_epochs": 8}])
def test_parameters_out_of_range_are_named(change: dict[str, int]) -> None:
    with pytest.raises(ParamsError, match=rf"linear_probe\.{next(iter(change))}"):
        dataclasses.replace(SETTINGS, **change)  # type: ignore[arg-type]
