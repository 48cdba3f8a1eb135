"""MERL: both contrasts against loops, and what `fidelity: faithful` does on purpose."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kmerl import distributed, params
from kmerl.losses import contrastive_loss
from kmerl.methods import merl
from kmerl.methods.merl import AttentionPool, contrastive_loss_as_released
from kmerl.models.backbone import ResNet, token_count
from kmerl.models.masking import EVERY_LEAD, MaskParams
from kmerl.models.norm import BatchNorm
from kmerl.models.vit import EncoderParams, pool
from kmerl.training import session
from kmerl.training.model import lead_mask
from tests.cohorts import write_cohort
from tests.methods import DEMO, RECORDS, batch, config, small
from tests.processes import in_two_processes
from tests.test_losses import pairs_of_views, same_in_value_and_gradient
from tests.test_methods import generator, train

MODELS = pytest.mark.parametrize(
    ("backbone", "fidelity"),
    [(backbone, kind) for backbone in ("resnet18", "vit") for kind in ("fixed", "faithful")],
)


def loop_of_directions(one, two, temperature):
    """InfoNCE of each direction, one record at a time, the positive in the denominator."""
    means = []
    for a, b in ((one, two), (two, one)):
        total = 0.0
        for i, row in enumerate(a):
            shares = [(row @ x / row.norm() / x.norm() / temperature).exp() for x in b]
            total = total - (shares[i] / sum(shares)).log()
        means.append(total / len(a))
    return means


# ---------------------------------------------------------------- the contrast


@pytest.mark.parametrize("size", [1, 2, 5])
def test_contrast_is_the_mean_of_both_directions_and_as_released_their_sum(size):
    one, two = pairs_of_views(size)
    for loss, share in ((contrastive_loss, 0.5), (contrastive_loss_as_released, 1.0)):
        expected = share * sum(loop_of_directions(one, two, 0.07))
        same_in_value_and_gradient(loss(one, two, 0.07), expected, (one, two))


def losses_and_gradients(rank: int, processes: int) -> dict[str, Tensor]:
    """Of both losses on this process's rows of two leaves; DDP's average of their gradients."""
    share = RECORDS // processes
    found = {}
    for loss in (contrastive_loss, contrastive_loss_as_released):
        one, two = pairs_of_views(RECORDS)
        rows = slice(rank * share, (rank + 1) * share)
        value = loss(one[rows], two[rows], 0.2)
        value.backward()
        gradients = [distributed.mean(leaf.grad) for leaf in (one, two)]
        found[loss.__name__] = [value.detach(), distributed.mean(value), *gradients]
    return found


def test_as_released_the_gradient_is_the_true_one_divided_by_the_processes(in_two):
    alone = losses_and_gradients(0, 1)
    for both in in_two:
        _, value, *gradients = both["contrastive_loss"]
        _, true_value, *true_gradients = alone["contrastive_loss"]
        torch.testing.assert_close(value, true_value)
        torch.testing.assert_close(gradients, true_gradients)
        own, value, *gradients = both["contrastive_loss_as_released"]
        _, true_value, *true_gradients = alone["contrastive_loss_as_released"]
        torch.testing.assert_close(own, true_value)  # each computes the whole loss
        torch.testing.assert_close(value, true_value)
        torch.testing.assert_close(gradients, [gradient / 2 for gradient in true_gradients])


# ---------------------------------------------------------------- the method


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
    cross = directions * sum(loop_of_directions(ecg, model.project_text(shown.text), 0.07))
    own = 3.0 * directions * sum(loop_of_directions(*pair, 0.07))
    assert terms.keys() == {"cross_modal", "uni_modal"}
    weights = [p for p in model.parameters() if p.requires_grad]
    same_in_value_and_gradient(terms["cross_modal"] + terms["uni_modal"], cross + own, weights)


@MODELS
def test_every_variant_learns_to_match_and_to_answer_names(backbone, fidelity):
    model = small("merl", backbone=backbone, fidelity=fidelity)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    losses = []
    for step in range(40):
        loss = model(batch(), generator(step))["cross_modal"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
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
    assert not hasattr(model, "score")


@MODELS
def test_chance_enters_uma_and_nothing_else(backbone, fidelity):
    model = small("merl", backbone=backbone, fidelity=fidelity)
    one, two = (model(batch(), generator(seed)) for seed in (0, 1))
    torch.testing.assert_close(one["cross_modal"], two["cross_modal"])
    assert abs(one["uni_modal"] - two["uni_modal"]) > 1e-3


def test_a_weight_of_zero_removes_uma():
    model = small("merl", uma=0.0)
    assert model(batch(), generator()).keys() == {"cross_modal"}


def test_two_views_drop_a_share_apart_and_keep_the_mean():
    feature = torch.ones(400, 50)
    one, two = merl.two_views(feature, feature, 0.2, generator())
    for view in (one, two):
        assert set(view.unique().tolist()) == {0.0, 1.25}
        assert float((view == 0).float().mean()) == pytest.approx(0.2, abs=0.02)
    assert float(((one == 0) & (two == 0)).float().mean()) == pytest.approx(0.04, abs=0.01)
    assert torch.equal(merl.two_views(feature, feature, 0.0, generator())[1], feature)


@pytest.mark.parametrize("options", [{"dropout": 1.0}, {"out": 18}])
def test_impossible_options_are_named(options):
    with pytest.raises(ValueError, match=f"options.{next(iter(options))}"):
        small("merl", **options)
    with pytest.raises(params.ParamsError, match=r"options\.fidelity is 'true'; choose one of"):
        small("merl", fidelity="true")


# ---------------------------------------------------------------- its ResNet18's attention pooling


@pytest.mark.parametrize("samples", [400, 500, 401, 5000])
def test_token_count_is_what_the_encoder_gives(samples):
    encoder = ResNet(EncoderParams("nano", "lead", 100, True, True))
    tokens = encoder(torch.randn(1, 1, samples), torch.tensor([[0]]))
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


# ---------------------------------------------------------------- two processes


def gradients(rank: int, processes: int, fidelity: str) -> dict[str, Tensor]:
    """Of a model whose batch norm is at rest, so that records meet in the loss alone."""
    model = small("merl", backbone="vit", fidelity=fidelity, dropout=0.0).double().eval()
    network: nn.Module = model if processes == 1 else DistributedDataParallel(model)
    share = RECORDS // processes
    rows = slice(rank * share, (rank + 1) * share)
    terms = network(batch(rows, torch.float64), generator())
    sum(terms.values()).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def work_of_two(rank: int) -> dict[str, Any]:
    found = {kind: gradients(rank, 2, kind) for kind in ("fixed", "faithful")}
    return {**found, **losses_and_gradients(rank, 2), "norm": norm_of_half(rank)}


def norm_of_half(rank: int) -> dict[str, Tensor]:
    """What the projector's batch norm has seen after one step on this process's rows."""
    share = RECORDS // 2
    shown = batch(slice(rank * share, (rank + 1) * share))
    found = {}
    for kind in ("fixed", "faithful"):
        model = small("merl", backbone="vit", fidelity=kind)
        model(shown, generator())
        found[kind] = model.project_ecg[1].running_mean
    return found


@pytest.fixture(scope="module")
def in_two():
    return in_two_processes(work_of_two)


@pytest.mark.parametrize(("fidelity", "factor"), [("fixed", 1.0), ("faithful", 0.5)])
def test_two_processes_have_the_gradient_of_one_or_as_released_half_of_it(in_two, fidelity, factor):
    alone = gradients(0, 1, fidelity)
    for both in in_two:
        assert both[fidelity].keys() == alone.keys()
        for name, gradient in alone.items():
            close = {"rtol": 1e-7, "atol": 1e-10}
            torch.testing.assert_close(both[fidelity][name], factor * gradient, **close)
    assert all(gradient.abs().max() > 0 for name, gradient in alone.items() if "bias" not in name)


def test_as_released_batch_norm_sees_the_records_of_its_own_process(in_two):
    model = small("merl", backbone="vit")
    model(batch(), generator())
    expected = model.project_ecg[1].running_mean
    zero, one = (both["norm"] for both in in_two)
    torch.testing.assert_close(zero["fixed"], expected)
    torch.testing.assert_close(one["fixed"], expected)
    assert not torch.allclose(zero["faithful"], one["faithful"], rtol=0.1)
    torch.testing.assert_close((zero["faithful"] + one["faithful"]) / 2, expected)
    norms = [m for m in small("merl", fidelity="faithful").modules() if isinstance(m, BatchNorm)]
    assert len(norms) == 20  # one first, two in each of eight blocks, three shortcuts
    assert not any(norm.over_processes for norm in norms)


# ---------------------------------------------------------------- lead masking


def test_lead_masking_takes_the_leads_of_the_mask_section():
    assert lead_mask("merl", config("merl").sections) == EVERY_LEAD
    mask = {**DEMO["mask"], "segments": 0.0}
    masked = config("merl", lead_masking=True).sections
    assert lead_mask("merl", masked) == MaskParams(**mask)


@pytest.mark.parametrize("lead_masking", [False, True])
def test_training_shows_the_leads_that_the_option_says(tmp_path, monkeypatch, lead_masking):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "_live", lambda: None)
    write_cohort(tmp_path)
    counts = set()
    real = merl.Method.forward

    def watched(self, shown, generator):
        counts.add(shown.signal.shape[1])
        return real(self, shown, generator)

    monkeypatch.setattr(merl.Method, "forward", watched)
    options = {"lead_masking": lead_masking, "hidden": 16, "out": 16}
    _, _, metrics = train(tmp_path, method="merl", options=options)
    assert counts <= {1, 2, 3} if lead_masking else counts == {12}
    assert math.isfinite(metrics["val_uni_modal"])
    assert metrics["loss"] == pytest.approx(metrics["cross_modal"] + metrics["uni_modal"], rel=1e-3)
