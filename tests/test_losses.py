"""Losses that methods share against loops; tests/test_processes.py has one process and two."""

import pytest
import torch

from kmerl.losses import contrastive_loss, nt_xent
from kmerl.methods.kmerl import query_loss
from kmerl.methods.merl import contrastive_loss_as_released
from kmerl.training.model import create
from tests.gradients import generator, pairs_of_views, same_in_value_and_gradient
from tests.methods import batch, config


def loop_of_directions(one, two, temperature):
    """InfoNCE (Eq. 2) of each direction, one record at a time, the positive in the denominator."""
    means = []
    for a, b in ((one, two), (two, one)):
        total = 0.0
        for i, row in enumerate(a):
            shares = [(row @ x / row.norm() / x.norm() / temperature).exp() for x in b]
            total = total - (shares[i] / sum(shares)).log()
        means.append(total / len(a))
    return means


@pytest.mark.parametrize(("size", "temperature"), [(1, 0.07), (2, 0.07), (5, 0.07), (8, 1.0)])
def test_contrast_is_the_mean_of_both_directions_and_as_released_their_sum(size, temperature):
    one, two = pairs_of_views(size)
    for loss, share in ((contrastive_loss, 0.5), (contrastive_loss_as_released, 1.0)):
        expected = share * sum(loop_of_directions(one, two, temperature))
        same_in_value_and_gradient(loss(one, two, temperature), expected, (one, two))


def test_contrastive_loss_ignores_scale_and_joint_order():
    ecg, text = pairs_of_views(6)
    order = torch.tensor([2, 5, 0, 1, 4, 3])
    base = contrastive_loss(ecg, text, 0.1)
    torch.testing.assert_close(contrastive_loss(3 * ecg, text, 0.1), base)
    torch.testing.assert_close(contrastive_loss(ecg[order], text[order], 0.1), base)


def test_query_loss_of_differences_is_the_softmax_of_absent_and_present():
    pair = torch.randn(3, 4, 2, generator=generator(), dtype=torch.float64).requires_grad_()
    labels = (torch.rand(3, 4, generator=generator()) > 0.5).double()
    total = 0.0
    for row in range(3):
        for column in range(4):
            shares = pair[row, column].exp() / pair[row, column].exp().sum()
            total = total - shares[int(labels[row, column])].log()
    same_in_value_and_gradient(query_loss(pair[..., 1] - pair[..., 0], labels), total / 12, (pair,))


def test_weights_of_zero_remove_their_term():
    def terms(**weights):
        torch.manual_seed(0)
        small = config("kmerl")
        small.sections["loss"] = {**small.sections["loss"], "query": 1.0, **weights}
        return create(small, torch.ones(5, 12))(batch(), generator())

    assert set(terms(contrast=0.0)) == {"query"}
    assert set(terms(query=0.0)) == {"contrast"}
    torch.testing.assert_close(terms(query=2.0)["query"], 2 * terms()["query"])


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


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("patients", [[0], [0, 1], [0, 1, 2, 3, 4], [3, 8, 3, 3, 1]])
def test_nt_xent_equals_the_loop_and_leaves_a_patients_other_records_out(patients, temperature):
    one, two = pairs_of_views(len(patients))
    loss = nt_xent(one, two, temperature, torch.tensor(patients))
    same_in_value_and_gradient(loss, loop_nt_xent(one, two, temperature, patients), (one, two))
    ignored = len(set(patients)) < len(patients)
    assert torch.isclose(loss, nt_xent(one, two, temperature)) == (not ignored)
