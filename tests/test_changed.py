"""What `make repro` says last: which committed results a run changed, and why it may have."""

import json
import os
import subprocess

import pytest
import yaml

from kmerl.experiments import changed

SUMMARY = "metrics/summary/zero_shot.json"


def write(root, text="t1", auroc=0.7446, script="s1", epochs=8):
    """A chain of two stages that ran: `embed_text` reads code, `pretrain` what it wrote."""
    first = {
        "cmd": "python -m stages.embed_text",
        "deps": [{"path": "stages/embed_text.py", "md5": script}],
        "outs": [{"path": "data/text", "md5": text}],
    }
    second = {
        "cmd": "python -m stages.pretrain",
        "deps": [{"path": "data/text/reports", "md5": f"{text} reports"}],
        "params": {"params.yaml": {"pretrain": {"epochs": epochs}}},
        "outs": [{"path": "models", "md5": f"{text} models"}],
    }
    lock = {"schema": "2.0", "stages": {"embed_text": first, "pretrain": second}}
    (root / "dvc.lock").write_text(yaml.safe_dump(lock))
    (root / SUMMARY).parent.mkdir(parents=True, exist_ok=True)
    summary = {"average": {"12": {"auroc": auroc}, "1": {"auroc": 0.66, "records": 3}}}
    (root / SUMMARY).write_text(json.dumps(summary))


def git(*arguments):
    subprocess.run(["git", *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder of a repository whose results are committed."""
    root = tmp_path / "folder"
    root.mkdir()
    monkeypatch.chdir(root)
    who = {
        f"GIT_{who}_{what}": "someone"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    for name, value in (who | {"GIT_CONFIG_GLOBAL": os.devnull}).items():
        monkeypatch.setenv(name, value)
    write(root)
    git("init", "-q", "..")
    git("add", "-A")
    git("commit", "-qm", "results")
    return root


def test_the_same_results_are_passed_over_in_silence(checkout):
    assert changed.since_commit() == ""
    (checkout / "params.yaml").write_text("seed: 1\n")  # not yet run
    assert changed.since_commit() == ""


def test_other_bytes_of_the_same_inputs_are_named_with_the_cause_and_the_way_back(checkout):
    write(checkout, text="t2", auroc=0.7301)
    said = changed.since_commit()
    assert "2 of 2 stages wrote other bytes, beginning with embed_text." in said
    assert f"{SUMMARY} average.12.auroc 0.7446 -> 0.7301" in said
    assert "rounding" in said and "noise floor" in said
    command = said.splitlines()[-1].split()
    assert command[:2] == ["git", "stash"]
    git(*command[1:])
    assert changed.since_commit() == ""
    git("stash", "pop")
    assert changed.since_commit() == said  # what was put back is not lost


@pytest.mark.parametrize("own", [{"epochs": 9}, {"script": "s2"}])
def test_of_rounding_nothing_is_said_where_code_or_parameters_changed(checkout, own):
    write(checkout, text="t2", auroc=0.7301, **own)
    said = changed.since_commit()
    assert "rounding" not in said and "stash" not in said
    assert "dvc metrics diff" in said


def test_a_number_edited_by_hand_is_no_run(checkout):
    write(checkout, auroc=0.8)
    assert changed.since_commit() == ""


@pytest.mark.parametrize("lacking", ["git", "repository", "commit", "lock"])
def test_without_git_or_anything_committed_it_is_silent(checkout, tmp_path, monkeypatch, lacking):
    write(checkout, text="t2")
    if lacking == "git":
        monkeypatch.setenv("PATH", str(tmp_path))
    elif lacking == "repository":
        (tmp_path / ".git").rename(tmp_path / "kept")
    elif lacking == "commit":
        git("update-ref", "-d", "HEAD")
    else:
        (checkout / "dvc.lock").unlink()
    assert changed.since_commit() == ""
