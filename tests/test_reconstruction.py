"""CRT and ST-MEM: what is dropped, what reaches the encoder, and what is compared with what."""

import dataclasses
import itertools

import pytest
import torch

from kmerl.methods import st_mem
from kmerl.methods.crt import CrossDomainEncoder, spectral_domains
from kmerl.methods.st_mem import LeadPatchEncoder, normalised_patches, sine_positions
from tests.gradients import generator, same_in_value_and_gradient, total
from tests.methods import NANO, RECORDS, SAMPLES, batch, small
from tests.test_losses import cosine

PATCH = 50  # of tests.methods.SMALL


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(sum(shape)), dtype=torch.float64)


# ---------------------------------------------------------------- ST-MEM


def test_a_target_patch_has_mean_0_and_unbiased_deviation_1():
    patches = drawn(3, 2, 4, 30) * 7 + 100
    target = normalised_patches(patches)
    torch.testing.assert_close(target.mean(dim=-1), torch.zeros_like(target[..., 0]))
    torch.testing.assert_close(target.std(dim=-1), torch.ones_like(target[..., 0]))
    torch.testing.assert_close(normalised_patches(3 * patches - 5), target)
    assert not normalised_patches(torch.full((2, 30), 1.5)).any()


def loop_st_mem(model, shown, kept):
    """One record and one lead after the other, from the patches that are kept."""
    encoder, decoder, errors = model.encoder, model.decoder, []
    time = sine_positions(8, 96).double()
    signal = shown.signal.unflatten(2, (8, PATCH))
    for traces, leads, places in zip(signal, shown.leads, kept, strict=True):
        rows = []
        for trace, lead, place in zip(traces, leads, places, strict=True):
            tokens = encoder.embed(trace[place]) + time[place]
            row = torch.stack([encoder.separator, *tokens, encoder.separator])
            rows.append(row + encoder.lead[lead])
        encoded = encoder.norm(encoder.blocks(torch.stack(rows).view(1, -1, 96))).view(12, -1, 96)
        for trace, row, place in zip(traces, encoded, places, strict=True):
            first, *tokens, last = decoder.enter(row)
            patches = [decoder.mask] * 8
            for patch, token in zip(place, tokens, strict=True):
                patches[patch] = token
            whole = torch.stack([first, *(torch.stack(patches) + time), last])
            predicted = decoder.leave(decoder.norm(decoder.blocks(whole[None])))[0, 1:-1]
            dropped = [patch for patch in range(8) if patch not in place]
            errors.append((predicted - normalised_patches(trace))[dropped].square().mean())
    return torch.stack(errors).mean()


def test_st_mem_equals_its_loop_and_its_feature_leaves_separators_out():
    model, shown = small("st_mem").double(), batch(slice(0, 2), torch.float64)
    terms, kept = model(shown, generator()), model._kept(shown, generator())
    assert terms.keys() == {"reconstruction"}
    weights = list(model.parameters())
    same_in_value_and_gradient(terms["reconstruction"], loop_st_mem(model, shown, kept), weights)
    tokens = model.encoder.encode(shown.signal, shown.leads, torch.arange(8).expand(2, 12, -1))
    found = model.encoder(shown.signal, shown.leads)
    torch.testing.assert_close(found, tokens[:, :, 1:-1].flatten(1, 2))


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
    assert clean.shape == (RECORDS, 12 * 2, 96)  # 2 of 8 patches
    dropped = torch.ones(RECORDS, 12, 8).scatter(2, kept, 0.0).bool()
    poison = shown.signal.masked_fill(dropped.repeat_interleave(PATCH, dim=2), torch.nan)
    assert torch.equal(model.encoder(poison, shown.leads, kept), clean)


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


