"""The methods of two views against loops over records, in value and in every gradient."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kmerl.methods.barlow_twins import identity_loss
from kmerl.models.backbone import ResidualBlock
from kmerl.models.target import momentum_at
from kmerl.models.vit import pool
from tests.gradients import generator, same_in_value_and_gradient
from tests.methods import RECORDS, batch, file, small
from tests.test_losses import loop_cosine, loop_identity, loop_info_nce, loop_nt_xent

WHOLE = batch(dtype=torch.float64)
VIEWS = (WHOLE.signal, WHOLE.signal.flip(2))


def embedded(encoder: nn.Module, *heads: nn.Module) -> tuple[Tensor, Tensor]:
    """Rows of both views through an encoder and heads, each view on its own."""
    one, two = (nn.Sequential(*heads)(pool(encoder(view, WHOLE.leads))) for view in VIEWS)
    return one, two


def byol(model: nn.Module) -> Tensor:
    predicted = torch.cat(embedded(model.encoder, model.projector, model.predictor))
    keys = torch.cat(embedded(model.target.encoder, model.target.projector)[::-1]).detach()
    return (F.normalize(predicted) - F.normalize(keys)).square().sum() / RECORDS


def moco_v3(model: nn.Module) -> Tensor:
    temperature = model.options.temperature
    one, two = embedded(model.encoder, model.projector, model.predictor)
    key_one, key_two = (v.detach() for v in embedded(model.target.encoder, model.target.projector))
    both = loop_info_nce(one, key_two, temperature) + loop_info_nce(two, key_one, temperature)
    return 2 * temperature * both


def simsiam(model: nn.Module) -> Tensor:
    one, two = embedded(model.encoder, model.projector)
    forth = loop_cosine(model.predictor(one), two, range(RECORDS))
    return (forth + loop_cosine(model.predictor(two), one, range(RECORDS))) / 2


def barlow_twins(model: nn.Module) -> Tensor:
    return loop_identity(*embedded(model.encoder, model.projector), model.options.redundancy)


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
def test_a_method_equals_its_loop(reference, options, monkeypatch):
    name = reference.__name__
    monkeypatch.setattr(file(name), "two_views", lambda *_: VIEWS)
    model = small(name, **options).double()
    if name in ("byol", "moco_v3"):
        with torch.no_grad():  # the target is another network by now
            for parameter in model.target.parameters():
                parameter.mul_(1.1)
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
    rising = [momentum_at(0.9, progress) for progress in (0.0, 0.5, 1.0)]
    assert rising == pytest.approx([0.9, 0.95, 1.0])  # along half a cosine


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
