"""CRT and ST-MEM: what is dropped, what reaches the encoder, and what is compared with what."""

import dataclasses
import itertools

import pytest
import torch
from torch import nn

from kmerl.methods import st_mem
from kmerl.methods.crt import CrossDomainEncoder, instance_discrimination, spectral_domains
from kmerl.methods.st_mem import (
    LeadPatchEncoder,
    dropped_error,
    normalised_patches,
    sine_positions,
)
from tests.gradients import generator, same_in_value_and_gradient, total
from tests.methods import NANO, RECORDS, SAMPLES, batch, small
from tests.test_losses import cosine

PATCH = 50  # of tests.methods.SMALL


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(sum(shape)), dtype=torch.float64)


# ---------------------------------------------------------------- losses


def test_error_of_dropped_patches_equals_the_loop():
    predicted, target = drawn(2, 2, 5, 2).requires_grad_(), drawn(2, 2, 5, 2) + 1
    kept = torch.tensor([[[0, 3], [2, 1]], [[4, 0], [3, 4]]])
    errors = [
        (predicted[record, lead, patch] - target[record, lead, patch]).square()
        for record, lead, patch in itertools.product(range(2), range(2), range(5))
        if patch not in kept[record, lead].tolist()
    ]
    expected = torch.cat(errors).mean()
    same_in_value_and_gradient(dropped_error(predicted, target, kept), expected, (predicted,))


def test_a_target_patch_has_mean_0_and_unbiased_deviation_1():
    patches = drawn(3, 2, 4, 30) * 7 + 100
    target = normalised_patches(patches)
    torch.testing.assert_close(target.mean(dim=-1), torch.zeros_like(target[..., 0]))
    torch.testing.assert_close(target.std(dim=-1), torch.ones_like(target[..., 0]))
    torch.testing.assert_close(normalised_patches(3 * patches - 5), target)
    assert not normalised_patches(torch.full((2, 30), 1.5)).any()


def loop_discrimination(given, encoded):
    total, places = 0.0, list(itertools.permutations(range(given.shape[1]), 2))
    for before, after in zip(given, encoded, strict=True):
        total = total + sum(cosine(before[i], after[j]).exp() for i, j in places).log()
    return total / len(given)


@pytest.mark.parametrize("tokens", [2, 7])
def test_instance_discrimination_equals_the_loop(tokens):
    given = drawn(3, tokens, 4).requires_grad_()
    encoded = (given.detach() + 1).requires_grad_()
    loss = instance_discrimination(given, encoded)
    same_in_value_and_gradient(loss, loop_discrimination(given, encoded), (given, encoded))


# ---------------------------------------------------------------- ST-MEM


def test_three_quarters_of_each_leads_patches_are_dropped():
    model = st_mem.Method(NANO, st_mem.Options(), 5000)
    assert model.encoder.segments == 33
    whole = dataclasses.replace(batch(), signal=torch.zeros(RECORDS, 12, 5000))
    kept = model._kept(whole, generator())
    assert kept.shape == (RECORDS, 12, 8)  # floor(33 / 4)
    assert (kept.diff(dim=2) > 0).all() and kept.min() >= 0 and kept.max() < 33
    assert len(kept.flatten(0, 1).unique(dim=0)) > RECORDS * 12 - 3  # drawn lead by lead


def test_nothing_of_a_dropped_patch_reaches_the_encoder_of_st_mem():
    model, shown = small("st_mem"), batch()
    kept = model._kept(shown, generator())
    clean = model.encoder(shown.signal, shown.leads, kept)
    assert clean.shape == (RECORDS, 12 * 2, 96)  # 2 of 8 patches; separators are left out
    dropped = torch.ones(RECORDS, 12, 8).scatter(2, kept, 0.0).bool()
    assert dropped.sum() == RECORDS * 12 * 6
    poison = shown.signal.masked_fill(dropped.repeat_interleave(PATCH, dim=2), torch.nan)
    assert torch.equal(model.encoder(poison, shown.leads, kept), clean)
    kept_poison = shown.signal.masked_fill(~dropped.repeat_interleave(PATCH, dim=2), torch.nan)
    assert model.encoder(kept_poison, shown.leads, kept).isnan().all()


