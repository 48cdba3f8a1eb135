"""Named experiments in DVC's queue: what is added, what stands there, and why one failed.

The queue, its workers and its results are DVC's; nothing is scheduled here.
"""

import itertools
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmerl.experiments import git
from kmerl.experiments.catalogue import NEEDS, Catalogue, Experiment, check_known

if TYPE_CHECKING:  # DVC takes a second to import
    from kmerl.experiments.dvc_queue import Entry

_FAILED_STAGE = re.compile(r"failed to reproduce '([^']+)'")
_OF_DVC = ("ERROR:", "WARNING:", "Running stage", "> ")


@dataclass(frozen=True)
class State:
    """Where a queued experiment stands. `lost`: it ran, and its process is gone without a result.

    `reason` of a failed one is the stage and the last line of its error.
    """

    name: str
    status: str  # queued, running, success, failed or lost
    reason: str = ""


@dataclass(frozen=True)
class Planned:
    """An experiment with one seed; `skip` says why it is not queued, or is empty."""

    experiment: Experiment
    seed: int
    skip: str = ""

    @property
    def name(self) -> str:
        return f"{self.experiment.name}-s{self.seed}"


def plan(
    catalogue: Catalogue,
    tables: Iterable[str],
    seeds: int,
    given: Iterable[str],
    states: Mapping[str, State],
    again: bool = False,
) -> list[Planned]:
    """What the tables want, seed by seed, each experiment once.

    Args:
        seeds: how many; the first is 0.
        given: which of `NEEDS` this machine has.
        states: of the experiments that DVC knows already.
        again: those that ran are wanted once more.

    Raises:
        ParamsError: a table or a need is unknown; the message lists those that exist.
    """
    given = tuple(given)
    for need in given:
        check_known(need, NEEDS, "--with", "need")
    planned = []
    for seed, experiment in itertools.product(range(seeds), catalogue.of(*tables)):
        one = Planned(experiment, seed)
        missing = [f"{need} ({NEEDS[need]})" for need in experiment.needs if need not in given]
        known = _known_already(states.get(one.name), again)
        skip = f"needs {', '.join(missing)}" if missing else known
        planned.append(Planned(experiment, seed, skip))
    return planned


def _known_already(state: State | None, again: bool) -> str:
    if state is None or state.status in ("failed", "lost"):
        return ""
    if state.status == "success":
        return "" if again else "success already (--again runs it once more)"
    return f"{state.status} already"


def overrides(catalogue: Catalogue, experiment: Experiment, seed: int) -> list[str]:
    """All that `dvc exp run -S` is given of an experiment."""
    return written({"seed": seed, **catalogue.every, **experiment.set})


def written(values: Mapping[str, Any]) -> list[str]:
    """Keys and values in Hydra's grammar; an option, which may be a new key, has ++ before it."""
    return [
        f"{'++' if key.startswith('options.') else ''}{key}={_hydra(value)}"
        for key, value in values.items()
    ]


def _hydra(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_hydra, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_hydra(item)}' for key, item in value.items())}}}"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return json.dumps(value)  # null, true and numbers are written alike


def add(catalogue: Catalogue, planned: Iterable[Planned], again: bool = False) -> Iterable[Planned]:
    """Put the planned ones that are not skipped into DVC's queue, one after the other.

    Args:
        again: an experiment of the same name and commit makes room.
    """
    from kmerl.experiments import dvc_queue

    head = git.head()
    taken = {ref.name for ref in git.experiment_refs() if ref.commit == head}
    for one in planned:
        if not one.skip:
            given = overrides(catalogue, one.experiment, one.seed)
            replace = again and one.name in taken
            dvc_queue.add(one.name, one.experiment.targets, given, replace)
            yield one


def states() -> dict[str, State]:
    """Every experiment that DVC's queue or repository holds, by name, the newest of each."""
    from kmerl.experiments import dvc_queue

    found = {ref.name: State(ref.name, "success") for ref in git.experiment_refs()}
    found |= {one.name: _state(one) for one in dvc_queue.entries()}
    return dict(sorted(found.items()))


def _state(one: "Entry") -> State:
    if one.status == "running" and one.exit is None and one.pid and not _alive(one.pid):
        return State(one.name, "lost", "its process is gone (killed, or the machine went down)")
    if one.status != "failed":
        return State(one.name, one.status)
    if one.log is None or not one.log.exists():
        why = "it failed before its first stage; `dvc queue logs` has more"
    else:
        text = one.log.read_text(encoding="utf-8", errors="replace")
        why = reason(text) or f"no error in its log (exit {one.exit})"
    return State(one.name, one.status, why)


def reason(log: str) -> str:
    """The failing stage and the last line of its error, from an experiment's log."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        failed = _FAILED_STAGE.search(line)
        if failed:
            said = [before for before in lines[:number] if not before.startswith(_OF_DVC)]
            return f"{failed[1]}: {said[-1] if said else line}"
    return lines[-1] if lines else ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)  # it is another user's
    return True
