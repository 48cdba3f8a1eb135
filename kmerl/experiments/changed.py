"""What a run of the chain left changed in the results that git holds, and why it may have."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kmerl.evaluation.metric_files import SUMMARY, flat
from kmerl.experiments import git
from kmerl.experiments.stages import nested
from kmerl.files import parse_yaml

LOCK = "dvc.lock"
RESULTS = (LOCK, "metrics", "plots")

Stages = Mapping[str, Mapping[str, Any]]
"""Of a dvc.lock: what each stage ran with, read and wrote."""


def since_commit() -> str:
    """A few lines on how the results here differ from those that HEAD holds.

    Empty where they do not, or where there is no git, no checkout, no commit or no dvc.lock. Of
    rounding it speaks only where code, parameters and data are those of the committed run.

    Raises:
        ValueError: a dvc.lock is no YAML.
    """
    differing = git.changed(RESULTS)
    places = [one for one in RESULTS if any(nested(one, path) for path in differing)]
    committed = git.read("HEAD", f"./{LOCK}") if places else None
    if committed is None or not Path(LOCK).exists():
        return ""
    before = _stages(committed, f"{LOCK} of HEAD")
    now = _stages(Path(LOCK).read_bytes(), LOCK)
    moved = [name for name in now if _outs(now[name]) != _outs(before.get(name, {}))]
    if not moved:
        return ""
    if _inputs(now) != _inputs(before):
        return (
            "Results are no longer those that are committed, and neither are code, parameters or "
            "data: `dvc metrics diff` says what moved."
        )
    first = [name for name in moved if _deps(now[name]) == _deps(before[name])]
    lines = [
        f"Results differ from those that are committed ({', '.join(places)}): {len(moved)} of "
        f"{len(now)} stages wrote other bytes, beginning with {', '.join(first)}.",
        *_largest(),
        "Code, parameters and data are the committed run's, so this is rounding: another kind of",
        "processor, number of threads or build of a library sums in another order.",
        'Which stages can differ: docs/evaluation.md, "The same bytes".',
        "How far that moves a number: the noise floor in docs/results.md.",
        "To have the committed files back, and these kept aside:",
        f"    git stash push {' '.join(places)}",
    ]
    return "\n".join(lines)


def _stages(lock: bytes, where: str) -> Stages:
    found: Stages = (parse_yaml(lock, where) or {}).get("stages", {})
    return found


def _outs(stage: Mapping[str, Any]) -> dict[str, Any]:
    return {out["path"]: out.get("md5") for out in stage.get("outs", [])}


def _deps(stage: Mapping[str, Any]) -> dict[str, Any]:
    return {dep["path"]: dep.get("md5") for dep in stage.get("deps", [])}


def _inputs(stages: Stages) -> dict[str, Any]:
    """What each stage ran with and read, less what another stage wrote."""
    written = [path for stage in stages.values() for path in _outs(stage)]
    return {
        name: (
            stage["cmd"],
            stage.get("params"),
            {
                path: md5
                for path, md5 in _deps(stage).items()
                if not any(nested(path, out) for out in written)
            },
        )
        for name, stage in stages.items()
    }


def _largest() -> list[str]:
    """The number of a summary that moved farthest, as a line."""
    moves = []
    for file in sorted(SUMMARY.glob("*.json")):
        committed = git.read("HEAD", f"./{file.as_posix()}")
        if committed is None:
            continue
        before = dict(flat(json.loads(committed)))
        for path, value in flat(json.loads(file.read_bytes())):
            if isinstance(value, float) and isinstance(before.get(path), float):
                name = f"{file.as_posix()} {'.'.join(path)}"
                moves.append((abs(value - before[path]), name, before[path], value))
    if not moves:
        return []
    far, name, was, value = max(moves)
    if not far:
        return ["No number of a summary moved (`dvc metrics diff`)."]
    return [f"Largest change of a summary (`dvc metrics diff`): {name} {was} -> {value}."]
