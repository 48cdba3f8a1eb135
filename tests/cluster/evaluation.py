"""Stages encode, linear_probe and fine_tune in two processes of torchrun's: the files of one.

python -m pytest --numprocesses=0 tests/cluster/evaluation.py
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml

from kmerl.tasks.classes import TASKS, official
from kmerl.tasks.prompts import Asked, by_name
from kmerl.training.model import save
from tests.cohorts import TEXT_WIDTH, files_below
from tests.evaluation_cohort import PARAMS, build
from tests.import_closure import ROOT
from tests.test_encode import enlarged

TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
OUTPUTS = "data/encode", "data/linear_probe", "data/fine_tune", "metrics"
STAGES = "encode", "linear_probe", "fine_tune"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Where splits, embed_text and pretrain have run."""
    root = build(tmp_path_factory.mktemp("cohort"))
    save(root / "models", *enlarged(encoder__token_samples=50))
    texts = by_name(map(official, TASKS))
    vectors = np.random.default_rng(0).normal(size=(len(texts), TEXT_WIDTH)).astype(np.float32)
    Asked("by name", texts, vectors).write(root / "data/asked", "names")
    changes = {
        "encode": {**PARAMS["encode"], "orders": ["paper"], "sets": ["I+II"], "random": ["1"]},
        "runtime": {**PARAMS["runtime"], "threads": 1},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS | changes))
    return root


def start(root: Path, *command: str) -> psutil.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(root / "log", "a") as log:
        told = {"stdout": log, "stderr": subprocess.STDOUT}
        return psutil.Popen([sys.executable, *command], cwd=root, env=environment, **told)


def finish(root: Path, *command: str) -> None:
    assert start(root, *command).wait(600) == 0, (root / "log").read_text()


@pytest.fixture(scope="module")
def new(cohort, tmp_path_factory) -> Callable[[], Path]:
    """Copies of the cohort."""
    return lambda: shutil.copytree(cohort, tmp_path_factory.mktemp("run") / "here")


@pytest.fixture(scope="module")
def by_one(new) -> Path:
    root = new()
    for stage in STAGES:
        finish(root, "-m", f"stages.{stage}")
    return root


def test_two_processes_write_the_files_of_one(by_one, new):
    root = new()
    for stage in STAGES:
        finish(root, *TWO, "-m", f"stages.{stage}")
    expected, found = (files_below(one, *OUTPUTS) for one in (by_one, root))
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert files_below(root, ".checkpoints") == {}


def test_a_process_that_dies_ends_the_stage_and_what_was_done_is_kept(by_one, new):
    root = new()
    agent = start(root, *TWO, "-m", "stages.fine_tune")
    try:
        while not (kept := [*root.glob(".checkpoints/fine_tune-*/*d")]):  # pretrained
            assert agent.poll() is None, (root / "log").read_text()
            time.sleep(0.02)
        workers = agent.children(recursive=True)
        next(one for one in workers if "stages.fine_tune" in one.cmdline()).kill()
        assert agent.wait(300) != 0
    finally:
        for process in agent.children(recursive=True) if agent.is_running() else []:
            process.kill()
    assert not (root / "data/fine_tune").exists()
    assert all(path.exists() for path in kept)
    finish(root, "-m", "stages.fine_tune")
    expected, found = (files_below(one, "data/fine_tune") for one in (by_one, root))
    assert found == expected
