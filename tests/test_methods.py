"""What every method of kmerl/methods promises; a new file there is tested without a word here."""

import importlib
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kmerl import distributed, methods, params
from kmerl.leads import LEADS
from kmerl.models.masking import draw_segments
from kmerl.models.vit import pool
from kmerl.training import session
from kmerl.training.model import load, save, sections_of
from tests.cohorts import write_cohort
from tests.import_closure import ROOT
from tests.methods import DEMO, NAMES, RECORDS, SAMPLES, batch, config, small
from tests.processes import in_two_processes
from tests.test_training import values

EVERY = pytest.mark.parametrize("name", NAMES)
TRAINED_NAMES = [
    name
    for name in NAMES
    if not hasattr(importlib.import_module(f"kmerl.methods.{name}").Method, "untrained")
]
TRAINED = pytest.mark.parametrize("name", TRAINED_NAMES)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


# ---------------------------------------------------------------- the file


@EVERY
def test_a_method_is_one_file_that_needs_no_other_method(name):
    source = (ROOT / "kmerl" / "methods" / f"{name}.py").read_text(encoding="utf-8")
    # dvc.yaml depends on the chosen method's file alone
    assert "kmerl.methods" not in source.replace("`", "")


@EVERY
def test_options_have_defaults_and_an_unknown_one_lists_them(name):
    known = getattr(importlib.import_module(f"kmerl.methods.{name}"), "Options", None)
    names = ", ".join(known.__dataclass_fields__) if known else "it has none"
    with pytest.raises(params.ParamsError, match=f"options.tmperature: method '{name}'.*{names}"):
        sections_of(name, {**DEMO, "options": {"tmperature": 1}})
    assert sections_of(name, DEMO) == sections_of(name, {**DEMO, "options": {}})


def test_options_of_a_wrong_type_are_named():
    with pytest.raises(
        params.ParamsError, match=r"options\.temperature is 'hot'; it must be float"
    ):
        small("simclr", temperature="hot")
    with pytest.raises(params.ParamsError, match=r"options is None; it must be a mapping"):
        sections_of("simclr", {**DEMO, "options": None})


def test_the_rate_of_a_methods_options_is_the_records_own():
    """astcl filters in Hz; at another rate than the records' its bands would be others."""
    slower = {**DEMO, "ingest": {**DEMO["ingest"], "rate": 250}}
    asked = [name for name in NAMES if "rate" in sections_of(name, DEMO).get("options", {})]
    assert "astcl" in asked
    for name in asked:
        assert sections_of(name, slower)["options"]["rate"] == 250
        assert sections_of(name, {**slower, "options": {"rate": 250}})["options"]["rate"] == 250
        with pytest.raises(params.ParamsError, match=r"options\.rate is 500, .*ingest\.rate=250"):
            sections_of(name, {**slower, "options": {"rate": 500}})


# ---------------------------------------------------------------- the encoder


