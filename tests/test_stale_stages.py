"""Only what must run again runs again: for every key that an experiment sets, by DVC's word, and
for code that changes."""

import contextlib
import json
from pathlib import Path

import networkx
import pytest

from kmerl.experiments import catalogue
from kmerl.experiments.catalogue import changed
from kmerl.experiments.stages import flat, nested
from tests.dvc_file import PROFILES, profile, stages, stale
from tests.import_closure import NEUTRAL, ROOT

NAMES = list(dict.fromkeys(stage.name for stage in stages()))


def after(name):
    return set(NAMES[NAMES.index(name) :])


TRAINED = after("pretrain")
ENCODED = after("encode") - {"fine_tune"}
STALE = {  # a key, or the section of one, and the stages that run again when it changes
    "runtime": set(),
    "seed": after("synthesize"),
    **{key: {"splits", *after("encode")} for key in ("splits.source", "splits.labels")},
    **{key: {"reports", *after("extract")} for key in ("text", "reports")},
    **dict.fromkeys(("llm", "extract"), after("extract")),
    **{name: after(name) for name in ("verify", "merge", "aggregate")},
    "text_encoder": after("embed_text"),
    **dict.fromkeys(("options", "signal", "encoder", "mask"), TRAINED),
    "method": TRAINED | {"check"},
    **dict.fromkeys(
        ("query_network", "loss", "pretrain.share", "pretrain.fresh", "pretrain.nudge"), TRAINED
    ),
    **dict.fromkeys(("prompts", "encode"), ENCODED),
    "zero_shot": {"zero_shot", "partial_leads", "seen_unseen", "report", "paper"},
    "linear_probe": {"linear_probe", "partial_leads", "report"},
    **{name: {name, "report"} for name in ("fine_tune", "partial_leads")},
    "seen_unseen": {"seen_unseen", "report", "paper"},
    "statistics": after("zero_shot"),
    "report": {"report", "check"},
}


def keys_of_experiments():
    known = catalogue.read(ROOT / "experiments.yaml", ROOT / "params.yaml")
    return sorted(set(known.every).union(*(one.set for one in known.experiments.values())))


@pytest.mark.parametrize("key", sorted({*STALE, *keys_of_experiments()}))
def test_each_key_runs_what_it_must_and_no_more(key):
    known = [place for place in STALE if key == place or key.startswith(f"{place}.")]
    assert len(known) == 1, f"{key}: say in STALE which stages it makes stale"
    assert stale(key) == STALE[known[0]]


# ---------------------------------------------------------------- DVC's own answer

QUIET = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # of a library of DVC's
ASKED = {
    "mask.min_leads": 10,
    "llm.model": "google/gemma-2-9b-it",
    "extract.backend": "vllm",
    "linear_probe.epochs": 7,
    "prompts": "ckepe",
    "statistics.level": 0.9,
    "runtime.threads": 3,
}
TOUCHED = {  # code, and what runs again by its change where `method` is kmerl
    ("kmerl/methods/crt.py", "kmerl/cost/cost.py", *NEUTRAL): set(),
    ("kmerl/methods/kmerl.py",): TRAINED,
    ("kmerl/evaluation/probe_fit.py",): {"linear_probe", "partial_leads", "report"},
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """dvc.yaml and the demo's params.yaml, with a word in each file of our code and of the data
    that is named; each stage has read its deps, and none ever runs."""
    from dvc.repo import Repo  # slow
    from dvc.utils.serialize import LOADERS

    folder = tmp_path_factory.mktemp("repository")
    code = [path for room in ("kmerl", "stages") for path in (ROOT / room).rglob("*.*")]
    paths = {str(path.relative_to(ROOT)) for path in code if "__pycache__" not in path.parts}
    paths |= {path for stage in stages() for path in (*stage.data, *stage.outs)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(LOADERS, ".yaml", LOADERS[".json"])  # DVC's reader of YAML takes 10 s here
        Path("dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
        Path("params.yaml").write_text(json.dumps(profile("demo")))
        for path in sorted(paths):
            inside = any(other.startswith(f"{path}/") for other in paths)
            file = Path(path, "word") if inside else Path(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(path)
        Repo.init(no_scm=True).close()
        with Repo() as repo:
            with repo.lock:
                for stage in repo.index.stages:
                    stage.save_deps()
            yield repo


@contextlib.contextmanager
def written(path, text):
    """A file holds another text for a while."""
    before = Path(path).read_text()
    Path(path).write_text(text)
    yield
    Path(path).write_text(before)


def with_value(key, value):
    """The demo's params.yaml with another value of a key."""
    return json.dumps(changed(profile("demo"), {key: value}))


def would_run(repo, path, text):
    """The stages of which DVC finds a dep changed once a file holds another text, and all that its
    graph has after them."""
    graph = repo.index.graph  # from a stage to those that it depends on
    deps = [(stage, dep) for stage in repo.index.stages for dep in stage.deps]
    with written(path, text), repo.lock:
        found = {stage for stage, dep in deps if nested(dep.def_path, path) and dep.status()}
    found |= {one for stage in found for one in networkx.ancestors(graph, stage)}
    return {stage.addressing.split("@")[0] for stage in found}


@QUIET
def test_dvc_says_the_same_of_keys(repository):
    for key, value in ASKED.items():
        assert would_run(repository, "params.yaml", with_value(key, value)) == stale(key), key


@QUIET
def test_a_change_of_code_runs_what_uses_it_again_and_no_more(repository):
    for paths, wanted in TOUCHED.items():
        found = set().union(*(would_run(repository, path, "another") for path in paths))
        assert found == wanted, paths


@pytest.mark.parametrize("name", PROFILES)
def test_no_setting_is_one_that_the_run_cache_cannot_see(name):
    """DVC names a run by its lock without the keys that hold files' sizes, wherever they stand: an
    encoder.size inside a section would get the model of another size. A key of its own is seen."""
    from dvc_data.hashfile.meta import Meta  # slow

    blind = (Meta.PARAM_SIZE, Meta.PARAM_NFILES)
    values = flat(profile(name))
    for stage in stages():
        for key in values:
            within = any(key.startswith(f"{section}.") for section in stage.params)
            unseen = within and set(key.split(".")) & set(blind)
            assert not unseen or key in stage.params, (stage.name, key)


@QUIET
def test_encoders_of_two_sizes_are_two_runs(repository):
    from dvc.stage.cache import _get_stage_hash  # slow

    (stage,) = (one for one in repository.index.stages if one.addressing == "pretrain")

    def run(size):
        with written("params.yaml", with_value("encoder.size", size)), repository.lock:
            stage.save_deps()
        return _get_stage_hash(stage)

    assert run("nano") != run("micro")