def test_kept_patches_have_the_positions_they_had():
    encoder, shown = small("st_mem").encoder, batch()
    every = torch.arange(8).expand(RECORDS, 12, -1)
    whole = encoder(shown.signal, shown.leads)
    torch.testing.assert_close(encoder(shown.signal, shown.leads, every), whole)
    turned = encoder(shown.signal, shown.leads, every.flip(2)).unflatten(1, (12, 8)).flip(2)
    torch.testing.assert_close(turned.flatten(1, 2), whole, atol=1e-5, rtol=1e-5)


def test_a_separator_stands_at_both_ends_of_each_lead():
    encoder, shown = small("st_mem").encoder, batch()
    encoder.blocks, encoder.norm = nn.Sequential(), nn.Identity()
    tokens = encoder.encode(shown.signal, shown.leads, None)
    assert tokens.shape == (RECORDS, 12, 1 + 8 + 1, 96)
    assert torch.equal(tokens[0, :, 0], encoder.separator + encoder.lead)
    assert torch.equal(tokens[0, :, -1], tokens[0, :, 0])
    assert torch.equal(encoder(shown.signal, shown.leads), tokens[:, :, 1:-1].flatten(1, 2))


def test_the_decoder_reads_lead_by_lead_and_puts_each_token_in_its_own_place():
    decoder, kept = small("st_mem").decoder, torch.tensor([6, 1]).expand(1, 3, -1)
    encoded = torch.randn(1, 3, 2 + 2, 96, requires_grad=True)

    def reached(patch):
        found = decoder(encoded, kept)[0, 1, patch].square().sum()
        return torch.autograd.grad(found, encoded)[0][0].abs().sum(dim=2) > 0

    assert decoder(encoded, kept).shape == (1, 3, 8, PATCH)
    assert reached(0).tolist() == [[False] * 4, [True] * 4, [False] * 4]
    decoder.blocks = nn.Sequential()
    for patch in range(8):
        assert reached(patch)[1].nonzero().flatten().tolist() == {6: [1], 1: [2]}.get(patch, [])


def test_the_loss_of_st_mem_is_the_error_of_what_it_predicts():
    model, shown = small("st_mem"), batch()
    kept = model._kept(shown, generator())
    predicted = model.decoder(model.encoder.encode(shown.signal, shown.leads, kept), kept)
    target = normalised_patches(shown.signal.unflatten(2, (8, PATCH)))
    expected = dropped_error(predicted, target, kept)
    terms = model(shown, generator())
    assert terms.keys() == {"reconstruction"}
    torch.testing.assert_close(terms["reconstruction"], expected)


def test_where_patches_do_not_fill_a_record_its_ends_are_not_read():
    encoder = LeadPatchEncoder(NANO, 5000, 150)
    signal = torch.randn(1, 2, 5000, requires_grad=True)
    tokens = encoder(signal, torch.tensor([[6, 1]]))
    assert tokens.shape == (1, 2 * 33, 96)
    tokens.square().sum().backward()
    read = signal.grad.abs().sum(dim=(0, 1)).nonzero().flatten()
    assert (read.min(), read.max(), len(read)) == (25, 4974, 4950)
    with pytest.raises(ValueError, match="4000 samples; this encoder was made for 5000"):
        encoder(torch.randn(1, 2, 4000), torch.tensor([[6, 1]]))


def test_positions_of_st_mem_are_sines_of_ever_longer_waves():
    angle = torch.arange(30).unsqueeze(1) / torch.tensor([1, 10, 100, 1000])
    expected = torch.cat([angle.sin(), angle.cos()], dim=1)
    torch.testing.assert_close(sine_positions(30, 8), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "expected"), [("nano", (96, 3)), ("small", (256, 4))])
def test_a_decoder_is_no_wider_than_its_encoder(size, expected):
    params = dataclasses.replace(NANO, size=size)
    block = st_mem.LeadDecoder(params, st_mem.Options(), 8).blocks[0]
    assert (block.out.out_features, block.heads) == expected


# ---------------------------------------------------------------- CRT


