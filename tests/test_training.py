"""Pretraining on a tiny cohort: it learns, it resumes to the same numbers, it refuses nonsense."""

import copy
import dataclasses
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from kmerl import params
from kmerl.models.inputs import SignalParams
from kmerl.models.masking import EVERY_LEAD, MaskParams
from kmerl.store import read_index, read_table
from kmerl.training import loop
from kmerl.training.checkpoint import NAME as CHECKPOINTS
from kmerl.training.checkpoint import fingerprint, root
from kmerl.training.data import Pairs, load_pairs, loader
from kmerl.training.model import load
from kmerl.training.optimiser import Optimiser
from kmerl.training.schedule import learning_rate
from kmerl.training.session import Session
from kmerl.training.stopping import Watch
from tests.cohorts import ENTITIES, RATE, SECONDS, read_rows
from tests.methods import DEMO


def values(method="kmerl", options=None, **changes):
    """The demo's parameters, small; `changes` like pretrain__epochs=3."""
    chosen = {**json.loads(json.dumps(DEMO)), "method": method, "options": options or {}}
    small = {
        "ingest__rate": RATE, "ingest__seconds": SECONDS, "encoder__token_samples": 50,
        "pretrain__epochs": 3, "pretrain__batch": 8, "query_network__width": 16,
        "query_network__layers": 1, "query_network__mlp": 16,
    }  # fmt: skip
    for key, value in {**small, **changes}.items():
        section, name = key.split("__")
        chosen[section][name] = value
    return chosen


def train(root: Path, **changes):
    """Weights and metrics of a training in `root`, the fixture `here`; see `values`."""
    Session.from_params(values(**changes), Path("data")).train(root, "cpu")
    weights = load_file(root / "models" / "model.safetensors")
    return weights, json.loads((root / "metrics" / "pretrain.json").read_text())


def curves(root: Path) -> list[dict[str, str]]:
    return read_rows(root / "plots" / "pretrain.csv")


def test_kmerl_trains_as_it_always_has_and_leaves_whole_artefacts(here):
    """The paper's K-MERL; a draw that moves shows here."""
    weights, metrics = train(here, query_network__self_attention=True, mask__min_leads=9)
    config, model = load(here / "models")
    assert config.entities == tuple(ENTITIES)
    torch.testing.assert_close(dict(model.state_dict()), weights, rtol=0, atol=0)
    assert list(curves(here)[0])[:4] == ["epoch", "contrast", "query", "loss"]
    assert metrics["contrast"] == pytest.approx(float(curves(here)[-1]["contrast"]), rel=1e-3)
    written = here / "models"
    assert len({path.stat().st_mode for path in written.iterdir()}) == 1  # safetensors' as json's
    assert not list(Path(CHECKPOINTS).glob("*"))
    for name, expected in {
        "contrast": [2.22915, 2.18422, 2.29143],
        "query": [7.72011, 6.05787, 7.13586],
        "val_contrast": [3.0565, 3.20218, 3.03746],
        "val_query": [7.99028, 8.35414, 7.82283],
    }.items():
        assert [float(row[name]) for row in curves(here)] == pytest.approx(expected, rel=1e-3), name
    for row in curves(here):
        parts = float(row["contrast"]) + float(row["query"])
        assert float(row["loss"]) == pytest.approx(parts, rel=1e-4)


def test_a_batch_knows_whose_records_it_holds(here):
    store = here / "data" / "ecg" / "mimic-iv-ecg"
    pairs = load_pairs(read_index(store), here / "data" / "labels", here / "data" / "text")
    names = read_table(store, ["patient"])["patient"].to_pylist()
    assert len(set(names)) == len(names) // 2
    same = [[a == b for a in names] for b in names]
    assert ((pairs.patient_number[:, None] == pairs.patient_number) == np.array(same)).all()
    numbered = dataclasses.replace(pairs, patient_number=np.arange(len(names)))
    source = loader(
        numbered, "train", 8, EVERY_LEAD, SignalParams("zscore", "available"), 0, (0, 1), "cpu", 4
    )
    for batch in source.epoch(0):
        vectors = pairs.texts[torch.from_numpy(pairs.vector)[batch.patient]]
        assert torch.equal(batch.text, vectors)
        assert torch.equal(batch.labels, pairs.labels(batch.patient.numpy()).float())


