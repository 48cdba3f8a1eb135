"""Tokens, masks, encoders, heads and F_CQ: the properties the paper's method rests on."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kmerl.methods.kmerl import QueryNetwork, QueryParams
from kmerl.models.backbone import ResNet, TwelveLeadViT
from kmerl.models.heads import mlp
from kmerl.models.masking import MaskParams, draw_leads, draw_segments, segments_kept
from kmerl.models.norm import BatchNorm
from kmerl.models.tokens import JointTokenizer, LeadTokenizer
from kmerl.models.vit import LeadEncoder
from kmerl.training.model import create
from tests import methods
from tests.gradients import generator, total

SAMPLES, TOKEN = 500, 100
ENCODER = methods.NANO
JOINT = dataclasses.replace(ENCODER, tokens="joint")


def test_dynamic_lead_masking_draws_9_10_and_11_equally_and_every_lead_in_order():
    rng = np.random.default_rng(0)
    draws = [draw_leads(4, 9, 11, rng) for _ in range(3000)]
    counts = np.bincount([draw.shape[1] for draw in draws], minlength=4)
    assert counts[0] == 0
    assert (abs(counts[1:] / 3000 - 1 / 3) < 0.03).all()
    seen = np.bincount(np.concatenate([draw.ravel() for draw in draws]), minlength=12)
    assert seen.min() / seen.max() > 0.9
    assert len(seen) == 12
    assert all(len(draw) == 4 and (np.diff(draw, axis=1) > 0).all() for draw in draws)
    assert np.mean([(draw[0] == draw[1]).all() for draw in draws]) < 0.1  # drawn apart


@given(st.integers(1, 3), st.integers(1, 4), st.integers(2, 50), st.sampled_from([0.25, 0.5, 0.75]))
@settings(max_examples=50, deadline=None)
def test_segment_masking_keeps_the_same_number_in_each_lead(batch, leads, segments, ratio):
    kept = draw_segments(batch, leads, segments, ratio, generator())
    each = segments_kept(segments, ratio)
    assert kept.shape == (batch, leads * each)
    for row in kept:
        assert torch.bincount(row // segments, minlength=leads).tolist() == [each] * leads
        assert len(set(row.tolist())) == len(row)


def test_what_remains_is_rounded_down_but_not_for_want_of_digits():
    assert segments_kept(50, 0.25) == 37
    assert [segments_kept(count, 0.8) for count in (250, 125)] == [50, 25]
    assert [segments_kept(count, 0.3) for count in (250, 125)] == [175, 87]


def test_segment_masks_differ_between_leads_and_records_and_flat_ones_in_number():
    kept = draw_segments(2, 2, 50, 0.5, generator()).view(2, 2, 25) % 50
    assert not torch.equal(kept[0, 0], kept[0, 1])
    assert not torch.equal(kept[0, 0], kept[1, 0])
    kept = draw_segments(50, 3, 50, 0.25, generator(), per_lead=False)
    assert kept.shape == (50, 112)
    assert len({int((row < 50).sum()) for row in kept}) > 1


@pytest.mark.parametrize(("params", "rows"), [(ENCODER, 3), (JOINT, 1)])
def test_dropped_tokens_are_gathered_away(params, rows):
    encoder, leads = LeadEncoder(params, SAMPLES), torch.tensor([[0, 4, 7], [1, 2, 11]])
    signal = torch.randn(2, 3, SAMPLES)
    kept, changed = torch.tensor([[0, 3], [1, 2]]), signal.clone()
    if rows > 1:  # tokens of a lead: none of the second lead and the third is kept
        changed[:, 1:] = 99.0
    changed[0, :, TOKEN : 3 * TOKEN] = 99.0
    changed[1, :, 3 * TOKEN :] = 99.0
    with torch.no_grad():
        one = encoder(signal, leads, kept)
        assert one.shape == (2, 2, encoder.width)
        torch.testing.assert_close(one, encoder(changed, leads, kept))
        every = encoder(signal, leads, torch.arange(rows * 5).expand(2, -1))
        torch.testing.assert_close(encoder(signal, leads), every)


def test_token_is_projection_plus_its_lead_plus_its_time():
    torch.manual_seed(0)
    tokenizer = LeadTokenizer(8, TOKEN, SAMPLES)
    signal = torch.randn(1, 2, SAMPLES)
    tokens = tokenizer(signal, torch.tensor([[5, 10]]))
    pieces = tokenizer.project(signal.unflatten(2, (5, TOKEN)))
    expected = pieces + tokenizer.lead[[5, 10]].unsqueeze(1) + tokenizer.temporal
    torch.testing.assert_close(tokens, expected.flatten(1, 2))


@pytest.mark.parametrize("params", [ENCODER, JOINT])
def test_lengths_that_cannot_be_are_refused(params):
    with pytest.raises(ValueError, match="token_samples=150"):
        LeadEncoder(dataclasses.replace(params, token_samples=150), SAMPLES)
    with pytest.raises(ValueError, match="400 samples"):
        LeadEncoder(params, SAMPLES)(torch.randn(1, 1, 400), torch.tensor([[0]]))


# ---------------------------------------------------------------- tokens of all leads (Table 2b)


def test_a_joint_token_is_a_segment_of_twelve_leads_plus_its_time():
    signal, tokenizer = torch.randn(1, 2, SAMPLES), JointTokenizer(8, TOKEN, SAMPLES)
    pieces = signal.unflatten(2, (5, TOKEN))
    weight = tokenizer.project.weight[:, [10, 5]]  # the other ten leads are zero
    expected = torch.einsum("wlp,bltp->btw", weight, pieces) + tokenizer.temporal
    tokens = tokenizer(signal, torch.tensor([[10, 5]]))
    torch.testing.assert_close(tokens, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("lead", "temporal", "of_leads", "of_joint"),
    [
        (True, True, {"lead", "temporal"}, {"temporal"}),
        (True, False, {"lead"}, set()),
        (False, True, {"temporal"}, {"temporal"}),
    ],
)
def test_embeddings_can_be_ablated_and_joint_tokens_have_none_of_leads(
    lead, temporal, of_leads, of_joint
):
    for params, names in ((ENCODER, of_leads | {"project.bias"}), (JOINT, of_joint)):
        chosen = dataclasses.replace(params, lead_embedding=lead, temporal_embedding=temporal)
        tokenizer = LeadEncoder(chosen, SAMPLES).tokenizer
        assert set(tokenizer.state_dict()) == names | {"project.weight"}
        assert not temporal or tokenizer.temporal.std() < 0.03


@pytest.mark.parametrize("per_lead", [True, False])
@pytest.mark.parametrize(("tokens", "expected"), [("lead", 3 * 3), ("joint", 3)])
def test_training_masks_the_share_of_the_tokens_there_are(tokens, expected, per_lead):
    """A quarter of five segments leaves floor(3.75): of each of three leads, or of all together;
    of fifteen tokens together it leaves eleven."""
    small = methods.config("kmerl")
    sections = small.sections
    sections["encoder"] = {**sections["encoder"], "tokens": tokens, "token_samples": 80}
    sections["mask"] = {**sections["mask"], "segments": 0.25, "per_lead": per_lead}
    model = create(small, torch.randn(methods.ENTITIES, methods.TEXT_WIDTH))
    seen = []
    model.encoder.norm.register_forward_hook(lambda module, given, result: seen.append(result))
    batch = methods.batch()
    batch = dataclasses.replace(batch, signal=batch.signal[:, :3], leads=batch.leads[:, :3])
    total(model(batch, generator())).backward()
    assert seen[0].shape[1] == (11 if (tokens, per_lead) == ("lead", False) else expected)
    assert model.encoder.tokenizer.project.weight.grad.abs().sum() > 0


QUERY = QueryParams(16, 2, 4, 32, 0.1, True, 0, False, "asked", head="logit", shared_norm=False)
NAMES, TOKENS = (
    torch.randn(5, 12, generator=generator(1)),
    torch.randn(3, 9, 20, generator=generator(2)),
)


def query_network(**changes) -> QueryNetwork:
    torch.manual_seed(0)
    return QueryNetwork(dataclasses.replace(QUERY, **changes), text_width=12, token_width=20).eval()


def test_each_name_is_answered_for_each_record_in_any_order_and_batch():
    network = query_network()
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        together = network(NAMES, TOKENS)
        apart = torch.cat([network(NAMES[order], TOKENS[i : i + 1]) for i in range(3)])
    assert together.shape == (3, 5)
    torch.testing.assert_close(together[:, order], apart, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("self_attention", [True, False])
def test_self_attention_decides_whether_a_score_depends_on_the_other_names(self_attention):
    network = query_network(self_attention=self_attention)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    with torch.no_grad():
        alone, beside = network(NAMES[:2], TOKENS), network(NAMES, TOKENS)[:, :2]
    assert torch.allclose(alone, beside, atol=1e-5) is not self_attention


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2])
def test_in_a_context_a_name_sees_the_context_and_no_other_name(layers):
    network, context = query_network(layers=layers), torch.randn(4, 12, generator=generator(3))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    memory = network.read(TOKENS)
    together = network.answer(NAMES, memory, context)
    alone = [network.answer(name, memory, context) for name in NAMES.split(1)]
    torch.testing.assert_close(torch.cat(alone, 1), together)
    assert not torch.allclose(network.answer(NAMES, memory, context[:3]), together, atol=1e-3)
    seen = [network.answer(torch.cat([context, name]), memory)[:, 4:] for name in NAMES.split(1)]
    # in deeper layers the context would have seen the name
    assert torch.allclose(torch.cat(seen, 1), together, atol=1e-5) is (layers == 1)


def test_a_two_way_head_answers_with_present_less_absent():
    network = query_network(head="two_way")
    assert network.classify.weight.shape == (2, 16)
    with torch.no_grad():
        found = network(NAMES, TOKENS)
        difference = network.classify.weight[1] - network.classify.weight[0]
        network.classify = torch.nn.Linear(16, 1, bias=False)
        network.classify.weight.copy_(difference)
        torch.testing.assert_close(network(NAMES, TOKENS), found)
        assert found.shape == (3, 5)
        assert found.abs().min() > 0


def test_a_shared_norm_is_one_object_on_tokens_names_and_answers():
    network = query_network(shared_norm=True)
    assert network.state_dict().keys() == query_network().state_dict().keys()
    seen = []
    network.norm.register_forward_hook(lambda module, given, result: seen.append(given[0].shape))
    with torch.no_grad():
        found = network(NAMES, TOKENS)
        assert seen == [(3, 9, 16), (5, 16), (3, 5, 16)]
        norm, apart = network.norm, query_network()
        apart.embed_token = torch.nn.Sequential(apart.embed_token, norm)
        apart.embed_query = torch.nn.Sequential(apart.embed_query, norm)
        torch.testing.assert_close(found, apart(NAMES, TOKENS))
        assert not torch.allclose(found, query_network()(NAMES, TOKENS), atol=1e-3)


@pytest.mark.parametrize("heads", [1, 3, 5, 16])
def test_any_number_of_heads_attends_each_by_itself(heads):
    """Table 6c has 3 and 5 heads, which divide no usual width."""
    network = query_network(heads=heads, layers=1, self_attention=False)
    attend = network.layers[0].attend_tokens
    query, key = torch.randn(1, 5, 16), torch.randn(2, 9, 16)
    memory = attend.read(key)
    assert memory[0].shape == (2, heads, 9, -(-16 // heads))
    mixed = []
    for head, (keys, values) in enumerate(zip(*(side.unbind(1) for side in memory), strict=True)):
        size = keys.shape[-1]
        asked = attend.query(query)[..., head * size : (head + 1) * size]
        mixed.append((asked @ keys.transpose(1, 2) / size**0.5).softmax(-1) @ values)
    torch.testing.assert_close(attend(query, memory), attend.out(torch.cat(mixed, -1)))
    assert network(NAMES, TOKENS).shape == (3, 5)


def test_masked_range_of_each_strategy():
    mask = MaskParams("dynamic", 9, 11, "group", 0.25, per_lead=True)
    assert mask.masked_range == (9, 11)
    assert dataclasses.replace(mask, leads="fixed").masked_range == (9, 9)
    assert dataclasses.replace(mask, leads="none").masked_range == (0, 0)


# ---------------------------------------------------------------- encoders of twelve leads, heads

EVERY_LEAD = torch.arange(12).expand(2, -1)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("size", "width"), [("nano", 128), ("micro", 192), ("tiny", 512)])
def test_resnet_has_the_shape_of_merls(size, width):
    encoder = ResNet(dataclasses.replace(ENCODER, size=size)).eval()
    assert encoder.width == width
    with torch.no_grad():
        assert encoder(torch.randn(2, 12, 5000), EVERY_LEAD).shape == (2, 313, width)


def test_resnet18_counts_what_its_eight_blocks_need():
    first, stages = 12 * 64 * 7, 0
    for stage, width in enumerate((64, 128, 256, 512)):
        before = 64 if stage == 0 else width // 2
        stages += before * width * 3 + 3 * width * width * 3 + 4 * 2 * width
        stages += (before * width + 2 * width) if stage else 0
    assert parameters(ResNet(dataclasses.replace(ENCODER, size="base"))) == first + 2 * 64 + stages


def test_a_residual_block_adds_its_shortcut():
    block = ResNet(ENCODER).layers[3]
    nn.init.zeros_(block.norm.weight)
    features = torch.randn(2, 16, 40)
    torch.testing.assert_close(block(features), features.relu())


def test_vit_has_merls_tokens_and_size():
    encoder = TwelveLeadViT(dataclasses.replace(ENCODER, size="tiny"), 5000)
    assert encoder(torch.randn(2, 12, 5000), EVERY_LEAD).shape == (2, 100, 192)
    assert 5.4e6 < parameters(encoder) < 5.55e6  # MERL's: 5.47 million
    assert 0.9 < encoder.tokenizer.temporal.std() < 1.1
    with pytest.raises(ValueError, match="520 samples"):
        TwelveLeadViT(ENCODER, 520)


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
