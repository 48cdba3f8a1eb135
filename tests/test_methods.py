"""What every method of kmerl/methods promises; a new file there is tested without a word here."""

import importlib
from pathlib import Path

import pytest
import torch

from kmerl import methods, params
from kmerl.models.backbone import ResNet, TwelveLeadViT
from kmerl.models.vit import Encoder, LeadEncoder, pool
from kmerl.report import run_charts, run_tables
from kmerl.training import loop
from kmerl.training.checkpoint import NAME as CHECKPOINTS
from kmerl.training.model import initial, load, nudge, save, sections_of
from tests.gradients import descend, generator, total
from tests.import_closure import ROOT
from tests.methods import DEMO, NAMES, RECORDS, TRAINED_NAMES, batch, config, defaults, file, small
from tests.test_training import curves, train

EVERY = pytest.mark.parametrize("name", NAMES)
TRAINED = pytest.mark.parametrize("name", TRAINED_NAMES)


# ---------------------------------------------------------------- the file


@EVERY
def test_a_method_is_one_file_that_fulfils_the_contract_and_needs_no_other_method(name):
    """mypy compares signatures with the contract's."""
    source = (ROOT / "kmerl" / "methods" / f"{name}.py").read_text(encoding="utf-8")
    # dvc.yaml depends on the chosen method's file alone
    assert "kmerl.methods" not in source.replace("`", "")
    assert issubclass(file(name).Method, methods.Method)
    assert isinstance(small(name).encoder, Encoder)


@EVERY
def test_options_have_defaults_and_an_unknown_one_lists_them(name):
    names = ", ".join(defaults(name)) or "it has none"
    with pytest.raises(params.ParamsError, match=f"options.tmperature: method '{name}'.*{names}"):
        sections_of(name, {**DEMO, "options": {"tmperature": 1}})
    with pytest.raises(params.ParamsError, match=f"options.tmperature: method '{name}'"):
        sections_of(name, {**DEMO, "options": {name: {"tmperature": 1}}})
    with pytest.raises(params.ParamsError, match=r"options\.merrl: no method has this.*'merl'"):
        sections_of(name, {**DEMO, "options": {"merrl": {"out": 1}}})
    of_another = {"merl" if name != "merl" else "byol": {"none_of_ours": 1}}
    found = sections_of(name, {**DEMO, "options": of_another})
    assert found == sections_of(name, {**DEMO, "options": {}})


def test_the_rate_of_a_methods_options_is_the_records_own():
    """astcl filters in Hz; at another rate than the records' its bands would be others."""
    slower = {**DEMO, "ingest": {**DEMO["ingest"], "rate": 250}}
    for options in ({}, {"rate": 250}):
        assert sections_of("astcl", {**slower, "options": options})["options"]["rate"] == 250
    with pytest.raises(params.ParamsError, match=r"options\.rate is 500, .*ingest\.rate=250"):
        sections_of("astcl", {**slower, "options": {"rate": 500}})


# ---------------------------------------------------------------- the model


