"""The model that comes with the package: its bytes, what made it, and when it answers."""

import hashlib

import numpy as np
import pytest
from typer.testing import CliRunner

import kmerl
from kmerl import params
from kmerl.cli import app
from kmerl.predict import shipped
from kmerl.training.model import load, sections_of
from tests.import_closure import ROOT
from tests.report_run import heartbeats
from tests.test_cli import write_wfdb

DIGEST = "3ea7dcb6550c9104"
MEGABYTES = 10


def test_it_is_small_and_the_one_that_was_measured():
    weights = shipped.folder() / "model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest().startswith(DIGEST)
    assert sum(path.stat().st_size for path in shipped.folder().iterdir()) < MEGABYTES * 1e6
    card = (shipped.folder() / "README.md").read_text()
    for words in ("no patient is in them", "| PTB-XL | CC BY 4.0 | evaluation |", "license: mit"):
        assert words in card


def test_params_simulated_made_it():
    config, _ = load(shipped.folder())
    whole = params.read(ROOT / "params/simulated.yaml")
    assert config.sections == sections_of(whole["method"], whole)
    assert config.signal.normalise == whole["signal"]["normalise"]


def test_it_answers_where_no_model_is_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    beats = heartbeats(72, np.random.default_rng(3))
    write_wfdb(tmp_path, "ecg", 500, {lead: beats[lead] for lead in ("I", "V2")})
    asked = ["sinus rhythm", "third degree av block"]
    said = CliRunner().invoke(app, ["predict", "ecg", "--classes", ",".join(asked)])
    assert said.exit_code == 0, said.output
    assert said.output.count(shipped.NOTE) == 1
    for model in (kmerl.load(), kmerl.load("simulated")):
        frame = model.predict("ecg", asked)
        assert f"{frame[asked[0]][0]:.3f}" in said.output
    (tmp_path / "models").mkdir()
    with pytest.raises(FileNotFoundError, match="models"):
        kmerl.load()
