"""dvc.yaml says what the code does: its deps, its params and its graph."""

import re
from collections import Counter
from itertools import combinations

import pytest

from benchmarks import scale
from kmerl.experiments.stages import filled, nested, value
from kmerl.files import read_yaml
from tests import dvc_file
from tests.dvc_file import PROFILES, pipeline, profile, stages
from tests.import_closure import ROOT, closure, folded
from tests.mining import BEFORE, MINING

NAMES = [
    "check", "tasks", "synthesize", "ingest", "splits", "pairs", "reports", "extract", "verify",
    "merge", "aggregate", "label_matrix", "embed_text", "pretrain", "encode", "zero_shot",
    "linear_probe", "fine_tune", "partial_leads", "seen_unseen", "report", "paper",
]  # fmt: skip
BY_HAND = ("overrides.yaml", "experiments.yaml", "experiments.json")  # or of another command
EVERY = pytest.mark.parametrize("stage", stages(), ids=lambda stage: stage.address)


# ---------------------------------------------------------------- stages


def test_the_chain_has_these_stages_and_a_script_for_each():
    assert list(dict.fromkeys(stage.name for stage in stages())) == NAMES
    scripts = {path.stem for path in (ROOT / "stages").glob("[a-z]*.py")}
    assert scripts == set(NAMES)


@pytest.mark.parametrize("order", [("ingest", *scale.STAGES), (*BEFORE, *MINING, "label_matrix")])
def test_who_runs_stages_without_dvc_runs_all_that_they_read(order):
    """The full-size benchmark and `make test-vllm`, which the fast suite does not run."""
    before = {"check", "synthesize"}
    for name in (stage.split()[0] for stage in order):
        before.add(name)
        assert pipeline().upstream([name]) <= before, name


def assert_same(listed: set[str], needed: set[str], what: str) -> None:
    missing, superfluous = sorted(needed - listed), sorted(listed - needed)
    assert not missing, f"{what} lack: {', '.join(missing)}"
    assert not superfluous, f"{what} are never used: {', '.join(superfluous)}"


@EVERY
def test_deps_are_the_import_closure_and_data(stage):
    listed = set(stage.deps) - set(stage.data)
    needed = {filled(path, profile("demo")) for path in folded(closure(stage.name))}
    assert_same(listed, needed, f"deps of {stage.address}")
    twice = [dep for dep, count in Counter(stage.deps).items() if count > 1]
    assert not twice, f"{stage.address} lists twice: {', '.join(twice)}"


@EVERY
def test_a_stage_is_described_and_lists_the_data_that_its_script_names(stage):
    assert stage.desc.strip(), f"{stage.address} has no desc"
    assert stage.cmd == f"python -m stages.{stage.name} {stage.item}".strip()
    source = (ROOT / "stages" / f"{stage.name}.py").read_text(encoding="utf-8")
    for path in dvc_file.paths_named(source):
        known = any(nested(path, other) for other in (*stage.data, *stage.outs))
        assert known, f"stages/{stage.name}.py names {path}: neither a dep nor an out"


def test_no_word_of_params_yaml_is_in_a_command():
    """DVC hands a command to a shell before a line of ours has read params.yaml."""
    for name, stage in read_yaml(ROOT / "dvc.yaml")["stages"].items():
        body = stage.get("do", stage)
        keys = stage.get("foreach", {})
        assert isinstance(keys, dict), f"the keys of {name} stand in params.yaml"
        for key in keys or [""]:
            command = body["cmd"].replace("${key}", key)
            assert re.fullmatch(r"[\w. -]+", command), f"{name}: {command}"


# ---------------------------------------------------------------- params


def test_the_reader_of_sources_sees_every_way_to_take_a_section():
    source = """
SETTINGS = ("loss", "encoder")
a = params.load("mask", Mask)
b = params.seed()
c = self.values["signal"]["over"]
d = params.read()["pretrain"]["corpus"]
e = params.read(path).get("corpora") or {}
f = build(Kind, values["ingest"], "ingest")
h = params.value(params.read(), "text.source", str), value(values, f"prompts.{key}", str)
g = values[rows[0]], other["report"], values["no section"]
"""
    wanted = {"loss", "encoder", "mask", "seed", "signal", "pretrain", "corpora", "ingest"}
    wanted |= {"text", "prompts"}
    assert dvc_file.sections_read(source) == wanted