def test_domains_are_standardised_and_leads_go_by_name():
    leads = torch.tensor([[7, 1, 4]]).expand(5, -1)
    signal = drawn(5, 3, SAMPLES) * 3 + 8
    domains = spectral_domains(signal, leads)
    assert [domain.shape for domain in domains] == [(5, 12, 400), (5, 12, 200), (5, 12, 200)]
    for domain in domains:
        given = domain[:, [7, 1, 4]]
        torch.testing.assert_close(given.mean(dim=(1, 2)), torch.zeros(5).double())
        deviation = given.std(dim=(1, 2), correction=0)
        torch.testing.assert_close(deviation, torch.ones(5).double(), atol=1e-5, rtol=0)
        assert not domain[:, [lead for lead in range(12) if lead not in (7, 1, 4)]].any()
    centred = signal - signal.mean(dim=(1, 2), keepdim=True)
    expected = centred / centred.std(dim=(1, 2), correction=0, keepdim=True)
    torch.testing.assert_close(domains[0][:, [7, 1, 4]], expected, atol=1e-5, rtol=1e-5)
    same = spectral_domains(5 * signal - 3, leads)
    torch.testing.assert_close(domains, same, atol=1e-5, rtol=1e-5)


def test_spectrum_has_a_waves_frequency_and_phase():
    steps = torch.arange(SAMPLES, dtype=torch.float64) / SAMPLES
    turns = (2 * torch.pi * (steps * 9 + shift) for shift in (0.0, 0.25, 0.5))
    signal = torch.stack([torch.cos(turn) for turn in turns]).unsqueeze(0)
    signal = signal + 1e-3 * drawn(1, 3, SAMPLES)  # elsewhere the phase would be rounding
    _, magnitude, phase = spectral_domains(signal, torch.tensor([[0, 1, 2]]))
    assert magnitude[0, :3].argmax(dim=1).tolist() == [8, 8, 8]  # frequency 0 is left out
    zero, quarter, half = phase[0, :3, 8]
    torch.testing.assert_close((half - zero).abs(), 2 * (quarter - zero), atol=0.02, rtol=0.02)


