"""Losses against loops; tests/test_methods.py has two processes against one."""

import math

import pytest
import torch
import torch.nn.functional as F

from kmerl.losses import contrastive_loss, negative_cosine, nt_xent
from kmerl.methods.kmerl import LossParams, Method, MethodParams, QueryParams, query_loss
from kmerl.models.inputs import Batch
from kmerl.models.masking import MaskParams
from kmerl.models.vit import EncoderParams


def loop_contrast(ecg, text, temperature):
    """Eq. 2 with the positive in the denominator, both directions, one pair at a time."""
    total = 0.0
    for a, b in ((ecg, text), (text, ecg)):
        for i in range(len(a)):
            scores = [
                float(a[i] @ b[j] / a[i].norm() / b[j].norm()) / temperature for j in range(len(b))
            ]
            total += -scores[i] + math.log(sum(math.exp(s) for s in scores))
    return total / (2 * len(ecg))


@pytest.mark.parametrize(("size", "temperature"), [(1, 0.07), (5, 0.07), (8, 1.0)])
def test_contrastive_loss_equals_the_loop(size, temperature):
    generator = torch.Generator().manual_seed(size)
    ecg, text = (torch.randn(size, 6, generator=generator) for _ in range(2))
    expected = loop_contrast(ecg, text, temperature)
    assert float(contrastive_loss(ecg, text, temperature)) == pytest.approx(
        expected, rel=1e-5, abs=1e-6
    )


def test_contrastive_loss_ignores_scale_and_joint_order():
    generator = torch.Generator().manual_seed(0)
    ecg, text = (torch.randn(6, 4, generator=generator) for _ in range(2))
    order = torch.tensor([2, 5, 0, 1, 4, 3])
    base = contrastive_loss(ecg, text, 0.1)
    torch.testing.assert_close(contrastive_loss(3 * ecg, text, 0.1), base)
    torch.testing.assert_close(contrastive_loss(ecg[order], text[order], 0.1), base)


def test_contrastive_loss_of_matching_pairs_is_small():
    eye = torch.eye(8)
    assert contrastive_loss(eye, eye, 0.07) < 1e-4
    assert contrastive_loss(eye, eye.roll(1, 0), 0.07) > 10


def test_query_loss_equals_the_loop():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, generator=generator)
    labels = (torch.rand(3, 4, generator=generator) > 0.5).float()
    total = 0.0
    for row in range(3):
        for column in range(4):
            p = 1 / (1 + math.exp(-float(logits[row, column])))
            total -= math.log(p if labels[row, column] else 1 - p)
    assert float(query_loss(logits, labels)) == pytest.approx(total / 12, rel=1e-5)


def test_query_loss_of_differences_is_the_softmax_of_absent_and_present():
    generator = torch.Generator().manual_seed(0)
    pair = torch.randn(3, 4, 2, generator=generator, dtype=torch.float64).requires_grad_()
    labels = (torch.rand(3, 4, generator=generator) > 0.5).double()
    total = 0.0
    for row in range(3):
        for column in range(4):
            shares = pair[row, column].exp() / pair[row, column].exp().sum()
            total = total - shares[int(labels[row, column])].log()
    same_in_value_and_gradient(query_loss(pair[..., 1] - pair[..., 0], labels), total / 12, (pair,))


def small_method(**loss):
    torch.manual_seed(0)
    weights = {"contrast": 1.0, "query": 1.0, "temperature": 0.07, **loss}
    params = MethodParams(
        encoder=EncoderParams("nano", "lead", 100, True, True),
        mask=MaskParams("dynamic", 9, 11, "group", 0.0, True),
        query_network=QueryParams(16, 1, 4, 16, 0.0, True, "logit", False),
        loss=LossParams(**weights),
    )
    return Method(params, torch.randn(5, 12), record_samples=500)


def batch_of_four():
    generator = torch.Generator().manual_seed(1)
    return Batch(
        signal=torch.randn(4, 2, 500, generator=generator),
        leads=torch.tensor([[0, 6]]).repeat(4, 1),
        text=torch.randn(4, 12, generator=generator),
        labels=(torch.rand(4, 5, generator=generator) > 0.5).float(),
        patient=torch.arange(4),
    )


def test_weights_of_zero_remove_their_term():
    batch = batch_of_four()
    generator = torch.Generator()
    assert set(small_method(contrast=0.0)(batch, generator)) == {"query"}
    assert set(small_method(query=0.0)(batch, generator)) == {"contrast"}
    both, double = small_method()(batch, generator), small_method(query=2.0)(batch, generator)
    torch.testing.assert_close(double["query"], 2 * both["query"])


# ---------------------------------------------------------------- losses of views


def pairs_of_views(size: int, seed: int = 0):
    """Projections of two views, in float64 and with gradient."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(size, 6, generator=generator, dtype=torch.float64).requires_grad_()
        for _ in range(2)
    ]


def same_in_value_and_gradient(loss, reference, inputs):
    torch.testing.assert_close(loss, reference)
    for ours, theirs in zip(
        torch.autograd.grad(loss, inputs, allow_unused=True),
        torch.autograd.grad(reference, inputs, allow_unused=True),
        strict=True,
    ):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs)


def loop_nt_xent(one, two, temperature, patients):
    """One view at a time: minus the log of its partner's share among all views but itself."""
    views, size = [*one, *two], len(one)
    total = 0.0
    for i, view in enumerate(views):
        partner, shares = (i + size) % (2 * size), []
        for j, other in enumerate(views):
            if j == partner or patients[i % size] != patients[j % size]:
                score = view @ other / view.norm() / other.norm() / temperature
                shares.append(score.exp())
                if j == partner:
                    positive = shares[-1]
        total = total - (positive / sum(shares)).log()
    return total / (2 * size)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_nt_xent_equals_the_loop(size, temperature):
    one, two = pairs_of_views(size)
    loss = nt_xent(one, two, temperature)
    reference = loop_nt_xent(one, two, temperature, list(range(size)))
    same_in_value_and_gradient(loss, reference, (one, two))


def test_nt_xent_leaves_a_patients_other_records_out():
    one, two = pairs_of_views(5)
    patients = [3, 8, 3, 3, 1]
    loss = nt_xent(one, two, 0.5, torch.tensor(patients))
    same_in_value_and_gradient(loss, loop_nt_xent(one, two, 0.5, patients), (one, two))
    assert not torch.isclose(loss, nt_xent(one, two, 0.5))


def test_nt_xent_of_one_answer_for_all_is_chance():
    ones = torch.ones(7, 4)
    assert float(nt_xent(ones, ones, 0.1)) == pytest.approx(math.log(13))


def test_negative_cosine_equals_the_loop_and_stops_at_the_target():
    predicted, target = pairs_of_views(4)
    total = sum(
        -(p @ t.detach() / p.norm() / t.norm().detach())
        for p, t in zip(predicted, target, strict=True)
    )
    loss = negative_cosine(predicted, target)
    same_in_value_and_gradient(loss, total / 4, (predicted, target))
    assert torch.autograd.grad(loss, target, allow_unused=True) == (None,)


def test_byols_distance_of_unit_vectors_is_two_and_twice_the_negative_cosine():
    one, two = pairs_of_views(4)
    squared = (F.normalize(one) - F.normalize(two)).square().sum(dim=1).mean()
    torch.testing.assert_close(2 + 2 * negative_cosine(one, two), squared)
