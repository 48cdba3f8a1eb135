"""Only what must run again runs again: for every key that an experiment sets, and by DVC's word."""

import logging
from pathlib import Path
from typing import Any

import networkx
import pytest
import yaml
from dvc.stage.cache import _get_stage_hash
from dvc_data.hashfile.meta import Meta

from kmerl.cost.cost import changed
from kmerl.experiments import catalogue
from kmerl.experiments.collecting import flat
from kmerl.experiments.stages import CODE
from tests.dvc_file import parsed, profile, stages, stale
from tests.import_closure import ROOT

NAMES = list(dict.fromkeys(stage.name for stage in stages()))


def after(name: str) -> set[str]:
    """Of a run: stage `paper` shows what experiments gave."""
    return set(NAMES[NAMES.index(name) :]) - {"paper"}


MINING = {"reports", "extract", "verify", "merge", "aggregate", "label_matrix"}
TRAINED = after("pretrain")
ENCODED = after("encode") - {"fine_tune"}
STALE = {  # a key, or the section of one, and the stages that run again when it changes
    "reports": {"reports", *after("extract")},
    "llm": after("extract"),
    "extract": after("extract"),
    "verify": after("verify"),
    "merge": after("merge"),
    "aggregate": after("aggregate"),
    "text_encoder": after("embed_text"),
    "seed": TRAINED,
    "method": TRAINED,
    "options": TRAINED | {"paper"},  # which knows the keys that an experiment may set
    "signal": TRAINED,
    "encoder": TRAINED,
    "mask": TRAINED,
    "query_network": TRAINED,
    "loss": TRAINED,
    "pretrain.share": TRAINED,
    "prompts": ENCODED,
    "encode": ENCODED,
    "zero_shot": {"zero_shot", "partial_leads", "seen_unseen", "report"},
    "linear_probe": {"linear_probe", "partial_leads", "report"},
    "fine_tune": {"fine_tune", "report"},
    "partial_leads": {"partial_leads", "report"},
    "seen_unseen": {"seen_unseen", "report"},
    "statistics": after("zero_shot"),
    "report": {"report"},
}


def keys_of_experiments() -> list[str]:
    known = catalogue.read(ROOT / "experiments.yaml", ROOT / "params.yaml")
    found = set(known.every)
    for experiment in known.experiments.values():
        found |= set(experiment.set)
    return sorted(found)


@pytest.mark.parametrize("key", keys_of_experiments())
def test_each_key_that_an_experiment_sets_runs_what_it_must_and_no_more(key):
    known = [place for place in STALE if key == place or key.startswith(f"{place}.")]
    assert len(known) == 1, f"{key}: say in STALE which stages it makes stale"
    assert stale(key) == STALE[known[0]]


def test_an_ablation_of_training_never_mines_and_one_of_evaluation_never_trains():
    early = set(NAMES[: NAMES.index("extract")]) | {"splits"}
    for key, found in STALE.items():
        assert not found & (early - {"reports"}), key
    for key in ("mask", "encoder", "loss", "query_network", "method", "options", "seed"):
        assert not STALE[key] & {*MINING, "embed_text"}, key
    for key in ("linear_probe", "fine_tune", "zero_shot", "statistics", "prompts", "encode"):
        assert not STALE[key] & {*MINING, "embed_text", "pretrain"}, key


# ---------------------------------------------------------------- DVC's own answer

ASKED = {
    "mask.min_leads": 10,
    "llm.model": "google/gemma-2-9b-it",
    "extract.backend": "vllm",
    "linear_probe.epochs": 7,
    "prompts": "ckepe",
    "statistics.level": 0.9,
    "runtime.threads": 3,
}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """dvc.yaml, but for its code deps, and the demo's params.yaml, with a word in place of each
    file that is named, and a dvc.lock that says that all is up to date. No stage ever runs."""
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    whole = parsed(ROOT / "dvc.yaml")
    for body in whole["stages"].values():
        inner = body.get("do", body)
        inner["deps"] = [dep for dep in inner.get("deps", []) if not CODE.match(dep)]
    Path("dvc.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    Path("params.yaml").write_text(yaml.safe_dump(profile("demo"), sort_keys=False))
    paths = {path for stage in stages() for path in (*stage.data, *stage.outs)}
    for path in sorted(paths):
        folder = any(other.startswith(f"{path}/") for other in paths)
        file = Path(path, "word") if folder else Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    logger, level = logging.getLogger("dvc"), logging.getLogger("dvc").level
    logger.setLevel(logging.ERROR)
    Repo.init(str(tmp_path), no_scm=True).close()
    with Repo(str(tmp_path)) as repo:
        repo.commit(force=True)
        yield repo
    logger.setLevel(level)


def would_run(repo: Any, key: str, value: object) -> set[str]:
    """The stages whose params `dvc status` finds changed once a key has another value, and all that
    DVC's graph has after them."""
    values = changed(profile("demo"), {key: value})
    Path("params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    graph = repo.index.graph  # from a stage to those that it depends on
    with repo.lock:
        found = {stage for stage in repo.index.stages if stage.status()}
    found |= {one for stage in found for one in networkx.ancestors(graph, stage)}
    return {stage.addressing.split("@")[0] for stage in found}


@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # of a library of DVC's
def test_dvc_says_the_same(repository):
    found = {key: would_run(repository, key, value) for key, value in ASKED.items()}
    assert found == {key: stale(key) for key in ASKED}


@pytest.mark.parametrize("name", ["demo", "ptbxl", "paper"])
def test_no_setting_is_one_that_the_run_cache_cannot_see(name):
    """DVC names a run by its lock without the keys that hold files' sizes, wherever they stand: an
    encoder.size inside a section would get the model of another size. A key of its own is seen."""
    blind = (Meta.PARAM_SIZE, Meta.PARAM_NFILES)
    values = flat(profile(name))
    for stage in stages():
        for key in values:
            within = any(key.startswith(f"{section}.") for section in stage.params)
            unseen = within and set(key.split(".")) & set(blind)
            assert not unseen or key in stage.params, (stage.name, key)


@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # of a library of DVC's
def test_encoders_of_two_sizes_are_two_runs(repository):
    def run(size: str) -> str:
        values = changed(profile("demo"), {"encoder.size": size})
        Path("params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        (stage,) = (one for one in repository.index.stages if one.addressing == "pretrain")
        with repository.lock:
            stage.save_deps()
        return _get_stage_hash(stage)

    assert run("nano") != run("micro")