def test_the_share_that_is_dropped_grows_with_training_and_is_the_last_in_validation():
    model, shown = small("crt", patch=4), batch()  # 100 + 50 + 50 patches
    for progress, kept in {0.0: 70, 0.29: 70, 0.5: 50, 0.65: 35, 0.81: 20, 0.99: 20}.items():
        model.advance(progress)
        time, magnitude, phase = model.train()._kept(shown, generator())
        assert time.shape == (RECORDS, kept)
        assert magnitude.shape == (RECORDS, kept // 2)
        assert torch.equal(magnitude, phase)
        assert (time.diff(dim=1) > 0).all() and time.min() >= 0 and time.max() < 100
        assert len(time.unique(dim=0)) == RECORDS
        assert model.eval()._kept(shown, generator())[0].shape == (RECORDS, 20)


def crt_parts():
    model, shown = small("crt").eval(), batch()
    return model, model.encoder.cut(shown.signal, shown.leads), model._kept(shown, generator())


def test_patches_are_in_the_order_of_time_and_frequency():
    _, patches, _ = crt_parts()
    assert [tuple(part.shape[1:]) for part in patches] == [(8, 12, 50), (4, 12, 50), (4, 12, 50)]
    shown = batch()
    for part, domain in zip(patches, spectral_domains(shown.signal, shown.leads), strict=True):
        assert torch.equal(part[:, 2], domain[:, :, 100:150])
    encoder = CrossDomainEncoder(NANO, 500, 20)  # 12.5 patches of a spectrum: 12 are read
    counts = [len(part[0]) for part in encoder.cut(torch.randn(1, 12, 500), shown.leads[:1])]
    assert counts == [25, 12, 12]


def test_nothing_of_a_dropped_patch_reaches_the_encoder_of_crt():
    model, patches, kept = crt_parts()
    clean = model.encoder.encode(patches, kept)
    assert clean.tokens.shape == clean.given.shape == (RECORDS, 1 + 1 + 1, 96)  # a fifth
    poison = []
    for part, place in zip(patches, kept, strict=True):
        shown = torch.zeros(part.shape[:2]).scatter(1, place, 1.0).bool()
        poison.append(part.masked_fill(~shown[..., None, None], torch.nan))
    found = model.train().encoder.encode(poison, kept)
    assert all(value.isfinite().all() for value in vars(found).values())
    assert all(buffer.isfinite().all() for buffer in model.buffers())
    found = crt_parts()[0].encoder.encode(poison, kept)
    assert all(torch.equal(value, getattr(clean, key)) for key, value in vars(found).items())


def test_kept_patches_have_their_own_position_and_domain():
    model, patches, _ = crt_parts()
    every = [torch.arange(part.shape[1]).expand(RECORDS, -1) for part in patches]
    whole = model.encoder.encode(patches)
    torch.testing.assert_close(model.encoder.encode(patches, every).tokens, whole.tokens)
    turned = model.encoder.encode(patches, [places.flip(1) for places in every])
    for name in ("tokens", "given"):
        parts = getattr(turned, name).split([part.shape[1] for part in patches], dim=1)
        found = torch.cat([part.flip(1) for part in parts], dim=1)
        torch.testing.assert_close(found, getattr(whole, name), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(turned.summaries, whole.summaries, atol=1e-5, rtol=1e-5)
    alone = model.encoder.encode([part[5:6] for part in patches])
    torch.testing.assert_close(alone.tokens[0], whole.tokens[5], atol=1e-5, rtol=1e-5)
    summaries = model.encoder(batch().signal, batch().leads)  # their mean is the feature
    assert summaries.shape == (RECORDS, 3, 96)
    assert torch.equal(summaries, whole.summaries)


def test_the_decoder_of_crt_predicts_each_patch_in_its_own_place():
    """The public code compares predictions of kept patches with targets of dropped ones."""
    model, patches, _ = crt_parts()
    model.decoder.blocks = nn.Sequential()
    places = [torch.tensor([[6, 1]]), torch.tensor([[3]]), torch.tensor([[0]])]
    encoded = model.encoder.encode([part[:1] for part in patches], places)
    tokens = encoded.tokens.detach().requires_grad_()
    predicted = model.decoder(dataclasses.replace(encoded, tokens=tokens), places)
    assert [part.shape for part in predicted] == [part[:1].shape for part in patches]
    expected = {6: [0], 1: [1], 8 + 3: [2], 8 + 4 + 0: [3]}  # by patch of all domains
    for place, patch in enumerate(torch.cat(predicted, dim=1)[0]):
        (gradient,) = torch.autograd.grad(patch.square().sum(), tokens, retain_graph=True)
        reached = gradient[0].abs().sum(dim=1).nonzero().flatten().tolist()
        assert reached == expected.get(place, [])


def test_the_loss_of_crt_is_the_error_of_all_patches_and_the_constraint():
    _, patches, kept = crt_parts()
    model, shown = small("crt", constraint=0.5).eval().requires_grad_(False), batch()
    terms = model(shown, generator())
    encoded = model.encoder.encode(patches, kept)
    predicted = model.decoder(encoded, kept)
    pairs = zip(predicted, patches, strict=True)
    errors = torch.cat([(part - target).square().flatten() for part, target in pairs])
    assert len(errors) == RECORDS * 12 * SAMPLES * 2
    torch.testing.assert_close(terms["reconstruction"], errors.mean())
    given, after = model.project_given(encoded.given), model.project_encoded(encoded.tokens)
    torch.testing.assert_close(terms["constraint"], 0.5 * loop_discrimination(given, after))
    assert small("crt", constraint=0.0)(shown, generator()).keys() == {"reconstruction"}


# ---------------------------------------------------------------- both


@pytest.mark.parametrize("name", ["crt", "st_mem"])
def test_both_train_in_mixed_precision_and_on_flat_records(name):
    model, shown = small(name), batch()
    with torch.autocast("cpu", torch.bfloat16):
        loss = total(model(shown, generator()))
    loss.backward()
    whole = total(small(name)(shown, generator()))
    assert loss.item() == pytest.approx(whole.item(), rel=0.05)
    flat = dataclasses.replace(shown, signal=torch.full_like(shown.signal, 0.3))
    assert total(model(flat, generator())).isfinite()


@pytest.mark.parametrize(
    ("kind", "samples", "patch"),
    [(LeadPatchEncoder, 200, 150), (CrossDomainEncoder, 400, 30), (CrossDomainEncoder, 400, 400)],
)
def test_patches_that_cannot_be_are_refused(kind, samples, patch):
    with pytest.raises(ValueError, match=rf"options\.patch={patch}: a record of {samples}"):
        kind(NANO, samples, patch)
