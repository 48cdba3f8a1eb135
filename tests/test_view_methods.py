"""The methods of two views against loops over records, in value and in every gradient."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from kmerl.methods.barlow_twins import identity_loss
from kmerl.models.backbone import ResidualBlock
from kmerl.models.target import momentum_at
from kmerl.models.vit import pool
from tests.gradients import generator, same_in_value_and_gradient
from tests.methods import RECORDS, batch, file, small
from tests.test_losses import loop_nt_xent

NAMES = ["barlow_twins", "byol", "moco_v3", "simclr", "simsiam"]
WHOLE = batch(dtype=torch.float64)
VIEWS = (WHOLE.signal, WHOLE.signal.flip(2))


def model_of(name: str, monkeypatch: pytest.MonkeyPatch, **options: object) -> nn.Module:
    """A small model in float64 that is shown `VIEWS`; its target, if any, stands elsewhere."""
    monkeypatch.setattr(file(name), "two_views", lambda *_: VIEWS)
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
    both = model.projector(pool(model.encoder(torch.cat(VIEWS), WHOLE.leads.repeat(2, 1))))
    ignored = model.options.same_patient == "ignored"
    patients = WHOLE.patient.tolist() if ignored else list(range(RECORDS))
    return loop_nt_xent(*both.chunk(2), model.options.temperature, patients)


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
    (loss,) = model(WHOLE, generator()).values()
    learning = [p for p in model.parameters() if p.requires_grad]
    gradients = same_in_value_and_gradient(loss, reference(model), learning)
    assert all(gradient is not None for gradient in gradients)


def test_barlow_twins_correlates_in_full_precision():
    rows = torch.randn(8, 16, generator=generator())
    with torch.autocast("cpu", torch.bfloat16):
        inside = identity_loss(rows, rows.flip(0), 1.0)
    assert torch.equal(inside, identity_loss(rows, rows.flip(0), 1.0))


@pytest.mark.parametrize("name", ["byol", "moco_v3"])
def test_a_target_starts_as_a_copy_and_follows_parameters_alone(name):
    model = small(name, momentum=0.9)
    before = {key: value.clone() for key, value in model.target.named_parameters()}
    assert all(torch.equal(p, model.get_parameter(key)) for key, p in before.items())
    with torch.no_grad():
        for part in (model.encoder, model.projector):
            for tensor in [*part.parameters(), *part.buffers()]:
                tensor.add_(1)
        model.advance(0.5)
    for key, value in model.target.named_parameters():
        torch.testing.assert_close(value, before[key] + 0.05, msg=key)
        assert not value.requires_grad
    means = [b for key, b in model.target.named_buffers() if "running_mean" in key]
    assert means and not any(mean.any() for mean in means)
    assert not model.target(batch().signal, batch().leads).requires_grad


def test_momentum_rises_to_one_along_half_a_cosine():
    rising = [momentum_at(0.9, progress) for progress in (0.0, 0.5, 1.0)]
    assert rising == pytest.approx([0.9, 0.95, 1.0])


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
