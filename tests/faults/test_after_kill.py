"""What a kill of DVC leaves torn, and what may not be touched."""

import subprocess

import pytest
from dvc.lock import LockError, make_lock

from kmerl.experiments import after_kill

LOCKED = "schema: '2.0'\nstages:\n  a:\n    cmd: a\n    outs:\n    - path: b\n      hash: md5\n"


@pytest.mark.parametrize(
    ("name", "text", "after"),
    [
        (after_kill.RWLOCK, "", None),
        (after_kill.RWLOCK, '{"write": {"a', None),
        (after_kill.RWLOCK, "{}", "{}"),
        (after_kill.LOCK, "", LOCKED),
        (after_kill.LOCK, LOCKED[:60], LOCKED),  # a list that should be
        (after_kill.LOCK, LOCKED[:30], LOCKED),
        (after_kill.LOCK, LOCKED.replace("cmd: a", "cmd: c"), LOCKED.replace("cmd: a", "cmd: c")),
    ],
)
def test_what_a_kill_left_torn_is_mended_and_a_whole_file_stays(repository, name, text, after):
    path = repository / name
    path.write_text(text)
    assert len(after_kill.mend(repository)) == (after != text)
    assert (path.read_text() if path.exists() else None) == after


def test_what_a_living_process_writes_is_left_alone(repository, monkeypatch):
    monkeypatch.setattr("dvc.lock.DEFAULT_TIMEOUT", 0)  # seconds it is waited for
    (repository / after_kill.RWLOCK).touch()
    with make_lock(str(repository / ".dvc/tmp/rwlock.lock")), pytest.raises(LockError):
        after_kill.mend(repository)
    assert (repository / after_kill.RWLOCK).exists()


@pytest.fixture
def repository(tmp_path):
    """One commit, of dvc.lock."""
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    (tmp_path / after_kill.LOCK).write_text(LOCKED)
    for words in ("init -q", "add dvc.lock", "-c user.name=a -c user.email=a@b commit -qm a"):
        subprocess.run(["git", *words.split()], cwd=tmp_path, check=True)
    return tmp_path