def loop_crt(model, shown, kept):
    """One record and one patch after the other; of all pairs of places, how alike they are."""
    encoder, decoder, errors, alike = model.encoder, model.decoder, [], []
    domains = [
        domain.unflatten(2, (-1, 25)) for domain in spectral_domains(shown.signal, shown.leads)
    ]
    for record in range(len(shown.signal)):
        given, tokens, whole = [], [], []
        for domain, values, places in zip(encoder.domains, domains, kept, strict=True):
            tokens.append(domain.summary + domain.kind)
            for place in places[record]:
                given.append(domain.network(values[record, None, :, place]).mean(dim=2)[0])
                tokens.append(given[-1] + domain.position[place] + domain.kind)
        encoded = encoder.norm(encoder.blocks(torch.stack(tokens)[None]))[0]
        parts = encoded.split([1 + places.shape[1] for places in kept])
        for hidden, part, places in zip(decoder.domains, parts, kept, strict=True):
            rows = [hidden.mask] * len(hidden.position)
            for place, token in zip(places[record], part[1:], strict=True):
                rows[place] = token
            whole += torch.stack(rows) + hidden.position
        summaries = [part[0] for part in parts]
        decoded = decoder.norm(decoder.blocks(torch.stack([*summaries, *whole])[None]))[0, 3:]
        rows = decoded.split([16, 8, 8])
        for leave, values, tokens in zip(decoder.leave, domains, rows, strict=True):
            targets = values[record].transpose(0, 1)
            errors.append((leave(tokens).view(-1, 12, 25) - targets).square().flatten())
        before = model.project_given(torch.stack(given))
        after = model.project_encoded(torch.cat([part[1:] for part in parts]))
        pairs = itertools.permutations(range(len(before)), 2)
        alike.append(sum(cosine(before[i], after[j]).exp() for i, j in pairs).log())
    return torch.cat(errors).mean() + 0.5 * torch.stack(alike).mean()


def test_crt_equals_its_loop():
    """Its public code compares predictions of kept patches with targets of dropped ones."""
    options = {"patch": 25, "drop_last": 0.6, "constraint": 0.5}
    model, shown = small("crt", **options).double().eval(), batch(slice(0, 2), torch.float64)
    terms, kept = model(shown, generator()), model._kept(shown, generator())
    assert [places.shape for places in kept] == [(2, 6), (2, 3), (2, 3)]  # of 16, 8 and 8
    reference = loop_crt(model, shown, kept)
    same_in_value_and_gradient(total(terms), reference, list(model.parameters()))
    assert small("crt", constraint=0.0)(batch(), generator()).keys() == {"reconstruction"}


def test_nothing_of_a_dropped_patch_reaches_the_encoder_of_crt():
    model, shown = small("crt"), batch()
    patches, kept = model.encoder.cut(shown.signal, shown.leads), model._kept(shown, generator())
    for part, places in zip(patches, kept, strict=True):
        there = torch.zeros(part.shape[:2]).scatter(1, places, 1.0).bool()
        part.masked_fill_(~there[..., None, None], torch.nan)
    found = model.encoder.encode(patches, kept)
    assert all(value.isfinite().all() for value in vars(found).values())
    assert all(buffer.isfinite().all() for buffer in model.buffers())


def test_the_feature_of_crt_is_of_whole_patches_and_alike_in_any_batch():
    encoder, shown = small("crt").encoder.eval(), batch()
    summaries = encoder(shown.signal, shown.leads)
    assert summaries.shape == (RECORDS, 3, 96)
    alone = encoder(shown.signal[5:6], shown.leads[5:6])
    torch.testing.assert_close(alone[0], summaries[5], atol=1e-5, rtol=1e-5)
    patches = encoder.cut(shown.signal, shown.leads)
    every = [torch.arange(part.shape[1]).expand(RECORDS, -1) for part in patches]
    torch.testing.assert_close(encoder.encode(patches, every).summaries, summaries)
    encoder = CrossDomainEncoder(NANO, 500, 20)  # 12.5 patches of a spectrum: 12 are read
    counts = [len(part[0]) for part in encoder.cut(torch.randn(1, 12, 500), shown.leads[:1])]
    assert counts == [25, 12, 12]


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
