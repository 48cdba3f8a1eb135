"""What one machine made, another has without running anything: DVC's remote on S3, moto's here."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.import_closure import ROOT
from tests.s3_server import bucket

PIPELINE = """
stages:
  ingest:
    cmd: mkdir store && cp raw/SHA256SUMS.txt store/shard-0.parquet
    deps: [raw/SHA256SUMS.txt]
    outs: [store]
  extract:
    cmd: echo an answer >> answers
    deps: [store]
    outs: [{answers: {persist: true}}]
  pretrain:
    cmd: mkdir models && sort store/shard-0.parquet > models/model.safetensors
    deps: [store]
    params: [seed]
    outs: [models]
  report:
    cmd: mkdir report && wc models/model.safetensors > report/index.html
    deps: [models]
    outs: [report]
"""
IGNORED = "/raw/*\n!/raw/*.dvc\n/store\n/answers\n/models\n/report\n"


@pytest.fixture
def run(monkeypatch) -> Callable[..., str]:
    """A command in a folder, without anybody's settings: what it prints."""
    pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed: make setup-dev")
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "somebody@example.org")

    def run(folder: Path, *command: str) -> str:
        if command[0] == "dvc":
            command = (sys.executable, "-m", *command)
        told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        ran = subprocess.run(command, cwd=folder, check=False, timeout=300, **told)
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    return run


@pytest.fixture
def first(tmp_path, run) -> Path:
    """A repository with our settings of DVC, whose chain has run."""
    here = tmp_path / "first"
    (here / "raw").mkdir(parents=True)
    (here / "raw/SHA256SUMS.txt").write_text("b\na\n")
    (here / "dvc.yaml").write_text(PIPELINE)
    (here / "params.yaml").write_text("seed: 0\n")
    (here / ".gitignore").write_text(IGNORED)
    run(here, "git", "init", "--quiet")
    run(here, "dvc", "init", "--quiet")
    shutil.copy(ROOT / ".dvc/config", here / ".dvc/config")
    run(here, "dvc", "repro")
    return here


def test_another_clone_pulls_what_it_needs_and_runs_nothing(first, tmp_path, run, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    with bucket("group") as (endpoint, _):
        run(first, "dvc", "remote", "add", "--default", "shared", "s3://group/k-merl")
        run(first, "dvc", "remote", "modify", "shared", "endpointurl", endpoint)
        run(first, "dvc", "push")
        run(first, "git", "add", ".")
        run(first, "git", "commit", "--quiet", "--message", "what was run")
        second = tmp_path / "second"
        run(tmp_path, "git", "clone", "--quiet", str(first), str(second))
        run(second, "dvc", "pull", "models", "report")
        for name in ("models/model.safetensors", "report/index.html"):
            assert (second / name).read_bytes() == (first / name).read_bytes()
        assert not (second / "store").exists()
        assert "Running" not in run(second, "dvc", "repro", "--allow-missing")
        (second / "params.yaml").write_text("seed: 1\n")
        out = run(second, "dvc", "repro", "--allow-missing", "--pull")
        assert out.count("Running stage") == 1  # with the store that it needs, and no corpus
        assert "Running stage 'pretrain'" in out
        assert (second / "store").is_dir()
        assert not (second / "raw").exists()


def test_what_a_stage_wrote_is_on_the_disk_once(first, run):
    """Also what is written again, the same; a stage that adds to its output never writes into what
    is kept."""

    def kept_once() -> bool:
        outs = ("store/shard-0.parquet", "models/model.safetensors", "report/index.html", "answers")
        return all((first / out).is_symlink() or (first / out).stat().st_nlink > 1 for out in outs)

    assert kept_once()
    run(first, "dvc", "repro", "--force")
    assert kept_once()
    assert (first / "answers").read_text() == "an answer\n" * 2


def test_dvc_imports_a_corpus_from_an_open_bucket(first, run, monkeypatch):
    with bucket("physionet-open") as (endpoint, put):
        put("ptb-xl/1.0.3/SHA256SUMS.txt", b"a list\n")
        put("ptb-xl/1.0.3/records500/00000/00001_hr.hea", b"a header\n")
        run(first, "dvc", "remote", "add", "physionet", "s3://physionet-open")
        run(first, "dvc", "remote", "modify", "physionet", "allow_anonymous_login", "true")
        run(first, "dvc", "remote", "modify", "physionet", "endpointurl", endpoint)
        run(first, "dvc", "import-url", "remote://physionet/ptb-xl/1.0.3", "raw/ptb-xl")
        header = first / "raw/ptb-xl/records500/00000/00001_hr.hea"
        assert header.read_bytes() == b"a header\n"
        assert "up to date" in run(first, "dvc", "repro")