@pytest.mark.parametrize("kind", ["zscore", "minmax", "millivolt", "root"])
@pytest.mark.parametrize("over", ["available", "global12"])
def test_a_batch_for_a_gpu_is_the_same_to_rounding(here, monkeypatch, kind, over):
    """The way of int16 through pinned memory, on a device that is not called `cpu`."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    data = here / "data"
    pairs = load_pairs(read_index(data / "ecg" / "mimic-iv-ecg"), data / "labels", data / "text")
    mask = MaskParams("dynamic", 0, 11, "group", 0.0, per_lead=True)
    args = pairs, "train", 8, mask, SignalParams(kind, over), 0, (0, 1)
    batches = [loader(*args, device, 4, threads=2).epoch(0) for device in ("cpu", "cpu:0")]
    for one, other in zip(*batches, strict=True):
        for field in dataclasses.fields(one):
            values = getattr(one, field.name), getattr(other, field.name)
            torch.testing.assert_close(*values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("method", "damaged"),
    [("kmerl", True), ("byol", False)],  # byol has a target that follows
)
def test_a_killed_training_resumes_to_the_same_bytes(here, monkeypatch, capsys, method, damaged):
    """From its last epoch, or where that one's checkpoint is damaged from the one before."""
    options = {"hidden": 16} if method == "byol" else {}
    chosen = {"method": method, "options": options, "pretrain__epochs": 2 + damaged}
    train(here, **chosen)
    written = [p for d in ("models", "metrics", "plots") for p in (here / d).glob("*.*")]
    undisturbed = {path: path.read_bytes() for path in written}
    assert len(undisturbed) == 4
    real, epochs = loop.Pretraining._epoch, []

    def die_once_in_the_last_epoch(self, network, epoch, *rest):
        epochs.append(epoch)
        if epochs == [*range(2 + damaged)]:
            raise KeyboardInterrupt  # stands for a kill
        return real(self, network, epoch, *rest)

    monkeypatch.setattr(loop.Pretraining, "_epoch", die_once_in_the_last_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(here, **chosen)
    kept = sorted(Path(CHECKPOINTS).glob("*.pt"))
    assert len(kept) == 1 + damaged
    if damaged:
        kept[-1].write_bytes(kept[-1].read_bytes()[:-1])
    train(here, **chosen)
    assert epochs == ([0, 1, 2, 1, 2] if damaged else [0, 1, 1])
    assert (f"{kept[-1].name} is damaged" in capsys.readouterr().err) == damaged
    assert not list(Path(CHECKPOINTS).iterdir())
    assert {p: p.read_bytes() for p in undisturbed} == undisturbed


def steps_that_end(monkeypatch, number):
    """A list that grows with each step; after `number` of them SIGTERM comes."""
    real, steps = Optimiser.step, []

    def step(self, loss, rate):
        real(self, loss, rate)
        steps.append(rate)
        if len(steps) == number:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Optimiser, "step", step)
    return steps


@pytest.mark.parametrize("after", [4, 6])  # of four steps an epoch
def test_a_training_that_is_asked_to_end_goes_on_at_that_step(here, monkeypatch, capsys, after):
    weights, metrics = train(here, pretrain__epochs=2)
    curve = (here / "plots" / "pretrain.csv").read_bytes()
    handler = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        steps_that_end(patch, after)
        with pytest.raises(SystemExit) as ended:
            train(here, pretrain__epochs=2)
    assert ended.value.code == 143
    assert f"what {after} of 8 steps gave is saved" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is handler
    steps = steps_that_end(monkeypatch, 0)
    assert train(here, pretrain__epochs=2)[1] == metrics
    assert len(steps) == 8 - after
    assert (here / "plots" / "pretrain.csv").read_bytes() == curve
    found = load_file(here / "models" / "model.safetensors")
    torch.testing.assert_close(found, weights, rtol=0, atol=0)