@EVERY
def test_params_are_the_sections_that_the_code_reads(stage):
    listed = {param.split(".")[0] for param in stage.params}
    assert_same(listed, dvc_file.sections_of_stage(stage), f"params of {stage.address}")
    for param in stage.params:
        value(profile("demo"), param)  # an error where there is no such key


# ---------------------------------------------------------------- graph


@pytest.mark.parametrize("name", PROFILES)
def test_what_a_stage_reads_another_stage_makes_without_a_circle(name):
    roots = tuple(corpus["root"] for corpus in profile(name)["corpora"].values())
    for stage in stages(name):
        others = [out for other in stages(name) if other is not stage for out in other.outs]
        for dep in stage.data:
            made = any(nested(dep, out) for out in others)
            owned = stage.name == "ingest" and dep.startswith(roots)
            owned |= dep.startswith(BY_HAND) or dep.startswith(profile(name)["splits"]["merl"])
            assert made or owned, f"{stage.address} reads {dep}, which no other stage makes"
    assert len(pipeline(name).order) == len(stages(name))  # no circle


def test_no_two_stages_write_the_same_place():
    for a, b in combinations([(s.address, out) for s in stages() for out in s.outs], 2):
        assert not nested(a[1], b[1]), f"{a[0]} writes {a[1]}, {b[0]} writes {b[1]}"


def test_collecting_experiments_changes_the_page_of_the_paper_alone():
    reading = [stage.name for stage in stages() if "experiments.json" in stage.deps]
    assert reading == ["paper"]


# ---------------------------------------------------------------- what is the same bytes where


def uses_torch(path: str) -> bool:
    source = (ROOT / path).read_text(encoding="utf-8") if path.endswith(".py") else ""
    return (
        re.search(r"^\s*(import|from) (torch|transformers|safetensors\.torch)\b", source, re.M)
        is not None
    )


def test_the_list_of_stages_that_are_the_same_bytes_on_any_processor_is_that_of_the_chain():
    """Those that neither run torch nor read what such a stage wrote."""
    rounded: set[str] = set()
    for address in pipeline().order:
        name = address.split("@")[0]
        if any(map(uses_torch, closure(name))) or pipeline().parents[address] & rounded:
            rounded.add(address)
    text = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    section = text.split("## The same bytes\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.M)
    listed = [re.findall(r"`(\w+)`", row) for row in rows]
    assert sorted(name for row in listed for name in row) == sorted(NAMES)
    exact = {name.split("@")[0] for name in pipeline().order if name not in rounded}
    assert set(listed[0]) == exact


# ---------------------------------------------------------------- what no file may name


def whole(text: str) -> str:
    """Without the marks that keep this file from holding what it looks for."""
    return text.replace("~", "")


OF_A_MACHINE = re.compile(
    whole(
        r"py~pi\.org|python~hosted|download~\.pytorch|ana~conda\.(?:org|com)|https?://\S*/sim~ple\b"
        r"|index~-url|find~-links|\b[A-Z]:~\\\w"
        r"|(?<![\w.})\]])/~(?:work|tmp|home|root|mnt|opt|var|private|Users)\b"
    )
)


@pytest.mark.parametrize(
    "text",
    [
        "see /~home/me",
        "cd /~tmp",
        "https://py~pi.org/x",
        "https://mirror/api/sim~ple/",
        "C:~\\data",
    ],
)
def test_the_pattern_finds_hosts_and_paths(text):
    assert OF_A_MACHINE.search(whole(text))
    assert not OF_A_MACHINE.search("https://physionet.org/work/x, docs/tmp, ../root, a/var")


def test_no_file_names_an_index_host_or_a_path_of_one_machine():
    folders = ("kmerl", "stages", "tests", "docs", "params", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    names = ("README.md", "Makefile", "requirements*.lock", "*.yaml", "*.toml")
    files += [path for name in names for path in ROOT.glob(name)]
    no_text = ("__pycache__", ".safetensors")
    files = [path for path in files if not {*path.parts, path.suffix} & {*no_text}]
    assert len(files) > 100
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in files
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if OF_A_MACHINE.search(line)
    ]
    assert not found, "\n".join(found)
