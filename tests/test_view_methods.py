"""The methods of two views against loops over records, in value and in every gradient."""

import importlib
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from kmerl.methods.barlow_twins import identity_loss
from kmerl.methods.simsiam import Options as SimSiamOptions
from kmerl.models.backbone import ResidualBlock
from kmerl.models.target import momentum_at
from kmerl.models.vit import pool
from tests.methods import RECORDS, batch, small

NAMES = ["barlow_twins", "byol", "moco_v3", "simclr", "simsiam"]
WHOLE = batch(dtype=torch.float64)
VIEWS = (WHOLE.signal, WHOLE.signal.flip(2))


def model_of(name: str, monkeypatch: pytest.MonkeyPatch, **options: object) -> nn.Module:
    """A small model in float64 that is shown `VIEWS`; its target, if any, stands elsewhere."""
    module = importlib.import_module(f"kmerl.methods.{name}")
    monkeypatch.setattr(module, "two_views", lambda *_: VIEWS)
    model = small(name, **options).double()
    if hasattr(model, "target"):
        with torch.no_grad():
            for parameter in model.target.parameters():
                parameter.mul_(1.1)
    return model


def embedded(encoder: nn.Module, *heads: nn.Module) -> tuple[Tensor, Tensor]:
    """Rows of both views through an encoder and heads, each view on its own."""

    def of(view: Tensor) -> Tensor:
        return nn.Sequential(*heads)(pool(encoder(view, WHOLE.leads)))

    return of(VIEWS[0]), of(VIEWS[1])


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return a @ b / (a.norm() * b.norm())


def byol(model: nn.Module) -> Tensor:
    one, two = embedded(model.encoder, model.projector, model.predictor)
    key_one, key_two = (v.detach() for v in embedded(model.target.encoder, model.target.projector))
    pairs = [*zip(one, key_two, strict=True), *zip(two, key_one, strict=True)]
    return sum((p / p.norm() - k / k.norm()).square().sum() for p, k in pairs) / RECORDS


def moco_v3(model: nn.Module) -> Tensor:
    temperature, total = model.options.temperature, 0.0
    queries = embedded(model.encoder, model.projector, model.predictor)
    keys = [v.detach() for v in embedded(model.target.encoder, model.target.projector)]
    for asked, known in ((queries[0], keys[1]), (queries[1], keys[0])):
        for row, query in enumerate(asked):
            scores = torch.stack([cosine(query, key) / temperature for key in known])
            total = total - (scores[row].exp() / scores.exp().sum()).log()
    return 2 * temperature * total / RECORDS


def simsiam(model: nn.Module) -> Tensor:
    projected = embedded(model.encoder, model.projector)
    total = 0.0
    for mine, other in (projected, projected[::-1]):
        predicted = model.predictor(mine)
        for row in range(RECORDS):
            total = total - cosine(predicted[row], other[row].detach())
    return total / (2 * RECORDS)


def barlow_twins(model: nn.Module) -> Tensor:
    return loop_identity(*embedded(model.encoder, model.projector), model.options.redundancy)


def loop_identity(one: Tensor, two: Tensor, redundancy: float) -> Tensor:
    """Correlation of every two dimensions, one at a time."""
    total = one.new_zeros(())
    for i in range(one.shape[1]):
        for j in range(two.shape[1]):
            a, b = one[:, i] - one[:, i].mean(), two[:, j] - two[:, j].mean()
            spread = ((a.square().mean() + 1e-5) * (b.square().mean() + 1e-5)).sqrt()
            correlation = (a * b).mean() / spread
            total = total + ((correlation - 1) ** 2 if i == j else redundancy * correlation**2)
    return total


def simclr(model: nn.Module) -> Tensor:
    both = pool(model.encoder(torch.cat(VIEWS), WHOLE.leads.repeat(2, 1)))
    views, total = model.projector(both), 0.0
    ignored = model.options.same_patient == "ignored"
    for i, view in enumerate(views):
        partner, share = (i + RECORDS) % (2 * RECORDS), {}
        for j, other in enumerate(views):
            mine, theirs = WHOLE.patient[i % RECORDS], WHOLE.patient[j % RECORDS]
            if j == partner or (j != i and not (ignored and mine == theirs)):
                share[j] = (cosine(view, other) / model.options.temperature).exp()
        total = total - (share[partner] / sum(share.values())).log()
    return total / (2 * RECORDS)


