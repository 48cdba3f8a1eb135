"""dvc.yaml as plain YAML: its stages with a profile's values, its graph, and what code reads."""

import ast
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from kmerl.experiments.stages import Pipeline, Stage, nested, read
from kmerl.files import read_yaml
from kmerl.params import SECTIONS
from tests.import_closure import ROOT, closure, is_method

PROFILES = sorted(path.stem for path in (ROOT / "params").glob("*.yaml"))


@cache
def profile(name: str) -> dict[str, Any]:
    return read_yaml(ROOT / "params" / f"{name}.yaml")


@cache
def pipeline(name: str = "demo") -> Pipeline:
    return read(profile(name), ROOT / "dvc.yaml")


def stages(name: str = "demo") -> tuple[Stage, ...]:
    """Every stage with a profile's parameters filled in."""
    return pipeline(name).stages


@cache
def sections_read(source: str) -> frozenset[str]:
    """Sections of params.yaml that a module takes by name.

    Ways to take one: `params.load("x", ...)`, `params.seed()`, `values["x"]`,
    `params.read()["x"]` or `.get("x")`, `params.value(values, "x.y", ...)`, and the names in a
    module's tuple `SETTINGS`.
    """
    found: set[str] = set()
    if not re.search(r"params|values|SETTINGS", source):
        return frozenset()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("value", "params.value"):
            found |= {text.split(".")[0] for text in strings(node.args[1])}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, method = ast.unparse(node.func.value), node.func.attr
            if owner == "params" and method == "seed":
                found.add("seed")
            elif (owner, method) == ("params", "load") or (method == "get" and is_values(owner)):
                found |= strings(node.args[0])
        elif isinstance(node, ast.Subscript) and is_values(ast.unparse(node.value)):
            found |= strings(node.slice)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SETTINGS":
            found |= strings(node.value)
    return frozenset(found & set(SECTIONS))


def is_values(code: str) -> bool:
    """Whether an expression is the mapping of the whole file."""
    return re.fullmatch(r"(self\.)?values|params\.read\(.*\)", code) is not None


def strings(node: ast.AST) -> set[str]:
    return {
        n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }


def paths_named(source: str) -> set[str]:
    """Folders and files below data/, metrics/ or plots/ that a script's strings name."""
    texts = strings(ast.parse(source))
    return {text.rstrip("/") for text in texts if re.match(r"(data|metrics|plots)/\S+$", text)}


def method_sections(paths: Iterable[str]) -> set[str]:
    """Parameters of each method's `Method`: among them the sections that make its model."""
    made = [
        inside.args.args
        for path in paths
        if is_method(path)
        for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "Method"
        for inside in node.body
        if isinstance(inside, ast.FunctionDef) and inside.name == "__init__"
    ]
    assert made, "no method is made of sections"
    return {parameter.arg for args in made for parameter in args} & set(SECTIONS)


@cache
def sections_of_stage(stage: Stage) -> set[str]:
    """All sections that a stage's code takes, but for `runtime`."""
    modules = [path for path in closure(stage.name) if path.endswith(".py")]
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in modules}
    found: set[str] = set()
    for path, source in sources.items():
        if path != "kmerl/params.py":
            found |= sections_read(source)
        if ".sections_of(" in source:
            found |= method_sections(modules)
    return found - {"runtime"}


def stale(*params: str) -> set[str]:
    """Names of the stages that run again when these keys change, if every output changes but
    that of check, which never does."""
    changed = [key.replace(".", "/") for key in params]
    found = {
        stage.address
        for stage in pipeline().stages
        for listed in stage.params
        if any(nested(key, listed.replace(".", "/")) for key in changed)
    }
    for address in pipeline().order:
        if pipeline().parents[address] & (found - {"check"}):
            found.add(address)
    return {address.split("@")[0] for address in found}
