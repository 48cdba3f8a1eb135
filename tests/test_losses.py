"""Losses against loops over records; tests/test_processes.py compares two processes with one."""

import math

import pytest
import torch
import torch.nn.functional as F

from kmerl.losses import contrastive_loss, negative_cosine, nt_xent
from kmerl.methods.astcl import patient_cosine
from kmerl.methods.barlow_twins import identity_loss
from kmerl.methods.clocs import patient_contrast
from kmerl.methods.kmerl import query_loss
from kmerl.methods.merl import contrastive_loss_as_released
from kmerl.methods.ts_tcc import step_contrast
from kmerl.training.model import create
from tests.gradients import generator, pairs_of_views, same_in_value_and_gradient
from tests.methods import batch, config


def cosine(a, b):
    return a @ b / a.norm() / b.norm()


def loop_info_nce(queries, keys, temperature):
    """InfoNCE (Eq. 2) of one direction, the positive in the denominator."""
    total = 0.0
    for i, query in enumerate(queries):
        shares = [(cosine(query, key) / temperature).exp() for key in keys]
        total = total - (shares[i] / sum(shares)).log()
    return total / len(queries)


def loop_both_ways(one, two, temperature):
    return loop_info_nce(one, two, temperature) + loop_info_nce(two, one, temperature)


def loop_nt_xent(one, two, temperature, patients):
    """Minus the log of a view's partner's share among all views but itself and its patient's."""
    views, size, total = [*one, *two], len(one), 0.0
    for i, view in enumerate(views):
        partner = (i + size) % (2 * size)
        shares = {
            j: (cosine(view, other) / temperature).exp()
            for j, other in enumerate(views)
            if j == partner or patients[i % size] != patients[j % size]
        }
        total = total - (shares[partner] / sum(shares.values())).log()
    return total / (2 * size)


def loop_cosine(predicted, target, patients):
    """To the targets of all records of the same patient, which do not learn."""
    total, target = 0.0, target.detach()
    for row, mine in zip(predicted, patients, strict=True):
        own = [one for one, theirs in zip(target, patients, strict=True) if theirs == mine]
        total = total - sum(cosine(row, one) for one in own) / len(own)
    return total / len(patients)


def loop_patient_contrast(one, two, temperature, patients):
    total = 0.0
    for a, b in ((one, two), (two, one)):
        for i, mine in enumerate(patients):
            shares = [(cosine(a[i], other) / temperature).exp() for other in b]
            own = [s for s, theirs in zip(shares, patients, strict=True) if theirs == mine]
            total = total - sum((share / sum(shares)).log() for share in own) / len(own)
    return total / (2 * len(patients))


def loop_identity(one, two, redundancy):
    """Correlation of every two dimensions, one at a time."""
    total = one.new_zeros(())
    for i in range(one.shape[1]):
        for j in range(two.shape[1]):
            a, b = one[:, i] - one[:, i].mean(), two[:, j] - two[:, j].mean()
            spread = ((a.square().mean() + 1e-5) * (b.square().mean() + 1e-5)).sqrt()
            correlation = (a * b).mean() / spread
            total = total + ((correlation - 1) ** 2 if i == j else redundancy * correlation**2)
    return total


def steps(rows):
    """Two steps of width 3 a record."""
    return rows.unflatten(1, (2, 3))


def loop_steps(foretold, future):
    total, (records, count, _) = 0.0, foretold.shape
    for i in range(records):
        for step in range(count):
            shares = [(foretold[i, step] @ future[j, step]).exp() for j in range(records)]
            total = total - (shares[i] / sum(shares)).log()
    return total / (records * count)


LOSSES = {
    "contrastive": lambda a, b, _: contrastive_loss(a, b, 0.2),
    "as released": lambda a, b, _: contrastive_loss_as_released(a, b, 0.2),
    "nt_xent": lambda a, b, _: nt_xent(a, b, 0.5),
    "nt_xent of patients": lambda a, b, patients: nt_xent(a, b, 0.5, patients),
    "cosine": lambda a, b, _: negative_cosine(a, b),
    "identity": lambda a, b, _: identity_loss(a, b, 0.3),
    "steps": lambda a, b, _: step_contrast(steps(a), steps(b)),
    "patient contrast": lambda a, b, patients: patient_contrast(a, b, patients, 0.5),
    "patient cosine": patient_cosine,
}
"""Each of two sets of rows and of the rows' patients."""

