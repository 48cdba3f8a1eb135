"""Methods of steps, halves and leads (TS-TCC, CLOCS, ASTCL): losses against loops, and parts."""

import importlib
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kmerl import distributed
from kmerl.methods import astcl, clocs
from kmerl.methods.astcl import patient_cosine, reverse_gradient
from kmerl.methods.clocs import patient_contrast
from kmerl.methods.ts_tcc import step_contrast
from kmerl.models.backbone import ResNet
from kmerl.models.foresight import Foresight, ForesightOptions
from kmerl.models.vit import EncoderParams, pool
from kmerl.training.monitors import spread
from tests.methods import RECORDS, SAMPLES, batch, small
from tests.processes import in_two_processes
from tests.test_losses import pairs_of_views, same_in_value_and_gradient

PATIENTS = [3, 8, 3, 1, 8, 3]  # a patient's records on both sides of two processes


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def steps(records: int, count: int, seed: int = 0) -> list[Tensor]:
    drawn = torch.randn(2, records, count, 4, generator=generator(seed), dtype=torch.float64)
    return [half.clone().requires_grad_() for half in drawn]


# ---------------------------------------------------------------- losses against loops


@pytest.mark.parametrize(("records", "count"), [(1, 3), (4, 1), (5, 3)])
def test_step_contrast_equals_the_loop(records, count):
    foretold, future = steps(records, count)
    total = 0.0
    for i in range(records):
        for step in range(count):
            scores = [foretold[i, step] @ future[j, step] for j in range(records)]
            total = total - (scores[i].exp() / sum(score.exp() for score in scores)).log()
    loss = step_contrast(foretold, future)
    same_in_value_and_gradient(loss, total / (records * count), (foretold, future))


def test_step_contrast_of_one_answer_for_all_is_chance():
    same = torch.ones(7, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(step_contrast(same, same).exp(), torch.tensor(7.0).double())


def loop_patient_contrast(one, two, patients, temperature):
    total = 0.0
    for a, b in ((one, two), (two, one)):
        for i, mine in enumerate(patients):
            shares = [(F.cosine_similarity(a[i], o, dim=0) / temperature).exp() for o in b]
            logs = [
                (shares[j] / sum(shares)).log()
                for j, theirs in enumerate(patients)
                if theirs == mine
            ]
            total = total - sum(logs) / len(logs)
    return total / (2 * len(patients))


@pytest.mark.parametrize("patients", [[4], [0, 1, 2, 3], PATIENTS])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_patient_contrast_equals_the_loop(patients, temperature):
    one, two = pairs_of_views(len(patients))
    loss = patient_contrast(one, two, torch.tensor(patients), temperature)
    reference = loop_patient_contrast(one, two, patients, temperature)
    same_in_value_and_gradient(loss, reference, (one, two))


def test_patient_cosine_equals_the_loop_and_stops_at_the_target():
    predicted, target = pairs_of_views(len(PATIENTS))
    total = 0.0
    for i, mine in enumerate(PATIENTS):
        found = [
            F.cosine_similarity(predicted[i], target[j].detach(), dim=0)
            for j, theirs in enumerate(PATIENTS)
            if theirs == mine
        ]
        total = total - sum(found) / len(found)
    loss = patient_cosine(predicted, target, torch.tensor(PATIENTS))
    same_in_value_and_gradient(loss, total / len(PATIENTS), (predicted, target))


def test_what_passes_a_reversal_learns_the_opposite():
    features = torch.randn(3, 4, requires_grad=True)
    weight = torch.randn(3, 4)
    reverse_gradient(features, 0.25).mul(weight).sum().backward()
    assert torch.equal(reverse_gradient(features, 0.25), features)
    torch.testing.assert_close(features.grad, -0.25 * weight)


# ---------------------------------------------------------------- two processes

VARIANTS = [
    ("ts_tcc", {}),
    ("astcl", {}),
    ("clocs", {"views": "cmlc"}),
    ("clocs", {"views": "cmsmlc"}),
]


def losses_of(rows: slice) -> dict[str, Tensor]:
    """Losses over rows of six records, and what they owe those rows."""
    patients = torch.tensor(PATIENTS)[rows]
    found = {}
    for name, inputs, loss in (
        ("step", steps(6, 2), step_contrast),
        ("contrast", pairs_of_views(6), lambda a, b: patient_contrast(a, b, patients, 0.5)),
        ("cosine", pairs_of_views(6), lambda a, b: patient_cosine(a, b, patients)),
    ):
        local = [whole.detach()[rows].requires_grad_() for whole in inputs]
        value = loss(*local)
        value.backward()
        found[name] = value.detach()
        for side, leaf in enumerate(local):
            if leaf.grad is not None:
                found[f"{name} gradient {side}"] = leaf.grad
    return found


def step_of(rank: int, processes: int, name: str, options: dict[str, str]) -> dict[str, Tensor]:
    """Terms and gradients where each process draws from a generator of its own."""
    module = importlib.import_module(f"kmerl.methods.{name}")
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(module, "two_views"):
            patch.setattr(module, "two_views", lambda signal, *_: (signal, signal.flip(2)))
        model = small(name, **options).double()
        model.advance(0.5)
        network: nn.Module = model
        if processes > 1:
            network = DistributedDataParallel(model, find_unused_parameters=True)
        share = RECORDS // processes
        terms = network(
            batch(slice(rank * share, (rank + 1) * share), torch.float64), generator(rank)
        )
        torch.stack(list(terms.values())).sum().backward()
    found = {term: distributed.mean(value) for term, value in terms.items()}
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return found | gradients


def half_of_all(rank: int) -> list[dict[str, Tensor]]:
    steps_of_variants = [step_of(rank, 2, name, options) for name, options in VARIANTS]
    return [losses_of(slice(3 * rank, 3 * rank + 3)), *steps_of_variants]


def test_two_processes_equal_one_whatever_each_draws():
    (first, *one), (second, *two) = in_two_processes(half_of_all)
    for name, expected in losses_of(slice(None)).items():
        if "gradient" in name:  # DDP averages over processes
            torch.testing.assert_close(torch.cat([first[name], second[name]]) / 2, expected)
        else:
            torch.testing.assert_close((first[name] + second[name]) / 2, expected)
    for (name, options), found, other in zip(VARIANTS, one, two, strict=True):
        expected = step_of(0, 1, name, options)
        assert found.keys() == other.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, rtol=1e-7, atol=1e-10)
            torch.testing.assert_close(other[key], value, rtol=1e-7, atol=1e-10)


