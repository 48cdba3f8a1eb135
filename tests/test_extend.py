"""docs/extend.md does what it says: its blocks are put where they say, and run."""

import csv
import importlib
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.main import get_command

from kmerl import cli, methods, params
from kmerl.corpora.entries import corpus_files, own_table, own_tasks
from kmerl.corpora.table import listing
from kmerl.experiments import catalogue
from kmerl.leads import LEADS
from kmerl.tasks import classes as tasks
from kmerl.tasks import of_run
from tests import methods as small_methods
from tests.cohorts import read_rows
from tests.import_closure import ROOT
from tests.official_layouts import signal, write_dat
from tests.test_cli import call

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
PAGE = BLOCK.findall((ROOT / "docs/extend.md").read_text(encoding="utf-8"))


def block(name: str) -> str:
    (found,) = [body for _, body in PAGE if body.startswith((f"# {name}\n", f"// {name}\n"))]
    return found


def commands() -> list[list[str]]:
    lines = [line for kind, body in PAGE if kind == "bash" for line in body.splitlines()]
    return [line.split() for line in lines if line.startswith("kmerl ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_its_commands_and_their_options_are_there(words):
    command = get_command(cli.app)
    words = words[1:]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    options = {name for one in command.params for name in one.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_the_method_can_be_trained(tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text(block("kmerl/methods/toy.py"))
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    model = small_methods.small("toy", weight=0.5)
    loss = model(small_methods.batch(), torch.Generator())["text"]
    loss.backward()
    assert loss.isfinite() and model.head.weight.grad.abs().max() > 0


def test_the_ablation_is_a_row(tmp_path, monkeypatch):
    text = (ROOT / "experiments.yaml").read_text(encoding="utf-8")
    more = block("experiments.yaml").split("tables:\n")[1]
    (tmp_path / "experiments.yaml").write_text(text + "\n" + more)
    (tmp_path / "params.yaml").write_text((ROOT / "params/demo.yaml").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    (found,) = catalogue.read(tmp_path / "experiments.yaml", tmp_path / "params.yaml").of(
        "table-toy"
    )
    assert found.set == {"method": "toy", "options.weight": 0.1}


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """The page's table with forty more patients, and their recordings."""
    monkeypatch.chdir(tmp_path)
    head = block("labels.csv").splitlines()[1]
    lines = [f"b/{i},p{i},{i % 2},{int(i % 3 == 0)}" for i in range(40)]
    (tmp_path / "recordings").mkdir()
    for name in ("labels.csv", "recordings/labels.csv"):
        (tmp_path / name).write_text("\n".join([head, *lines]) + "\n")
    for i in range(40):
        write_dat(tmp_path / f"recordings/b/{i}", signal(i) // (1 + i % 2), LEADS)
    return tmp_path


def test_the_toy_encoder_goes_through_the_evaluation(own):
    (own / "toy_encoder.py").write_text(block("toy_encoder.py"))
    runpy.run_path(str(own / "toy_encoder.py"))
    call("probe", "features.parquet", "labels.csv", "--out", "toy", "--replicates", 20)
    rows = read_rows(own / "toy/metrics.csv")
    assert [(r["leads"], r["class"]) for r in rows] == [
        (leads, name) for leads in ("I", "I+II") for name in ("AF", "LBBB")
    ]
    assert all(np.isfinite(float(row["auroc"])) for row in rows)
    assert float(rows[2]["auroc"]) > 0.7  # class AF is a smaller signal


def test_the_corpus_is_one_and_dvc_yaml_has_its_place(own):
    (own / "params.yaml").write_text(block("params.yaml"))
    files = corpus_files("mine")
    found = listing("mine", Path(files.root), own_table("mine", files))
    assert found.listed == len(found.table) == 40
    (line,) = yaml.safe_load(block("dvc.yaml"))["stages"]["ingest"]["foreach"].items()
    own_line = block("data/tasks.json").split("\n", 1)[1]
    of_run.write(of_run.tasks_of_run(own_tasks()), own / "data/tasks.json")
    assert (own / "data/tasks.json").read_text() == own_line
    assert params.read()["report"]["task"] in json.loads(own_line)
    chain = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    form = dict(chain["stages"]["ingest"]["foreach"])
    assert form["csn"] == line[1].replace("mine", "csn")


def test_the_task_is_a_line_of_each_file():
    (row,) = csv.DictReader(block("kmerl/tasks/classes.csv").splitlines()[1:])
    assert row.keys() == tasks._rows()[0].keys()
    held: dict[str, dict[str, str]] = {}
    exec(block("kmerl/tasks/classes.py"), held)
    ((task, corpus),) = held["TASKS"].items()
    assert task == row["task"] and corpus in tasks.TASKS.values()