@EVERY
@pytest.mark.parametrize("leads", [("I",), ("V6", "II"), LEADS[::-1]])
def test_any_leads_in_any_order_are_encoded(name, leads):
    model = small(name).eval()
    place = torch.tensor([[LEADS.index(lead) for lead in leads]]).expand(RECORDS, -1)
    signal = batch().signal.gather(1, place.unsqueeze(2).expand(-1, -1, SAMPLES))
    ordered, order = place.sort(dim=1)
    sorted_signal = signal.gather(1, order.unsqueeze(2).expand(-1, -1, SAMPLES))
    with torch.no_grad():
        features = pool(model.encoder(signal, place))
        same = pool(model.encoder(sorted_signal, ordered))
        other = pool(model.encoder(signal, (place + 1) % len(LEADS)))
    assert features.shape == (RECORDS, model.encoder.width)
    torch.testing.assert_close(features, same, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(features, other, atol=1e-3)


@EVERY
def test_a_saved_model_is_the_same_model(name, tmp_path):
    model = small(name)
    model(batch(), generator())  # moves running statistics
    save(tmp_path, config(name), model)
    again_config, again = load(tmp_path)
    assert again_config == config(name)
    state = model.state_dict()
    assert again.state_dict().keys() == state.keys()
    assert all(torch.equal(state[key], value) for key, value in again.state_dict().items())


# ---------------------------------------------------------------- training


@TRAINED
def test_chance_comes_from_the_generator_alone(name):
    model = small(name)
    torch.manual_seed(1)
    one = total(model(batch(), generator()))
    torch.manual_seed(2)
    assert torch.equal(total(model(batch(), generator())), one)


@TRAINED
def test_steps_lower_the_loss(name):
    model = small(name)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for step in range(20):
        _advance(model, step / 20)
        loss = total(model(batch(), generator(step)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < sum(losses[:5]) - 0.02 * abs(sum(losses[:5]))


def _advance(model: nn.Module, progress: float) -> None:
    with torch.no_grad():
        model.advance(progress)


def two_steps(rank: int, processes: int, name: str) -> dict[str, dict[str, Tensor]]:
    """Loss terms, gradients and state after two steps on this process's rows, in float64."""
    module = importlib.import_module(f"kmerl.methods.{name}")
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(module, "two_views"):
            patch.setattr(module, "two_views", lambda signal, *_: (signal, signal.flip(-1)))
        if hasattr(module, "draw_segments"):  # the same patches of every record
            patch.setattr(
                module, "draw_segments", lambda n, *rest: draw_segments(1, *rest).expand(n, -1)
            )
        model = small(name).double()
        network: nn.Module = model
        if processes > 1:
            network = DistributedDataParallel(model, find_unused_parameters=True)
        optimiser = torch.optim.SGD(model.parameters(), 0.01)
        share = RECORDS // processes
        rows = slice(rank * share, (rank + 1) * share)
        values = {}
        for step in (0, 1):
            _advance(model, step / 2)
            terms = network(batch(rows, torch.float64), generator())
            optimiser.zero_grad()
            total(terms).backward()
            optimiser.step()
            values |= {f"{term}{step}": distributed.mean(v) for term, v in terms.items()}
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return {"values": values, "gradients": gradients, "state": model.state_dict()}


def two_steps_of_every_method(rank: int) -> dict[str, dict[str, dict[str, Tensor]]]:
    return {name: two_steps(rank, 2, name) for name in TRAINED_NAMES}


@pytest.fixture(scope="module")
def in_two():
    return in_two_processes(two_steps_of_every_method)


@TRAINED
def test_two_processes_equal_one(name, in_two):
    alone = two_steps(0, 1, name)
    for rank in (0, 1):
        for part, expected in alone.items():
            assert in_two[rank][name][part].keys() == expected.keys()
            for key, value in expected.items():
                close = {"rtol": 1e-7, "atol": 1e-10, "msg": lambda m, key=key: f"{key}: {m}"}
                torch.testing.assert_close(in_two[rank][name][part][key], value, **close)
    for key, gradient in alone["gradients"].items():
        assert "bias" in key or gradient.abs().max() > 0, key


# ---------------------------------------------------------------- from params.yaml to models/


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "_live", lambda: None)
    write_cohort(tmp_path)
    return tmp_path


def train(root: Path, **chosen):
    whole = {**values(pretrain__epochs=2), **chosen}
    session.Session.from_params(whole, Path("data")).train(root, "cpu")
    config, model = load(root / "models")
    metrics = json.loads((root / "metrics" / "pretrain.json").read_text())
    return config, model, metrics


@EVERY
def test_every_method_trains_from_params_alone(here, name):
    options = {k: v for k, v in config(name).sections.get("options", {}).items() if k != "rate"}
    trained, model, metrics = train(here, method=name, options=options)
    assert trained.method == name
    watched = ["feature"] + ["projection"] * hasattr(model, "projector")
    monitors = {f"{what}_{number}" for what in watched for number in ("std", "rank")}
    assert {"loss", "val_loss", *monitors} <= metrics.keys()
    with torch.no_grad():
        tokens = model.encoder(torch.randn(2, 3, trained.samples), torch.tensor([[0, 5, 9]] * 2))
    assert pool(tokens).shape == (2, model.encoder.width)


TOY = """
from dataclasses import dataclass
from kmerl import methods
from kmerl.models.backbone import twelve_lead_encoder
from kmerl.models.vit import EncoderParams, pool

@dataclass(frozen=True)
class Options:
    weight: float = 2.0

@dataclass(frozen=True)
class MethodParams:
    encoder: EncoderParams
    options: Options

class Method(methods.Method):
    def __init__(self, params, entities, record_samples):
        super().__init__()
        self.weight, self.progress = params.options.weight, []
        self.encoder = twelve_lead_encoder("resnet18", params.encoder, record_samples)

    def forward(self, batch, generator):
        assert batch.signal.shape[1] == 12
        return {"toy": self.weight * pool(self.encoder(batch.signal, batch.leads)).square().mean()}

    def advance(self, progress):
        seen.append(progress)

seen = []
"""


def test_a_method_is_one_new_file(here, monkeypatch):
    folder = here / "more"
    folder.mkdir()
    (folder / "toy_of_a_test.py").write_text(TOY)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(folder)])
    config, _, metrics = train(here, method="toy_of_a_test", options={"weight": 3})
    assert config.sections["options"] == {"weight": 3}
    assert metrics["loss"] == metrics["toy"] > 0
    steps = 2 * (metrics["pairs"] // 8)
    seen = importlib.import_module("kmerl.methods.toy_of_a_test").seen
    assert seen == [step / steps for step in range(steps)]