@EVERY
@torch.no_grad()
def test_any_leads_in_any_order_are_encoded(name):
    encoder, whole = small(name).encoder.eval(), batch()
    for leads in ([0], [11, 1], list(range(12))[::-1]):
        place = torch.tensor(leads).expand(RECORDS, -1)
        features = pool(encoder(whole.signal[:, leads], place))
        same = pool(encoder(whole.signal[:, sorted(leads)], place.sort(dim=1).values))
        other = pool(encoder(whole.signal[:, leads], (place + 1) % 12))
        assert features.shape == (RECORDS, encoder.width)
        torch.testing.assert_close(features, same, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(features, other, atol=1e-3)


@EVERY
def test_a_saved_model_is_the_same_model(name, tmp_path):
    model = small(name)
    model(batch(), generator())  # moves running statistics
    save(tmp_path, config(name), model)
    again_config, again = load(tmp_path)
    assert again_config == config(name)
    torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


@TRAINED
def test_chance_comes_from_the_generator_alone_and_steps_lower_the_loss(name):
    model = small(name)

    def loss(step):
        with torch.no_grad():
            model.advance(step / 4)
        return total(model(batch(), generator()))

    torch.manual_seed(1)
    one = loss(0)
    torch.manual_seed(2)
    assert torch.equal(loss(0), one)
    first, *_, last = descend(model, 4, loss)
    assert last < first - 0.02 * abs(first)


# ---------------------------------------------------------------- from params.yaml to models/


@EVERY
def test_every_method_trains_from_params_alone(here, name):
    options = {k: v for k, v in config(name).sections.get("options", {}).items() if k != "rate"}
    _, metrics = train(here, method=name, options=options, pretrain__epochs=1)
    found, model = load(here / "models")
    assert found.method == name
    watched = ["feature"] + ["projection"] * ("projector" in dict(model.named_children()))
    monitors = {f"{what}_{number}" for what in watched for number in ("std", "rank")}
    assert {"loss", "val_loss", *monitors} <= metrics.keys()


@pytest.mark.parametrize(
    ("backbone", "kind"),
    [("resnet18", ResNet), ("vit", TwelveLeadViT), ("lead_tokens", LeadEncoder)],
)
def test_the_initial_weights_are_the_model(here, monkeypatch, capsys, backbone, kind):
    monkeypatch.setattr(loop.Pretraining, "_epoch", None)
    _, metrics = train(here, method="random", options={"backbone": backbone})
    config, model = load(here / "models")
    assert type(model.encoder) is kind
    state = initial(config, DEMO["seed"]).state_dict()
    torch.testing.assert_close(model.state_dict(), state, rtol=0, atol=0)
    assert model(batch(), generator()) == {}
    assert "nothing to train" in capsys.readouterr().err
    assert not list(Path(CHECKPOINTS).glob("*"))
    assert metrics["epoch"] == 0
    assert metrics["loss"] is metrics["val_loss"] is metrics["best_epoch"] is None
    assert metrics["feature_rank"] > 1
    assert metrics["pairs"] > 0
    assert metrics["parameters"] == metrics["parameters_encoder"] > 0
    (row,) = rows = curves(here)
    assert row["epoch"] == "0"
    assert {"loss", "val_loss"} <= row.keys()
    assert run_charts.losses(rows) == {}  # the page shows none
    assert run_tables.counts(metrics, "Pretraining, last epoch")


@EVERY
def test_a_nudge_is_the_last_bit_of_one_weight_and_each_number_another(name):
    def bits(number):
        model = initial(config(name), 0)
        nudge(model, number)
        return torch.cat([p.detach().flatten() for p in model.parameters()]).view(torch.int32)

    before = bits(0)
    flipped = [(bits(number) ^ before).nonzero().flatten().tolist() for number in (1, 2, 3)]
    assert len({place for (place,) in flipped}) == 3
    assert all((bits(number) ^ before).sum() == 1 for number in (1, 2, 3))
    with pytest.raises(params.ParamsError, match=r"pretrain\.nudge is 1000000; it must be at most"):
        nudge(initial(config(name), 0), 1_000_000)


def test_it_starts_where_another_method_of_the_same_network_starts():
    for backbone, other in (("resnet18", "simclr"), ("lead_tokens", "kmerl")):
        encoder, theirs = small("random", backbone=backbone).encoder, small(other).encoder
        torch.testing.assert_close(encoder.state_dict(), theirs.state_dict(), rtol=0, atol=0)


TOY = """
from dataclasses import dataclass
from kmerl import methods
from kmerl.models.backbone import twelve_lead_encoder
from kmerl.models.vit import EncoderParams, pool

@dataclass(frozen=True)
class Options:
    weight: float = 2.0

class Method(methods.Method):
    def __init__(self, encoder: EncoderParams, options: Options, record_samples: int):
        super().__init__()
        self.weight = options.weight
        self.encoder = twelve_lead_encoder("resnet18", encoder, record_samples)

    def forward(self, batch, generator):
        assert batch.signal.shape[1] == 12
        return {"toy": self.weight * pool(self.encoder(batch.signal, batch.leads)).square().mean()}

    def advance(self, progress):
        seen.append(progress)

seen = []
"""


def test_a_method_is_one_new_file(here, monkeypatch):
    (here / "toy_of_a_test.py").write_text(TOY)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(here)])
    _, metrics = train(here, method="toy_of_a_test", options={"weight": 3}, pretrain__epochs=2)
    assert load(here / "models")[0].sections["options"] == {"weight": 3}
    assert metrics["loss"] == metrics["toy"] > 0
    steps = 2 * (metrics["pairs"] // 8)
    seen = importlib.import_module("kmerl.methods.toy_of_a_test").seen
    assert seen == [step / steps for step in range(steps)]
