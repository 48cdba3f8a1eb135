"""Methods of steps, halves and leads (TS-TCC, CLOCS, ASTCL): losses against loops, and parts."""

from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kmerl.methods import astcl
from kmerl.methods.astcl import patient_cosine
from kmerl.methods.clocs import patient_contrast
from kmerl.methods.ts_tcc import step_contrast
from kmerl.models.backbone import ResNet
from kmerl.models.foresight import Foresight, ForesightOptions
from kmerl.models.vit import pool
from kmerl.training.monitors import spread
from tests.gradients import descend, generator, pairs_of_views, same_in_value_and_gradient, total
from tests.methods import NANO, RECORDS, SAMPLES, batch, small

PATIENTS = [3, 8, 3, 1, 8, 3]


# ---------------------------------------------------------------- losses against loops


@pytest.mark.parametrize(("records", "count"), [(1, 3), (4, 1), (5, 3)])
def test_step_contrast_equals_the_loop(records, count):
    views = pairs_of_views(records, count * 4)
    foretold, future = (view.unflatten(1, (count, 4)) for view in views)
    total = 0.0
    for i in range(records):
        for step in range(count):
            scores = [foretold[i, step] @ future[j, step] for j in range(records)]
            total = total - (scores[i].exp() / sum(score.exp() for score in scores)).log()
    loss = step_contrast(foretold, future)
    same_in_value_and_gradient(loss, total / (records * count), views)


def loop_patient_contrast(one, two, patients, temperature):
    total = 0.0
    for a, b in ((one, two), (two, one)):
        for i, mine in enumerate(patients):
            shares = [(F.cosine_similarity(a[i], o, dim=0) / temperature).exp() for o in b]
            own = [s for s, theirs in zip(shares, patients, strict=True) if theirs == mine]
            total = total - sum((share / sum(shares)).log() for share in own) / len(own)
    return total / (2 * len(patients))


@pytest.mark.parametrize("patients", [[4], [0, 1, 2, 3], PATIENTS])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_patient_contrast_equals_the_loop(patients, temperature):
    one, two = pairs_of_views(len(patients))
    loss = patient_contrast(one, two, torch.tensor(patients), temperature)
    reference = loop_patient_contrast(one, two, patients, temperature)
    same_in_value_and_gradient(loss, reference, (one, two))


def test_patient_cosine_equals_the_loop_and_stops_at_the_target():
    predicted, target = pairs_of_views(len(PATIENTS))
    total, learned = 0.0, target.detach()
    for row, mine in zip(predicted, PATIENTS, strict=True):
        own = [one for one, theirs in zip(learned, PATIENTS, strict=True) if theirs == mine]
        total = total - sum(F.cosine_similarity(row, one, dim=0) for one in own) / len(own)
    loss = patient_cosine(predicted, target, torch.tensor(PATIENTS))
    same_in_value_and_gradient(loss, total / len(PATIENTS), (predicted, target))


# ---------------------------------------------------------------- foresight


def foresight(samples: int = 5000, **options: float) -> tuple[ResNet, Foresight]:
    torch.manual_seed(0)
    encoder = ResNet(NANO)
    state = {name: value.clone() for name, value in encoder.state_dict().items()}
    made = Foresight(encoder, samples, ForesightOptions(**options))
    assert encoder.training
    assert all(torch.equal(value, encoder.state_dict()[name]) for name, value in state.items())
    return encoder, made


def test_ten_seconds_are_62_steps_of_five_tokens_a_third_of_which_is_foretold():
    _, made = foresight()
    tokens = torch.randn(2, 313, 128)
    cut = made.steps_of(tokens)
    assert (made.steps, made.ahead) == (62, 20)
    torch.testing.assert_close(cut[1, 3], F.normalize(tokens[1, 15:20].mean(dim=0), dim=0))
    assert made.future(cut, 40).shape == (2, 20, 128)
    assert torch.equal(made.future(cut, 41), cut[:, 42:])


def test_context_is_of_the_past_alone():
    _, made = foresight()
    cut = torch.randn(2, 62, 128)
    context, foretold = made(cut, 10)
    assert context.shape == (2, 100)
    assert foretold.shape == (2, 20, 128)
    late, early = cut.clone(), cut.clone()
    late[:, 11:] += 1
    early[:, 10] += 1
    assert torch.equal(made(late, 10)[1], foretold)
    assert not torch.allclose(made(early, 10)[1], foretold, atol=1e-3)


def test_moments_leave_the_steps_that_are_foretold():
    _, made = foresight()
    chance = generator()
    drawn = {made.draw_moment(chance, torch.device("cpu")) for _ in range(1000)}
    assert drawn == set(range(42))