# ---------------------------------------------------------------- foresight


def foresight(samples: int = 5000, **options: float) -> tuple[ResNet, Foresight]:
    torch.manual_seed(0)
    encoder = ResNet(EncoderParams("nano", "lead", 100, True, True))
    state = {name: value.clone() for name, value in encoder.state_dict().items()}
    made = Foresight(encoder, samples, ForesightOptions(**options))
    assert encoder.training
    assert all(torch.equal(value, encoder.state_dict()[name]) for name, value in state.items())
    return encoder, made


def test_ten_seconds_are_62_steps_of_five_tokens_a_third_of_which_is_foretold():
    _, made = foresight()
    tokens = torch.randn(2, 313, 128)
    cut = made.steps_of(tokens)
    assert (made.steps, made.ahead) == (62, 20)
    torch.testing.assert_close(cut[1, 3], F.normalize(tokens[1, 15:20].mean(dim=0), dim=0))
    assert made.future(cut, 40).shape == (2, 20, 128)
    assert torch.equal(made.future(cut, 41), cut[:, 42:])


def test_context_is_of_the_past_alone():
    _, made = foresight()
    cut = torch.randn(2, 62, 128)
    context, foretold = made(cut, 10)
    assert context.shape == (2, 100)
    assert foretold.shape == (2, 20, 128)
    late, early = cut.clone(), cut.clone()
    late[:, 11:] += 1
    early[:, 10] += 1
    assert torch.equal(made(late, 10)[1], foretold)
    assert not torch.allclose(made(early, 10)[1], foretold, atol=1e-3)


def test_moments_leave_the_steps_that_are_foretold():
    _, made = foresight()
    chance = generator()
    drawn = {made.draw_moment(chance, torch.device("cpu")) for _ in range(1000)}
    assert drawn == set(range(42))


def test_a_record_too_short_to_foretell_is_refused():
    with pytest.raises(ValueError, match=r"options\.ahead=0\.33 of the 1 steps"):
        foresight(samples=16)


# ---------------------------------------------------------------- CLOCS