@pytest.mark.parametrize(
    ("reference", "options"),
    [
        (barlow_twins, {"redundancy": 0.3}),
        (byol, {}),
        (moco_v3, {}),
        (moco_v3, {"temperature": 0.2, "backbone": "vit"}),
        (simclr, {}),
        (simclr, {"same_patient": "ignored", "temperature": 0.5}),
        (simsiam, {}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "-".join(map(str, value.values())),
)
def test_a_method_equals_its_loop(
    reference: Callable[[nn.Module], Tensor], options: dict[str, object], monkeypatch
):
    model = model_of(reference.__name__, monkeypatch, **options)
    (loss,) = model(WHOLE, torch.Generator()).values()
    expected = reference(model)
    torch.testing.assert_close(loss, expected)
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    ours = torch.autograd.grad(loss, list(learning.values()))
    theirs = torch.autograd.grad(expected, list(learning.values()))
    for name, one, other in zip(learning, ours, theirs, strict=True):
        torch.testing.assert_close(one, other, msg=lambda text, name=name: f"{name}: {text}")


def test_barlow_twins_wants_each_dimension_to_agree_with_itself_alone():
    drawn = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    rows = 8 * torch.linalg.qr(drawn - drawn.mean(dim=0)).Q  # uncorrelated, mean 0, deviation 1
    assert identity_loss(rows, rows, 1.0) < 1e-6
    assert identity_loss(rows, rows.roll(1, 1), 1.0) == pytest.approx(10, rel=1e-3)
    assert identity_loss(rows, -rows, 1.0) == pytest.approx(20, rel=1e-3)


def test_barlow_twins_correlates_in_full_precision():
    rows = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        inside = identity_loss(rows, rows.flip(0), 1.0)
    assert torch.equal(inside, identity_loss(rows, rows.flip(0), 1.0))


def test_chance_levels_are_where_the_papers_have_them(monkeypatch):
    """Equal projections: NT-Xent log(2N - 1), MoCo 4T log N, SimSiam -1, BYOL 0."""
    answer = torch.randn(16, dtype=torch.float64)

    class Same(nn.Module):
        def forward(self, features: Tensor) -> Tensor:
            return answer.expand(len(features), -1)

    expected = {
        "simclr": math.log(2 * RECORDS - 1),
        "moco_v3": 4 * math.log(RECORDS),
        "simsiam": -1.0,
        "byol": 0.0,
    }
    for name, value in expected.items():
        model = model_of(name, monkeypatch)
        model.projector = model.predictor = Same()
        if hasattr(model, "target"):
            model.target.projector = Same()
        (loss,) = model(WHOLE, torch.Generator()).values()
        assert float(loss) == pytest.approx(value, abs=1e-9), name


@pytest.mark.parametrize("name", ["byol", "moco_v3"])
def test_targets_follow_after_the_step_with_the_momentum_of_the_moment(name):
    model = small(name, momentum=0.9)
    before = {key: value.clone() for key, value in model.target.named_parameters()}
    with torch.no_grad():
        for parameter in [*model.encoder.parameters(), *model.projector.parameters()]:
            if parameter.requires_grad:
                parameter.add_(1)
        model.advance(0.5)
    share = 1 - momentum_at(0.9, 0.5)
    for key, value in model.target.named_parameters():
        torch.testing.assert_close(value, before[key] + share, msg=key)
    assert not any(parameter.requires_grad for parameter in model.target.parameters())


def test_moco_on_a_vit_has_frozen_random_patches_and_other_heads():
    model = small("moco_v3", backbone="vit")
    patch = model.encoder.tokenizer.project.weight
    assert not patch.requires_grad
    bound = math.sqrt(6 / (patch[0].numel() + len(patch)))
    assert 0.99 * bound < patch.abs().max() <= bound
    assert torch.equal(model.target.encoder.tokenizer.project.weight, patch)
    assert sum(isinstance(layer, nn.Linear) for layer in model.projector) == 3
    assert model.predictor[-1].affine is False
    assert isinstance(small("moco_v3").predictor[-1], nn.Linear)


def test_simsiams_residual_blocks_start_as_their_shortcuts():
    blocks = [m for m in small("simsiam").encoder.modules() if isinstance(m, ResidualBlock)]
    assert len(blocks) == 8
    assert all((block.norm.weight == 0).all() for block in blocks)


def test_simsiams_predictor_narrows():
    with pytest.raises(ValueError, match=r"options\.bottleneck=64.*options\.out=32"):
        SimSiamOptions(bottleneck=64, out=32)