def test_a_state_is_saved_every_so_many_minutes(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("kmerl.training.stopping.time.monotonic", lambda: now[0])
    with Watch(2) as watch:
        due = []
        for now[0] in (60, 119, 120, 121, 239, 300, 420):
            due.append(watch.due())
    assert due == [False, False, True, False, False, True, True]


def test_a_queued_experiment_keeps_its_checkpoint_with_the_repository(tmp_path):
    """Its own folder is another one each time that it is queued."""
    for folder in ("", ".dvc/tmp/exps/tmp1a", ".dvc/tmp/exps/tmp2b", ".dvc/tmp/exps/tmp1a/sub"):
        assert root(tmp_path / folder) == tmp_path / ".checkpoints"


def test_another_setting_or_input_does_not_resume_a_checkpoint(tmp_path):
    file, names = tmp_path / "labels", []
    for text, rate in (("a", 1), ("a", 2), ("b", 1), ("a", 1)):
        file.write_text(text)
        names.append(fingerprint({"lr": rate}, [file]))
    assert len(set(names)) == 3
    assert names[0] == names[3]


def test_mask_and_share_change_the_model(here):
    def trained(**changes):
        weights, metrics = train(here, pretrain__epochs=1, **changes)
        pairs = metrics["pairs"], metrics["pairs_available"], metrics["pairs_val"]
        return weights["encoder.tokenizer.project.weight"].tolist(), pairs

    one, pairs = trained()
    assert trained() == (one, pairs)
    assert pairs == (32, 32, 8)
    masks = ("min_leads", 11), ("leads", "none"), ("scope", "record"), ("scope", "batch")
    for key, value in masks:
        other, counted = trained(**{f"mask__{key}": value})
        assert other != one
        assert counted == pairs
    other, pairs = trained(pretrain__share=50)
    assert other != one
    assert pairs == (16, 32, 8)


NAN = float("nan")


@pytest.mark.parametrize(
    ("keep", "losses", "best", "kept"),
    [
        ("best", [3.0, 1.0, 2.0], 2, 2),
        ("last", [3.0, 1.0, 2.0], 2, 3),
        ("best", [NAN, 2.0, 3.0], 2, 2),
        ("best", [3.0, NAN, 2.0], 3, 3),
        ("best", [NAN, NAN, NAN], None, 3),
    ],
)
def test_best_epoch_is_kept_on_request(here, monkeypatch, capsys, keep, losses, best, kept):
    states = []

    def validate(self):
        states.append(copy.deepcopy(self.model.state_dict()))
        return {"val_loss": losses[len(states) - 1]}

    monkeypatch.setattr(loop.Pretraining, "_validate", validate)
    weights, metrics = train(here, pretrain__keep=keep)
    assert metrics["best_epoch"] == best
    assert all(torch.equal(weights[name], value) for name, value in states[kept - 1].items())
    assert ("the last is kept" in capsys.readouterr().err) == (best is None)


def test_the_best_epoch_of_none_that_is_validated_is_no_wish(here, monkeypatch):
    real = Pairs.rows
    monkeypatch.setattr(
        Pairs, "rows", lambda self, split: real(self, split)[: 99 * (split != "val")]
    )
    with pytest.raises(params.ParamsError, match=r"keep=best needs validation pairs.* has none"):
        train(here, pretrain__keep="best")
    _, metrics = train(here, pretrain__epochs=1)
    assert metrics["val_loss"] is metrics["best_epoch"] is None
    assert metrics["pairs_val"] == 0


def test_validation_is_the_mean_over_all_held_out_records(here):
    """Eight of them: batches of 3, 3 and 2 weigh as one of 8 does."""
    same = {"loss__contrast": 0.0, "mask__leads": "none", "mask__segments": 0.0}
    found = {}
    for batch in (3, 8):
        chosen = {"pretrain__batch": batch, "pretrain__epochs": 1}
        _, metrics = train(here, **same, **chosen, pretrain__learning_rate=1e-300)
        assert metrics["pairs_val"] == 8
        found[batch] = metrics["val_query"]
    assert found[3] == pytest.approx(found[8], rel=1e-3)


def test_one_bit_of_one_initial_weight_moves_a_training(here):
    still, nudged = (train(here, pretrain__epochs=1, pretrain__nudge=n)[0] for n in (0, 1))
    moved = [name for name, weight in still.items() if not torch.equal(weight, nudged[name])]
    assert len(moved) > 1
    torch.testing.assert_close(still, nudged, rtol=0.1, atol=0.01)  # and no more than rounding


# ---------------------------------------------------------------- a share of the pairs


def some_pairs(patients, seed=3, records=400):
    """Pairs of which every tenth is held out and every seventh row has no report."""
    rng = np.random.default_rng(seed)
    number = np.arange(records)
    return Pairs(
        index=None,
        patient=np.array([f"p{k}" for k in rng.integers(0, patients, records)]),
        patient_number=np.zeros(records, int),
        split=np.where(number % 10 == 0, "val", "train"),
        vector=np.where(number % 7 == 0, -1, 0),
        texts=torch.zeros(1, 2),
        packed=np.zeros((records, 1), np.uint8),
        entities=torch.zeros(1, 2),
        names=["x"],
    )


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(0, 5), st.sampled_from([0.01, 1, 10, 33.3, 99, 100]))
def test_a_share_takes_whole_patients_and_holds_the_smaller_shares(patients, seed, share):
    every = some_pairs(patients)
    some = every.shared(share, seed)
    kept, train = some.rows("train"), every.rows("train")
    assert np.array_equal(some.rows("val"), every.rows("val"))
    assert 0 < len(kept) <= len(train)
    mine = set(every.patient[kept])
    assert np.array_equal(kept, train[np.isin(every.patient[train], list(mine))])
    assert len(kept) >= share / 100 * len(train)
    largest = max(np.unique(every.patient[train], return_counts=True)[1])
    assert len(kept) < share / 100 * len(train) + largest
    smaller = every.shared(share / 2, seed).rows("train")
    assert set(smaller) <= set(kept)
    if share == 100:
        assert np.array_equal(kept, train)