def test_a_record_too_short_to_foretell_is_refused():
    with pytest.raises(ValueError, match=r"options\.ahead=0\.33 of the 1 steps"):
        foresight(samples=16)


# ---------------------------------------------------------------- CLOCS


@pytest.mark.parametrize(("views", "count"), [("cmsc", 2), ("cmlc", 3), ("cmsmlc", 6)])
def test_clocs_averages_all_pairs_of_its_views(views, count):
    model, whole = small("clocs", views=views, leads=3).eval(), batch()
    loss = model(whole, generator())["contrast"]
    drawn = model._views(whole, generator())
    seen = [model.embed(pool(model.encoder.network(*one))) for one in drawn]
    each = [patient_contrast(a, b, whole.patient, 0.1) for a, b in combinations(seen, 2)]
    assert len(drawn) == count
    torch.testing.assert_close(loss, torch.stack(each).mean())
    halves = whole.signal.chunk(2, dim=2)
    for signal, leads in drawn:
        assert signal.shape[1] == (12 if views == "cmsc" else 1)
        assert any(torch.equal(signal, half[:, leads[0]]) for half in halves)
    for (signal, leads), (other, others) in combinations(drawn, 2):
        assert signal.shape == other.shape
        assert not torch.equal(signal, other)
        assert views != "cmlc" or not torch.equal(leads, others)


def test_one_half_of_all_is_drawn_for_leads():
    model, whole = small("clocs", views="cmlc"), batch()
    first = [
        torch.equal(signal[:, 0], whole.signal[:, int(leads[0, 0]), : SAMPLES // 2])
        for seed in range(20)
        for signal, leads in model._views(whole, generator(seed))
    ]
    assert len(first) == 80
    for seed in range(20):
        assert len(set(first[4 * seed : 4 * seed + 4])) == 1
    assert len(set(first)) == 2


@pytest.mark.parametrize("backbone", ["resnet18", "vit"])
@pytest.mark.parametrize("views", ["cmsc", "cmlc"])
def test_clocs_features_are_means_of_halves_and_of_leads_that_are_read_alone(backbone, views):
    encoder = small("clocs", views=views, backbone=backbone).encoder.eval()
    signal, leads = batch().signal[:, [7, 1, 4]], torch.tensor([[7, 1, 4]]).repeat(RECORDS, 1)
    parts = [[0], [1], [2]] if views == "cmlc" else [[0, 1, 2]]
    with torch.no_grad():
        features = [
            pool(encoder.network(half[:, rows], leads[:, rows]))
            for half in signal.chunk(2, dim=2)
            for rows in parts
        ]
        found = pool(encoder(signal, leads))
    torch.testing.assert_close(found, torch.stack(features).mean(dim=0), atol=1e-5, rtol=1e-4)


# ---------------------------------------------------------------- ASTCL


def test_the_encoder_unlearns_what_the_discriminator_learns():
    model = small("astcl")
    features = torch.randn(2, 6, model.encoder.width, generator=generator()).requires_grad_()
    gradients = {}
    for progress in (0.0, 0.1, 1.0):
        model.advance(progress)
        loss = model._told_apart(features[0], features[1])
        gradients[progress] = torch.autograd.grad(loss, features)[0]
    logits = model.discriminator(features).squeeze(2)
    plain = (F.softplus(-logits[0]).mean() + F.softplus(logits[1]).mean()) / 2
    torch.testing.assert_close(loss, plain)
    plain_gradient = torch.autograd.grad(plain, features)[0]
    assert not gradients[0.0].any()
    torch.testing.assert_close(gradients[1.0], -0.1 * plain_gradient, rtol=1e-3, atol=1e-7)
    assert 0.3 < gradients[0.1].norm() / gradients[1.0].norm() < 0.6
    assert "adversary" not in small("astcl", adversary=0.0)(batch(), generator())


def test_the_monitor_sees_astcl_collapse_without_its_guards(monkeypatch):
    """Batch norm, predictor and stop-gradient away: all records become one direction."""

    def features_after_training(guarded: bool) -> float:
        model = small("astcl", backbone="vit", ahead=0.5, context_depth=1, adversary=0.0)
        if not guarded:
            model.projector = nn.Linear(model.encoder.width, 16)
            model.predictor = model.centre = nn.Identity()
        descend(model, 20, lambda step: total(model(batch(), generator(step))))
        with torch.no_grad():
            return spread(pool(model.eval().encoder(batch().signal, batch().leads)))

    assert features_after_training(guarded=True) > 0.3
    for name in ("negative_cosine", "patient_cosine"):
        monkeypatch.setattr(
            astcl, name, lambda one, two, *_: -F.cosine_similarity(one, two, dim=1).mean()
        )
    assert features_after_training(guarded=False) < 0.05
