"""From what DVC keeps of finished experiments to `Run`s: metrics, scale, commit, hashes."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from kmerl.experiments import git
from kmerl.experiments.catalogue import Catalogue, Experiment
from kmerl.experiments.lock import Lock
from kmerl.experiments.runs import Run, Value
from kmerl.experiments.stages import below, flat
from kmerl.files import parse_yaml
from kmerl.store.pairs import corpora_of

_QUEUED_NAME = re.compile(r"(?P<experiment>.+)-s(?P<seed>\d+)")
OF_THE_MACHINE = ("seed", "runtime", "corpora", "splits.merl", "llm.base_url", "llm.allow_remote")
"""Keys in which a run may differ from a profile and still be at its scale: where files lie."""


def collect(catalogue: Catalogue) -> tuple[dict[tuple[str, str, int], Run], dict[str, str]]:
    """Every experiment of this repository that ended well and that `catalogue` names, by its key,
    the newest of each; and what was left out with why."""
    runs, ignored = {}, {}
    for ref in git.experiment_refs():
        named = _QUEUED_NAME.fullmatch(ref.name)
        experiment = catalogue.experiments.get(named["experiment"]) if named else None
        if named is None or experiment is None:
            ignored[ref.name] = "no row of experiments.yaml has this name"
            continue
        params = flat(_yaml(ref.revision, "params.yaml"))
        set_to = {"seed": int(named["seed"]), **catalogue.every, **experiment.set}
        other = _other_values(params, experiment.name, set_to)
        if other:
            ignored[ref.name] = other
            continue
        run = _run(ref, experiment, int(named["seed"]), params, catalogue)
        runs[run.key] = run
    return runs, ignored


def _run(
    ref: git.Ref, experiment: Experiment, seed: int, params: Mapping[str, Any], known: Catalogue
) -> Run:
    text = git.read(ref.revision, "dvc.lock") or b""
    lock = Lock(parse_yaml(text, "dvc.lock") or {}, params)
    metrics = known.metrics()
    paths = {name: f"metrics/{name}.json" for name in {metric.split(".")[0] for metric in metrics}}
    held = {
        name: _json(git.read(ref.revision, path))
        for name, path in paths.items()
        if lock.is_of_this_run(path)
    }
    found = {metric: _value(held, metric.split(".")) for metric in metrics}
    changed = (*OF_THE_MACHINE, *known.every, *experiment.set)
    return Run(
        experiment=experiment.name,
        seed=seed,
        scale=scale(params, profiles(ref.commit), changed),
        words=words(params, _json(git.read(ref.revision, "metrics/pretrain.json"))),
        commit=ref.commit,
        revision=ref.revision,
        lock=hashlib.sha256(text).hexdigest(),
        values={metric: value for metric, value in found.items() if value.value is not None},
    )


def scale(
    params: Mapping[str, Any],
    known: Mapping[str, Mapping[str, Any]],
    changed: tuple[str, ...],
) -> str:
    """The profile whose values these are but for the keys `changed`, or "own"."""

    def compared(values: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in values.items() if not any(below(k, key) for key in changed)}

    here = compared(params)
    return next((name for name, values in known.items() if compared(values) == here), "own")


def words(params: Mapping[str, Any], pretrain: Mapping[str, Any]) -> str:
    """The scale in plain words: "1,200 simulated records, nano encoder, 8 epochs".

    The same for every seed, as rows are averaged by it: each seed simulates records of which a few
    more or fewer can be used, and draws another share of the pairs.
    """
    size = f"{params['encoder.size']} encoder"
    if not pretrain.get("epoch"):
        return f"{size}, untrained"
    trained, share = corpora_of(params["pretrain.corpus"]), ""
    records = sum(params.get(f"synthesize.records.{corpus}") or 0 for corpus in trained)
    if params["pretrain.share"] < 100:
        share = f"{params['pretrain.share']:g} % of "
    if records:
        pairs = f"{share}{records:,} simulated records"
    else:
        pairs = f"{share}the pairs" if share else f"{int(pretrain['pairs']):,} pairs"
    if params.get("text.source") == "scp":
        pairs += ", texts from labels"
    return f"{pairs}, {size}, {params['pretrain.epochs']} epochs"


@lru_cache
def profiles(commit: str) -> dict[str, dict[str, Any]]:
    """The profiles of a commit, flat, by name."""
    return {
        PurePosixPath(path).stem: flat(_yaml(commit, path)) for path in git.names(commit, "params/")
    }


def _other_values(params: Mapping[str, Any], name: str, set_to: Mapping[str, Any]) -> str:
    """Where the run is not what experiments.yaml says today; empty where it is."""
    for key, value in set_to.items():
        if params.get(key) != value:
            return f"it ran with {key}={params.get(key)}; {name} is {key}={value}"
    return ""


def _value(held: Any, keys: list[str]) -> Value:
    for key in keys[:-1]:
        held = held.get(key, {})
    return Value(*(held.get(keys[-1] + end) for end in ("", "_lo", "_hi")))


def _yaml(revision: str, path: str) -> Any:
    return parse_yaml(git.read(revision, path) or b"", f"{path} of {revision}") or {}


def _json(text: bytes | None) -> Any:
    return json.loads(text) if text else {}
