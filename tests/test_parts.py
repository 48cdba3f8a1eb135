"""Parts of the methods of steps, halves and leads: TS-TCC, CLOCS and ASTCL."""

import copy
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F

from kmerl.methods.clocs import patient_contrast
from kmerl.models.backbone import ResNet
from kmerl.models.foresight import Foresight, ForesightOptions
from kmerl.models.vit import pool
from tests.gradients import generator
from tests.methods import NANO, RECORDS, batch, small

# ---------------------------------------------------------------- foresight


def test_ten_seconds_are_62_steps_of_five_tokens_a_third_of_which_is_foretold():
    torch.manual_seed(0)
    encoder = ResNet(NANO)
    state = copy.deepcopy(encoder.state_dict())
    made = Foresight(encoder, 5000, ForesightOptions())
    assert encoder.training
    torch.testing.assert_close(encoder.state_dict(), state, rtol=0, atol=0)
    tokens = torch.randn(2, 313, 128)
    cut = made.steps_of(tokens)
    assert (made.steps, made.ahead) == (62, 20)
    torch.testing.assert_close(cut[1, 3], F.normalize(tokens[1, 15:20].mean(dim=0), dim=0))
    assert made.future(cut, 40).shape == (2, 20, 128)
    assert torch.equal(made.future(cut, 41), cut[:, 42:])
    chance = generator()
    moments = {made.draw_moment(chance) for _ in range(1000)}
    assert moments == set(range(42))  # those that leave 20 steps
    context, foretold = made(cut, 10)  # of the past alone
    assert context.shape == (2, 100)
    assert foretold.shape == (2, 20, 128)
    late, early = cut.clone(), cut.clone()
    late[:, 11:] += 1
    early[:, 10] += 1
    assert torch.equal(made(late, 10)[1], foretold)
    assert not torch.allclose(made(early, 10)[1], foretold, atol=1e-3)


def test_a_record_too_short_to_foretell_is_refused():
    with pytest.raises(ValueError, match=r"options\.ahead=0\.33 of the 1 steps"):
        Foresight(ResNet(NANO), 16, ForesightOptions())


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
    drawn = [model._views(whole, generator(seed)) for seed in range(20)]
    first = whole.signal[..., :200]
    halves = {tuple(torch.equal(v[:, 0], first[:, k[0, 0]]) for v, k in views) for views in drawn}
    assert halves == {(True,) * 4, (False,) * 4}


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
