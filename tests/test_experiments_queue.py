"""Named experiments through DVC's own queue, in a small repository, and back out of it."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dvc.repo import Repo
from typer.testing import CliRunner

from kmerl.cli import app
from kmerl.experiments import collecting, queueing, runs
from kmerl.experiments.collecting import flat, scale, words
from kmerl.experiments.lock import Lock
from kmerl.experiments.runs import Value
from tests.dvc_file import profile
from tests.import_closure import ROOT

PIPELINE = """
stages:
  pretrain:
    cmd: sh pretrain.sh
    deps: [pretrain.sh]
    params: [seed, mask, pretrain.weight_decay]
    outs: [models]
    metrics: [{metrics/pretrain.json: {cache: false}}]
  zero_shot:
    cmd: sh evaluate.sh zero_shot
    deps: [models, evaluate.sh]
    params: [seed]
    metrics: [{metrics/zero_shot.json: {cache: false}}]
  linear_probe:
    cmd: sh evaluate.sh linear_probe
    deps: [models, evaluate.sh]
    params: [seed]
    metrics: [{metrics/linear_probe.json: {cache: false}}]
"""
PRETRAIN = """
if grep -q 'min_leads: 7' params.yaml; then
    echo 'Traceback (most recent call last):' >&2
    echo 'ValueError: seven leads are too few' >&2
    exit 1
fi
mkdir -p models metrics
grep -E '^seed|^  (min_leads|scope):' params.yaml > models/weights
echo '{"epoch": 8.0, "pairs": 1168}' > metrics/pretrain.json
"""
EVALUATE = """
value=0.7$(sed -n 's/.*min_leads: \\([0-9]*\\).*/\\1/p' models/weights)
echo "{\\"average\\": {\\"12\\": {\\"auroc\\": $value, \\"auroc_lo\\": 0.6}}}" > metrics/$1.json
"""
EXPERIMENTS = """
every: {mask.scope: record}
targets: [zero_shot]
tables:
  masks:
    caption: Masks
    source: ours
    columns:
      zero-shot: zero_shot.average.12.auroc
      probe: linear_probe.average.12.auroc
    rows:
      kmerl: {label: K-MERL, set: {}}
      seven: {label: "7", set: {mask.min_leads: 7}}
      eight: {label: "8", set: {mask.min_leads: 8}, targets: [zero_shot, linear_probe]}
      large: {label: base, set: {encoder.size: base}, needs: [gpu]}
