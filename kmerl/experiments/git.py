"""What git holds: files as committed, and the experiments that ran, which DVC keeps as commits
under refs/exps."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

_REF = re.compile(r"^([0-9a-f]{40}) refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Ref:
    """An experiment that ended well: its name, its own commit, and the one it was queued at."""

    name: str
    revision: str
    commit: str


def experiment_refs() -> list[Ref]:
    """Those of this repository, the oldest first."""
    form = "%(objectname) %(refname)"
    listed = _git("for-each-ref", "--sort=committerdate", f"--format={form}", "refs/exps/").decode()
    found = _REF.findall(listed)
    return [Ref(name, revision, first + rest) for revision, first, rest, name in found]


def head() -> str:
    return _git("rev-parse", "HEAD").decode().strip()


def changed(paths: Sequence[str]) -> list[str]:
    """Of these files and folders, those that are not as HEAD has them; none where there is no git,
    no repository or no commit."""
    try:
        return _git("diff", "--name-only", "--relative", "HEAD", "--", *paths).decode().splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []


def read(revision: str, path: str) -> bytes | None:
    """A file as it stands at a revision; None where it is not there."""
    try:
        return _git("show", f"{revision}:{path}")
    except subprocess.CalledProcessError:
        return None


def names(revision: str, folder: str) -> Sequence[str]:
    """Paths of the files of a folder (with its slash) at a revision."""
    return _git("ls-tree", "--name-only", revision, folder).decode().splitlines()


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], check=True, capture_output=True).stdout
