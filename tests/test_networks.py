"""Encoders of twelve leads, heads and batch norm."""

import dataclasses

import pytest
import torch
from torch import nn

from kmerl.models.backbone import ResNet, TwelveLeadViT
from kmerl.models.heads import mlp
from kmerl.models.norm import BatchNorm
from tests.methods import NANO

EVERY_LEAD = torch.arange(12).expand(2, -1)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("size", "width"), [("nano", 128), ("micro", 192), ("tiny", 512)])
def test_resnet_has_the_shape_of_merls(size, width):
    encoder = ResNet(dataclasses.replace(NANO, size=size)).eval()
    assert encoder.width == width
    with torch.no_grad():
        assert encoder(torch.randn(2, 12, 5000), EVERY_LEAD).shape == (2, 313, width)


def test_resnet18_counts_what_its_eight_blocks_need():
    first, stages = 12 * 64 * 7, 0
    for stage, width in enumerate((64, 128, 256, 512)):
        before = 64 if stage == 0 else width // 2
        stages += before * width * 3 + 3 * width * width * 3 + 4 * 2 * width
        stages += (before * width + 2 * width) if stage else 0
    assert parameters(ResNet(dataclasses.replace(NANO, size="base"))) == first + 2 * 64 + stages


def test_a_residual_block_adds_its_shortcut():
    block = ResNet(NANO).layers[3]
    nn.init.zeros_(block.norm.weight)
    features = torch.randn(2, 16, 40)
    torch.testing.assert_close(block(features), features.relu())


def test_vit_has_merls_tokens_and_size():
    encoder = TwelveLeadViT(dataclasses.replace(NANO, size="tiny"), 5000)
    assert encoder(torch.randn(2, 12, 5000), EVERY_LEAD).shape == (2, 100, 192)
    assert 5.4e6 < parameters(encoder) < 5.55e6  # MERL's: 5.47 million
    assert 0.9 < encoder.tokenizer.temporal.std() < 1.1
    with pytest.raises(ValueError, match="520 samples"):
        TwelveLeadViT(NANO, 520)


@pytest.mark.parametrize("last", ["linear", "linear with bias", "norm", "norm without scale"])
def test_heads_end_as_they_are_told(last):
    kinds = [nn.Linear, BatchNorm] if last.startswith("norm") else [nn.Linear]
    head = mlp(8, 16, 20, out=4, last=last)
    hidden = [nn.Linear, BatchNorm, nn.ReLU]
    assert [type(layer) for layer in head] == hidden * 2 + kinds
    assert head(torch.randn(3, 8)).shape == (3, 4)
    biases = [layer.bias is not None for layer in head if isinstance(layer, nn.Linear)]
    assert biases == [False, False, last == "linear with bias"]
    if kinds[-1] is BatchNorm:
        assert head[-1].affine is (last == "norm")
    assert [type(layer) for layer in mlp(8, out=4)] == [nn.Linear]