@pytest.mark.parametrize(("views", "count"), [("cmsc", 2), ("cmlc", 3), ("cmsmlc", 6)])
def test_clocs_averages_all_pairs_of_its_views(views, count, monkeypatch):
    seen = []

    def contrast(one, two, patient, temperature):
        seen.append((one, two))
        return patient_contrast(one, two, patient, temperature)

    monkeypatch.setattr(clocs, "patient_contrast", contrast)
    model = small("clocs", views=views, leads=3)
    whole = batch()
    loss = model(whole, generator())["contrast"]
    drawn = model._views(whole, generator())
    assert len(drawn) == count
    assert len(seen) == count * (count - 1) // 2
    each = [patient_contrast(one, two, whole.patient, 0.1) for one, two in seen]
    torch.testing.assert_close(loss, torch.stack(each).mean())
    halves = whole.signal.chunk(2, dim=2)
    assert [signal.shape[1] for signal, _ in drawn] == [12 if views == "cmsc" else 1] * count
    for (signal, leads), (other, others) in combinations(drawn, 2):
        assert signal.shape == other.shape
        assert not torch.equal(signal, other)
        assert views != "cmlc" or not torch.equal(leads, others)
    for signal, leads in drawn:
        rows = leads[0]
        assert any(torch.equal(signal, half[:, rows]) for half in halves)


def test_one_half_of_all_is_drawn_for_leads():
    model, whole = small("clocs", views="cmlc"), batch()
    first = [
        torch.equal(signal[:, 0], whole.signal[:, int(leads[0, 0]), : SAMPLES // 2])
        for seed in range(20)
        for signal, leads in model._views(whole, generator(seed))
    ]
    assert len(first) == 80
    for seed in range(20):
        assert len(set(first[4 * seed : 4 * seed + 4])) == 1
    assert len(set(first)) == 2


@pytest.mark.parametrize("backbone", ["resnet18", "vit"])
@pytest.mark.parametrize("views", ["cmsc", "cmlc"])
def test_clocs_features_are_means_of_halves_and_of_leads_that_are_read_alone(backbone, views):
    encoder = small("clocs", views=views, backbone=backbone).encoder.eval()
    signal, leads = batch().signal[:, [7, 1, 4]], torch.tensor([[7, 1, 4]]).repeat(RECORDS, 1)
    parts = [[0], [1], [2]] if views == "cmlc" else [[0, 1, 2]]
    with torch.no_grad():
        features = [
            pool(encoder.network(half[:, rows], leads[:, rows]))
            for half in signal.chunk(2, dim=2)
            for rows in parts
        ]
        found = pool(encoder(signal, leads))
    torch.testing.assert_close(found, torch.stack(features).mean(dim=0), atol=1e-5, rtol=1e-4)


def test_clocs_learns_from_leads_too():
    model = small("clocs", views="cmsmlc", leads=2)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for step in range(12):
        loss = model(batch(), generator(step))["contrast"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])


def test_one_lead_cannot_agree():
    with pytest.raises(ValueError, match=r"options\.leads=1"):
        clocs.Options(leads=1)


# ---------------------------------------------------------------- ASTCL


def test_the_encoder_unlearns_what_the_discriminator_learns():
    model = small("astcl")
    features = torch.randn(2, 6, model.encoder.width, generator=generator()).requires_grad_()
    gradients = {}
    for progress in (0.0, 0.1, 1.0):
        model.advance(progress)
        loss = model._told_apart(features[0], features[1])
        gradients[progress] = torch.autograd.grad(loss, features)[0]
    logits = model.discriminator(features).squeeze(2)
    plain = (F.softplus(-logits[0]).mean() + F.softplus(logits[1]).mean()) / 2
    torch.testing.assert_close(loss, plain)
    plain_gradient = torch.autograd.grad(plain, features)[0]
    assert not gradients[0.0].any()
    torch.testing.assert_close(gradients[1.0], -0.1 * plain_gradient, rtol=1e-3, atol=1e-7)
    assert 0.3 < gradients[0.1].norm() / gradients[1.0].norm() < 0.6
    assert "adversary" not in small("astcl", adversary=0.0)(batch(), generator())


def test_the_monitor_sees_astcl_collapse_without_its_guards(monkeypatch):
    """Batch norm, predictor and stop-gradient away: all records become one direction."""

    def features_after_training(guarded: bool) -> float:
        model = small("astcl", backbone="vit", ahead=0.5, context_depth=1, adversary=0.0)
        if not guarded:
            model.projector = nn.Linear(model.encoder.width, 16)
            model.predictor = model.centre = nn.Identity()
        optimiser = torch.optim.Adam(model.parameters(), 3e-3)
        for step in range(15):
            loss = torch.stack(list(model(batch(), generator(step)).values())).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            return spread(pool(model.eval().encoder(batch().signal, batch().leads)))

    assert features_after_training(guarded=True) > 0.3
    monkeypatch.setattr(
        astcl, "negative_cosine", lambda one, two: -F.cosine_similarity(one, two, dim=1).mean()
    )
    monkeypatch.setattr(
        astcl, "patient_cosine", lambda one, two, _: -F.cosine_similarity(one, two, dim=1).mean()
    )
    assert features_after_training(guarded=False) < 0.05