"""


def sh(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of DVC's whose two-step pipeline takes no time, with params.yaml of the demo."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.org")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    (tmp_path / "params").mkdir()
    for name in ("params.yaml", "params/demo.yaml"):
        Path(name).write_text((ROOT / "params/demo.yaml").read_text())
    files = {"dvc.yaml": PIPELINE, "experiments.yaml": EXPERIMENTS}
    files |= {"pretrain.sh": PRETRAIN, "evaluate.sh": EVALUATE}
    for name, text in files.items():
        Path(name).write_text(text)
    sh("git", "init", "-q")
    with Repo.init() as repo:
        repo.reproduce()
        sh("git", "add", "-A")
        sh("git", "commit", "-qm", "a commit")
    yield tmp_path
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
    assert "3 queued, 1 skipped" in said
    assert "skipped  seven-s0: queued already" in kmerl("queue", "masks", "--seeds", "1")
    sh("dvc", "queue", "start", "-j", "2")
    until = time.monotonic() + 300
    while {state.status for state in queueing.states().values()} & {"queued", "running"}:
        assert time.monotonic() < until, queueing.states()
        time.sleep(1)
    said = kmerl("status")
    assert "failed   seven-s0  pretrain: ValueError: seven leads are too few" in said
    assert said.endswith("1 failed, 2 success\n")
    assert "success" not in kmerl("status", "--only", "failed").splitlines()[0]

    head = sh("git", "rev-parse", "HEAD").strip()
    sh("git", "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/someone", head)
    said = kmerl("collect")
    assert "ignored  someone: no row of experiments.yaml has this name" in said
    assert "2 runs (2 at scale demo)" in said
    kept = runs.read()
    assert [(run.experiment, run.seed) for run in kept] == [("eight", 0), ("kmerl", 0)]
    eight, ours = kept
    assert eight.values["zero_shot.average.12.auroc"] == Value(0.78, 0.6, None)
    assert eight.values["linear_probe.average.12.auroc"] == Value(0.78, 0.6, None)
    assert eight.words == "1,200 simulated records, nano encoder, 8 epochs"
    assert eight.commit == head
    text = subprocess.check_output(["git", "show", f"{eight.revision}:dvc.lock"])
    assert eight.lock == hashlib.sha256(text).hexdigest()
    # its masks differ from the commit's, and its probe was not run: the file is of another model
    assert set(ours.values) == {"zero_shot.average.12.auroc"}

    first = Path("experiments.json").read_bytes()
    table = Path("experiments.yaml").read_text()
    Path("experiments.yaml").write_text(table.replace("mask.min_leads: 8", "mask.min_leads: 5"))
    said = kmerl("collect")
    assert "ignored  eight-s0: it ran with mask.min_leads=8; eight is mask.min_leads=5" in said
    assert "1 that stood there before are kept" in said
    assert Path("experiments.json").read_bytes() == first
    again = kmerl("queue", "masks", "--seeds", "1", "--dry-run")
    assert "would queue  seven-s0" in again
    assert "skipped  kmerl-s0: success already" in again


def test_the_command_line_says_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["experiments", "list"])
    assert result.exit_code == 1
    assert "experiments.yaml does not exist" in result.output


def test_the_list_shows_tables_and_what_an_experiment_changes(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert "table-2d" in kmerl("list")
    lines = kmerl("list", "figure-8").splitlines()
    assert lines[0] == "size-nano    encoder.size='nano'"
    assert lines[-3] == "size-small   encoder.size='small'  (needs gpu)"
    result = CliRunner().invoke(app, ["experiments", "list", "table-9"])
    assert "there is no table 'table-9'; choose one of table-1" in result.output


# ---------------------------------------------------------------- whose results these are


def lock(**changes) -> Lock:
    stages = {
        "pretrain": {
            "deps": [{"path": "kmerl", "md5": "code"}],
            "params": {"params.yaml": {"mask": {"min_leads": 9, "sizes": {}}, "seed": 0}},
            "outs": [{"path": "models", "md5": "m"}],
        },
        "zero_shot": {
            "deps": [{"path": "models", "md5": changes.get("read", "m")}],
            "params": {"params.yaml": {"seed": changes.get("seed", 0)}},
            "outs": [{"path": "metrics/zero_shot.json", "md5": "z"}],
        },
    }
    params = {"seed": 0, "mask.min_leads": 9, **changes.get("params", {})}
    return Lock({"stages": stages}, params)


def test_metrics_of_another_model_or_other_parameters_are_not_this_runs():
    assert lock().is_of_this_run("metrics/zero_shot.json")
    assert not lock().is_of_this_run("metrics/linear_probe.json")
    assert not lock(read="other").is_of_this_run("metrics/zero_shot.json")
    assert not lock(seed=1).is_of_this_run("metrics/zero_shot.json")
    above = {"params": {"mask.min_leads": 8}}
    assert not lock(**above).is_of_this_run("metrics/zero_shot.json")
    new = {"params": {"mask.another": 8}}
    assert not lock(**new).is_of_this_run("metrics/zero_shot.json")


def test_the_scale_is_the_profile_but_for_what_the_experiment_and_the_machine_change():
    known = {name: flat(profile(name)) for name in ("demo", "paper", "ptbxl")}
    own = (*collecting.OF_THE_MACHINE, "encode.sets", "options.backbone", "method")
    moved = known["paper"] | {"corpora.ptb-xl.root": "/elsewhere", "seed": 2, "runtime.threads": 1}
    moved |= {"method": "merl", "options.backbone": "vit", "encode.sets": []}
    assert scale(moved, known, own) == "paper"
    assert scale(known["demo"], known, own) == "demo"
    assert scale(known["demo"] | {"pretrain.epochs": 2}, known, own) == "own"
    assert scale(moved | {"options.out": 2}, known, own) == "own"


def test_the_scale_in_words():
    trained, demo = {"epoch": 8.0, "pairs": 1168}, flat(profile("demo"))
    assert words(demo, trained) == "1,200 simulated records, nano encoder, 8 epochs"
    assert words(demo, trained | {"pairs": 1166}) == words(demo, trained)  # another seed's
    few = words(demo | {"pretrain.share": 1.0}, trained | {"pairs": 12})
    assert few == "1 % of 1,200 simulated records, nano encoder, 8 epochs"
    assert words(demo, {"epoch": 0.0, "pairs": 1168}) == "nano encoder, untrained"
    real = flat(profile("ptbxl")) | {"text.source": "scp"}
    assert words(real, trained) == "1,168 pairs, texts from labels, nano encoder, 25 epochs"
    few = words(real | {"pretrain.share": 10.0}, trained)
    assert few == "10 % of the pairs, texts from labels, nano encoder, 25 epochs"