def test_the_seed_draws_the_patients_of_a_share():
    every = some_pairs(100)
    drawn = {tuple(every.shared(10, seed).rows("train")) for seed in (0, 0, 1)}
    assert len(drawn) == 2


FEW = r"pretrain\.share=1 leaves 2 training pairs of mimic-iv-ecg, .* pretrain\.batch=8"
FAST = {"pretrain__learning_rate": 1e9, "pretrain__clip": 0.0, "pretrain__warmup_epochs": 0.0}


@pytest.mark.parametrize(
    ("chosen", "error", "message"),
    [
        ({"pretrain__share": 1}, params.ParamsError, FEW),
        ({"method": "kmrel"}, params.ParamsError, r"'kmrel'; choose one of.*kmerl.*simclr"),
        (FAST, FloatingPointError, r"pretrain\.learning_rate"),  # diverges
    ],
)
def test_what_cannot_be_trained_is_named(here, chosen, error, message):
    with pytest.raises(error, match=message):
        train(here, **chosen)
    with pytest.raises(FileNotFoundError, match="dvc repro pretrain"):
        load(here / "models")


def test_a_batch_must_divide_among_processes():
    chosen = params.build(loop.PretrainParams, values()["pretrain"], "pretrain")
    with pytest.raises(ValueError, match=r"pretrain\.batch=8.*3 processes"):
        chosen.check_shared(3)


def test_learning_rate_warms_up_and_anneals_to_zero():
    rates = [learning_rate(step, 100, 10, 1.0) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 1e-3
