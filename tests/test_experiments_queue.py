"""Named experiments through DVC's own queue, in a small repository, and back out of it."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kmerl.cli import app
from kmerl.experiments import git, queueing, runs
from kmerl.experiments.runs import Value
from kmerl.files import read_yaml
from tests.import_closure import ROOT


def sh(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of DVC's whose two-step pipeline takes no time, with params.yaml of the demo."""
    from dvc.repo import Repo  # slow

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.org")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    (tmp_path / "params").mkdir()
    for name in ("params.yaml", "params/demo.yaml"):
        Path(name).write_text((ROOT / "params/demo.yaml").read_text())
    for name, text in read_yaml(ROOT / "tests/cases/repository.yaml").items():
        Path(name).write_text(text)
    sh("git", "init", "-q")
    with Repo.init() as repo:
        repo.reproduce()
        sh("git", "add", "-A")
        sh("git", "commit", "-qm", "a commit")
    yield Repo
    with Repo() as repo:
        repo.experiments.celery_queue.shutdown(kill=True)


def kmerl(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["experiments", *arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # Hydra's, inside DVC
def test_one_that_fails_is_named_with_its_reason_and_the_others_complete(repository):
    assert "would queue  eight-s0" in kmerl("queue", "masks", "--seeds", "1", "--dry-run")
    assert queueing.states() == {}
    said = kmerl("queue", "masks", "--seeds", "1")
    assert "skipped  large-s0: needs gpu (hours to days on a CPU)" in said
    assert "2 queued, 1 skipped" in said
    assert "skipped  seven-s0: queued already" in kmerl("queue", "masks", "--seeds", "1")
    with repository() as repo:
        repo.experiments.celery_queue.start_workers(1)
    until = time.monotonic() + 300  # what a worker has just taken shows nowhere for a moment
    while {state.status for state in queueing.states().values()} != {"failed", "success"}:
        assert time.monotonic() < until, queueing.states()
        time.sleep(0.2)
    said = kmerl("status")
    assert "failed   seven-s0  pretrain: ValueError: seven leads are too few" in said
    assert said.endswith("1 failed, 1 success\n")
    assert "success" not in kmerl("status", "--only", "failed").splitlines()[0]

    head = sh("git", "rev-parse", "HEAD").strip()
    sh("git", "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/someone", head)
    assert [ref.name for ref in git.experiment_refs()] == ["someone", "eight-s0"]  # by age
    said = kmerl("collect")
    assert "ignored  someone: no row of experiments.yaml has this name" in said
    assert "1 runs (1 at scale demo)" in said
    (eight,) = runs.read()
    assert (eight.experiment, eight.seed, eight.commit) == ("eight", 0, head)
    # its masks differ from the commit's, and its probe was not run: that file is of another model
    assert eight.values == {"zero_shot.average.12.auroc": Value(0.78, 0.6, None)}
    assert eight.words == "1,200 simulated records, nano encoder, 8 epochs"
    text = subprocess.check_output(["git", "show", f"{eight.revision}:dvc.lock"])
    assert eight.lock == hashlib.sha256(text).hexdigest()

    first = Path("experiments.json").read_bytes()
    table = Path("experiments.yaml").read_text()
    Path("experiments.yaml").write_text(table.replace("mask.min_leads: 8", "mask.min_leads: 5"))
    said = kmerl("collect")
    assert "ignored  eight-s0: it ran with mask.min_leads=8; eight is mask.min_leads=5" in said
    assert "1 that stood there before are kept" in said
    assert Path("experiments.json").read_bytes() == first
    Path("experiments.yaml").write_text(table.replace("every: {", "every: {mask.max_leads: 10, "))
    assert "eight-s0: it ran with mask.max_leads=11; eight is mask.max_leads=10" in kmerl("collect")
    Path("experiments.yaml").write_text(table)
    again = kmerl("queue", "masks", "--seeds", "1", "--dry-run")
    assert "would queue  seven-s0" in again
    assert "skipped  eight-s0: success already" in again
