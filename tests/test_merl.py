"""MERL: both contrasts against loops, and what `fidelity: faithful` does on purpose."""

import dataclasses
import itertools

import pytest
import torch

from kmerl.methods import Query, merl
from kmerl.methods.merl import AttentionPool
from kmerl.models.backbone import ResNet, token_count
from kmerl.models.masking import EVERY_LEAD, MaskParams
from kmerl.models.norm import BatchNorm
from kmerl.models.vit import pool
from kmerl.training.model import lead_mask
from tests.gradients import descend, generator, same_in_value_and_gradient
from tests.methods import DEMO, NANO, RECORDS, batch, config, small
from tests.test_losses import loop_both_ways

MODELS = pytest.mark.parametrize(
    ("backbone", "fidelity"), [*itertools.product(("resnet18", "vit"), ("fixed", "faithful"))]
)


@MODELS
def test_terms_are_the_two_contrasts_of_the_model(backbone, fidelity):
    model = small("merl", backbone=backbone, fidelity=fidelity, uma=3.0, dropout=0.0).double()
    shown = batch(dtype=torch.float64)
    terms = model(shown, generator())
    features = pool(model.encoder(shown.signal, shown.leads))
    if backbone == "resnet18":
        tokens = model.narrow(model.encoder(shown.signal, shown.leads))
        ecg, features = model.attend(tokens), pool(tokens)
    else:
        ecg = model.project_ecg(features)
    pair = (features, features)
    if fidelity == "faithful":
        pair = tuple(features @ view.weight.T for view in model.views)
        assert all(view.bias is None for view in model.views)
    directions = 1.0 if fidelity == "faithful" else 0.5
    cross = directions * loop_both_ways(ecg, model.project_text(shown.text), 0.07)
    own = 3.0 * directions * loop_both_ways(*pair, 0.07)
    assert terms.keys() == {"cross_modal", "uni_modal"}
    norms = [module for module in model.modules() if isinstance(module, BatchNorm)]
    assert {norm.over_processes for norm in norms} == {fidelity == "fixed"}
    weights = [p for p in model.parameters() if p.requires_grad]
    same_in_value_and_gradient(terms["cross_modal"] + terms["uni_modal"], cross + own, weights)


@MODELS
def test_every_variant_learns_to_match_and_to_answer_names(backbone, fidelity):
    model = small("merl", backbone=backbone, fidelity=fidelity)
    one, two = (model(batch(), generator(seed)) for seed in (0, 1))
    torch.testing.assert_close(one["cross_modal"], two["cross_modal"])
    assert abs(one["uni_modal"] - two["uni_modal"]) > 1e-3  # chance enters nothing else
    losses = descend(model, 12, lambda step: model(batch(), generator(step))["cross_modal"])
    assert losses[-1] < 0.5 * losses[0]
    model.train()  # batch norm of these few steps has no running statistics to go by
    with torch.no_grad():
        tokens = model.encoder(batch().signal, batch().leads)
        cosine = model.similarity(tokens, batch().text)
        swapped = model.similarity(tokens, batch().text.flip(0))
    assert cosine.shape == (RECORDS, RECORDS)
    assert cosine.abs().max() <= 1 + 1e-6
    assert (cosine.argmax(dim=1) == torch.arange(RECORDS)).float().mean() > 0.7
    torch.testing.assert_close(swapped, cosine.flip(1))
    assert not isinstance(model, Query)
    model.options = dataclasses.replace(model.options, uma=0.0)
    assert model(batch(), generator()).keys() == {"cross_modal"}


def test_two_views_drop_a_share_apart_and_keep_the_mean():
    feature = torch.ones(400, 50)
    one, two = merl.two_views(feature, feature, 0.2, generator())
    for view in (one, two):
        assert set(view.unique().tolist()) == {0.0, 1.25}
        assert float((view == 0).float().mean()) == pytest.approx(0.2, abs=0.02)
    assert float(((one == 0) & (two == 0)).float().mean()) == pytest.approx(0.04, abs=0.01)
    assert torch.equal(merl.two_views(feature, feature, 0.0, generator())[1], feature)


# ---------------------------------------------------------------- its ResNet18's attention pooling


@pytest.mark.parametrize("samples", [400, 401, 5000])
def test_token_count_is_what_the_encoder_gives(samples):
    tokens = ResNet(NANO)(torch.randn(1, 1, samples), torch.tensor([[0]]))
    assert tokens.shape[1] == token_count(samples)


def test_attention_pool_equals_the_loop():
    torch.manual_seed(0)
    pooling = AttentionPool(8, 5, heads=2).double()
    tokens = torch.randn(3, 5, 8, dtype=torch.float64)
    query, key, value = pooling.attention.in_proj_weight.chunk(3)
    for record, found in zip(tokens, pooling(tokens), strict=True):
        placed = torch.stack([record.mean(dim=0), *record]) + pooling.position
        heads = []
        for head in (slice(0, 4), slice(4, 8)):
            asked = (query @ placed[0])[head]
            scores = torch.stack([asked @ (key @ token)[head] / 2 for token in placed])
            shares = scores.softmax(dim=0)
            heads.append(sum(s * (value @ t)[head] for s, t in zip(shares, placed, strict=True)))
        out = pooling.attention.out_proj
        torch.testing.assert_close(found, out.weight @ torch.cat(heads) + out.bias)


# ---------------------------------------------------------------- lead masking


def test_lead_masking_takes_the_leads_of_the_mask_section():
    assert lead_mask("merl", config("merl").sections) == EVERY_LEAD
    mask = {**DEMO["mask"], "segments": 0.0}
    masked = config("merl", lead_masking=True).sections
    assert lead_mask("merl", masked) == MaskParams(**mask)
