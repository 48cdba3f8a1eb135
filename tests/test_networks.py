"""Encoders of twelve leads, heads, batch norm, and targets that follow."""

import pytest
import torch
from torch import nn

from kmerl.models.backbone import ResNet, TwelveLeadViT
from kmerl.models.heads import mlp
from kmerl.models.inputs import twelve_leads
from kmerl.models.norm import BatchNorm
from kmerl.models.target import Target, momentum_at
from kmerl.models.vit import EncoderParams


def params(size: str = "nano") -> EncoderParams:
    return EncoderParams(size, "lead", 100, True, True)


EVERY_LEAD = torch.arange(12).expand(2, -1)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_missing_leads_are_zero_and_leads_go_by_name():
    signal = torch.randn(2, 2, 30)
    whole = twelve_leads(signal, torch.tensor([[7, 1], [0, 11]]))
    assert torch.equal(whole[0, [7, 1]], signal[0])
    assert torch.equal(whole[1, [0, 11]], signal[1])
    assert torch.equal(whole.abs().sum(dim=2) > 0, whole.new_zeros(2, 12).scatter(
        1, torch.tensor([[7, 1], [0, 11]]), 1.0
    ).bool())  # fmt: skip


@pytest.mark.parametrize(("size", "width"), [("nano", 128), ("micro", 192), ("tiny", 512)])
def test_resnet_has_the_shape_of_merls(size, width):
    encoder = ResNet(params(size)).eval()
    assert encoder.width == width
    with torch.no_grad():
        assert encoder(torch.randn(2, 12, 5000), EVERY_LEAD).shape == (2, 313, width)


def test_resnet18_counts_what_its_eight_blocks_need():
    first, stages = 12 * 64 * 7, 0
    for stage, width in enumerate((64, 128, 256, 512)):
        before = 64 if stage == 0 else width // 2
        stages += before * width * 3 + 3 * width * width * 3 + 4 * 2 * width
        stages += (before * width + 2 * width) if stage else 0
    assert parameters(ResNet(params("base"))) == first + 2 * 64 + stages


def test_a_residual_block_adds_its_shortcut():
    encoder = ResNet(params())
    block = encoder.layers[3]
    nn.init.zeros_(block.norm.weight)
    features = torch.randn(2, 16, 40)
    torch.testing.assert_close(block(features), features.relu())


def test_vit_has_merls_tokens_and_size():
    encoder = TwelveLeadViT(params("tiny"), 5000)
    assert encoder(torch.randn(2, 12, 5000), EVERY_LEAD).shape == (2, 100, 192)
    assert 5.4e6 < parameters(encoder) < 5.55e6  # MERL's: 5.47 million
    assert 0.9 < encoder.tokenizer.temporal.std() < 1.1


def test_vit_token_sees_its_own_fifty_samples_before_attention():
    encoder = TwelveLeadViT(params(), 500)
    signal = torch.randn(1, 12, 500)
    token = torch.einsum("wls,ls->w", encoder.tokenizer.project.weight, signal[0, :, 150:200])
    torch.testing.assert_close(
        encoder.tokenizer.project(signal)[0, :, 3], token, atol=1e-4, rtol=1e-4
    )


def test_vit_refuses_a_record_that_its_tokens_do_not_fill():
    with pytest.raises(ValueError, match="520 samples"):
        TwelveLeadViT(params(), 520)


@pytest.mark.parametrize(
    ("last", "kinds"),
    [
        ("linear", [nn.Linear]),
        ("linear with bias", [nn.Linear]),
        ("norm", [nn.Linear, BatchNorm]),
        ("norm without scale", [nn.Linear, BatchNorm]),
    ],
)
def test_heads_end_as_they_are_told(last, kinds):
    head = mlp(8, 16, 20, out=4, last=last)
    hidden = [nn.Linear, BatchNorm, nn.ReLU]
    assert [type(layer) for layer in head] == hidden * 2 + kinds
    assert head(torch.randn(3, 8)).shape == (3, 4)
    linear = [layer for layer in head if isinstance(layer, nn.Linear)]
    biases = [layer.bias is not None for layer in linear]
    assert biases == [False, False, last == "linear with bias"]
    if kinds[-1] is BatchNorm:
        assert head[-1].affine is (last == "norm")
    assert [type(layer) for layer in mlp(8, out=4)] == [nn.Linear]


def test_batch_norm_keeps_half_precision():
    features = torch.randn(4, 3).bfloat16()
    assert BatchNorm(3)(features).dtype == torch.bfloat16


# ---------------------------------------------------------------- target


class Online(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = ResNet(params())
        self.projector = mlp(self.encoder.width, 16, out=8)
        self.predictor = mlp(8, out=8)


def test_a_target_starts_as_a_copy_and_follows_its_parameters_alone():
    online = Online()
    target = Target(online.encoder, online.projector)
    before = {name: p.clone() for name, p in target.named_parameters()}
    assert all(torch.equal(p, online.get_parameter(name)) for name, p in before.items())
    with torch.no_grad():
        for tensor in [*online.parameters(), *online.buffers()]:
            tensor.add_(1)
    target.follow(online, 0.75)
    for name, parameter in target.named_parameters():
        torch.testing.assert_close(parameter, before[name] + 0.25)
    assert all((b == 0).all() for n, b in target.named_buffers() if "running_mean" in n)


def test_no_gradient_reaches_a_target():
    online = Online()
    target = Target(online.encoder, online.projector)
    assert not target(torch.randn(2, 12, 200), EVERY_LEAD).requires_grad
    assert not any(parameter.requires_grad for parameter in target.parameters())


def test_momentum_rises_to_one_along_half_a_cosine():
    assert momentum_at(0.9, 0.0) == pytest.approx(0.9)
    assert momentum_at(0.9, 0.5) == pytest.approx(0.95)
    assert momentum_at(0.9, 1.0) == 1.0