LOOPS = {
    "contrastive": lambda a, b, _: loop_both_ways(a, b, 0.2) / 2,
    "as released": lambda a, b, _: loop_both_ways(a, b, 0.2),
    "nt_xent": lambda a, b, _: loop_nt_xent(a, b, 0.5, range(len(a))),
    "nt_xent of patients": lambda a, b, patients: loop_nt_xent(a, b, 0.5, patients),
    "cosine": lambda a, b, _: loop_cosine(a, b, range(len(a))),
    "identity": lambda a, b, _: loop_identity(a, b, 0.3),
    "steps": lambda a, b, _: loop_steps(steps(a), steps(b)),
    "patient contrast": lambda a, b, patients: loop_patient_contrast(a, b, 0.5, patients),
    "patient cosine": loop_cosine,
}


@pytest.mark.parametrize("patients", [[4], [0, 1, 2, 3], [3, 8, 3, 1, 8, 3]])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_equals_its_loop(name, patients):
    views = pairs_of_views(len(patients))
    loss = LOSSES[name](*views, torch.tensor(patients))
    same_in_value_and_gradient(loss, LOOPS[name](*views, patients), views)


def test_query_loss_of_differences_is_the_softmax_of_absent_and_present():
    pair = torch.randn(3, 4, 2, generator=generator(), dtype=torch.float64).requires_grad_()
    labels = torch.rand(3, 4, generator=generator()) > 0.5
    expected = F.cross_entropy(pair.flatten(0, 1), labels.flatten().long())
    loss = query_loss(pair[..., 1] - pair[..., 0], labels.double())
    same_in_value_and_gradient(loss, expected, (pair,))


def kmerl_asking(**network):
    torch.manual_seed(0)
    small = config("kmerl")
    small.sections["query_network"] = {**small.sections["query_network"], **network}
    return create(small, torch.randn(5, 12)).eval()


def test_entities_are_dealt_into_companies_of_every_size():
    model, chance = kmerl_asking(self_attention=True, companies=True), generator()
    drawn = torch.stack([model._companies(torch.arange(5), chance) for _ in range(400)])
    seen = drawn.sum(2)  # by each name: the size of its company
    assert (drawn == drawn.mT).all()
    assert drawn.diagonal(dim1=1, dim2=2).all()
    sizes = torch.bincount(seen.max(1).values, minlength=6)
    expected = 400 * torch.log(1 + 1 / torch.arange(1.0, 6.0)) / math.log(6)  # log-uniform
    assert ((sizes[1:] - expected).abs() < 4 * expected.sqrt()).all()
    assert (drawn.float().mean(0) > 0.2).all()  # every pair meets
    given = batch()
    tokens = model.encoder(given.signal, given.leads)
    companies = model._companies(torch.arange(5), generator(5))
    assert 1 < companies.sum() < 25
    apart = [
        model.query_network(model.entities[company], tokens)[:, company[: i + 1].sum() - 1]
        for i, company in enumerate(companies)
    ]
    expected = model.loss.query * query_loss(torch.stack(apart, 1), given.labels)
    torch.testing.assert_close(model(given, generator(5))["query"], expected)


def test_a_few_entities_are_asked_a_step_each_as_often():
    model, chance = kmerl_asking(asked=2), generator()
    drawn = torch.stack([model._asked(chance) for _ in range(500)])
    assert (drawn[:, 0] != drawn[:, 1]).all()
    assert (torch.bincount(drawn.flatten()) - 200).abs().max() < 45  # four deviations
    given, asked = batch(), model._asked(generator())
    logits = model.query_network(model.entities[asked], model.encoder(given.signal, given.leads))
    expected = model.loss.query * query_loss(logits, given.labels[:, asked])
    torch.testing.assert_close(model(given, generator())["query"], expected)


def test_weights_of_zero_remove_their_term():
    def terms(**weights):
        torch.manual_seed(0)
        small = config("kmerl")
        small.sections["loss"] = {**small.sections["loss"], "query": 1.0, **weights}
        return create(small, torch.ones(5, 12))(batch(), generator())

    assert set(terms(contrast=0.0)) == {"query"}
    assert set(terms(query=0.0)) == {"contrast"}
    torch.testing.assert_close(terms(query=2.0)["query"], 2 * terms()["query"])
