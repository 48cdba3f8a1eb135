"""DVC's queue of experiments, as its Python code has it.

All that we touch of DVC's internals is here. No version of DVC promises them, which is why
pyproject.toml holds its minor version.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dvc.exceptions import DvcException
from dvc.repo import Repo

OPEN = ("Queued", "Running")


class Entry(NamedTuple):
    """An experiment that was queued: `pid` of its own process, `log` what that printed, `exit` how
    it ended; each None as long as DVC does not know it."""

    name: str
    status: str  # DVC's word, in lower case
    pid: int | None = None
    log: Path | None = None
    exit: int | None = None


@contextmanager
def _repository() -> Iterator[Repo]:
    """Ours; DVC's own errors, a person's to put right too, are ValueErrors."""
    try:
        with Repo() as repo:
            yield repo
    except DvcException as error:
        raise ValueError(str(error)) from None


def add(name: str, targets: Sequence[str], params: Sequence[str], replace: bool) -> None:
    """Queue an experiment at HEAD.

    Args:
        params: as `dvc exp run -S` takes them.
        replace: one of this name that ran at HEAD makes room.
    """
    with _repository() as repo:
        if replace:
            repo.experiments.remove(exp_names=[name])
        repo.experiments.run(queue=True, name=name, targets=list(targets), params=list(params))


def entries() -> list[Entry]:
    """All that were queued, the oldest first; of one second, what is not done yet comes last."""
    with _repository() as repo:
        queue = repo.experiments.celery_queue
        ordered = sorted(queue.status(), key=lambda one: (one["timestamp"], one["status"] in OPEN))
        found = []
        for one in ordered:
            process = queue.proc.get(one["rev"])
            known = (process.pid, Path(process.stdout), process.returncode) if process else ()
            found.append(Entry(one["name"], one["status"].lower(), *known))
    return found
