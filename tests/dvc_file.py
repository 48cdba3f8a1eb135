"""dvc.yaml as plain YAML: its stages with a profile's values, its graph, and what code reads."""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from kmerl.params import SECTIONS
from tests.import_closure import ROOT, is_method
from tests.import_closure import closure as uncached_closure

closure = cache(uncached_closure)

PROFILES = sorted(path.stem for path in (ROOT / "params").glob("*.yaml"))
CODE = re.compile(r"(kmerl|stages)/")


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml, or one item of a `foreach`."""

    name: str
    item: str
    desc: str
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]

    @property
    def address(self) -> str:
        return f"{self.name}@{self.item}" if self.item else self.name

    @property
    def data(self) -> list[str]:
        """The deps that are no code."""
        return [dep for dep in self.deps if not CODE.match(dep)]


@cache
def profile(name: str) -> dict[str, Any]:
    return parsed(ROOT / "params" / f"{name}.yaml")


def parsed(path: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it is built
    return yaml.load(path.read_text(encoding="utf-8"), loader)


@cache
def stages(name: str = "demo") -> tuple[Stage, ...]:
    """Every stage with a profile's parameters filled in."""
    values = profile(name)
    declared = parsed(ROOT / "dvc.yaml")["stages"]
    found = []
    for stage, body in declared.items():
        if "foreach" in body:
            for key, item in filled(body["foreach"], values).items():
                found.append(expanded(stage, body["do"], {**values, "key": key, "item": item}))
        else:
            found.append(expanded(stage, body, values))
    return tuple(found)


def expanded(name: str, body: Mapping[str, Any], values: Mapping[str, Any]) -> Stage:
    known = {"desc", "cmd", "deps", "params", "outs", "metrics", "plots"}
    assert set(body) <= known, f"{name}: {sorted(set(body) - known)} are not checked here"
    outs = [*body.get("outs", []), *body.get("metrics", []), *body.get("plots", [])]
    return Stage(
        name=name,
        item=values.get("key", ""),
        desc=body.get("desc", ""),
        cmd=filled(body["cmd"], values),
        deps=tuple(filled(dep, values) for dep in body.get("deps", [])),
        params=tuple(filled(param, values) for param in body.get("params", [])),
        outs=tuple(
            filled(path, values) for out in outs for path in ([out] if is_text(out) else out)
        ),
    )


def is_text(value: object) -> bool:
    return isinstance(value, str)


def filled(text: str, values: Mapping[str, Any]) -> Any:
    """`${a.b}` replaced by its value; a text that is nothing else becomes the value itself."""

    def value(path: str) -> Any:
        node: Any = values
        for part in path.split("."):
            node = node[part]
        return node

    whole = re.fullmatch(r"\$\{([\w.-]+)\}", text)
    if whole:
        return value(whole[1])
    return re.sub(r"\$\{([\w.-]+)\}", lambda match: str(value(match[1])), text)


def roots(values: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(corpus["root"] for corpus in values["corpora"].values())


@cache
def sections_read(source: str) -> frozenset[str]:
    """Sections of params.yaml that a module takes by name.

    Ways to take one: `params.load("x", ...)`, `params.seed()`, `values["x"]`,
    `params.read()["x"]` or `.get("x")`, and the names in a module's tuple `SETTINGS`.
    """
    found: set[str] = set()
    if not re.search(r"params|values|SETTINGS", source):
        return frozenset()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
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
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and is_text(n.value)}


def paths_named(source: str) -> set[str]:
    """Folders and files below data/, metrics/ or plots/ that a script's strings name."""
    texts = strings(ast.parse(source))
    return {text.rstrip("/") for text in texts if re.match(r"(data|metrics|plots)/\S+$", text)}


def method_sections(paths: Iterable[str]) -> set[str]:
    """Fields of each method's `MethodParams`: the sections that make its model."""
    classes = [
        node
        for path in paths
        if is_method(path)
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.name == "MethodParams"
    ]
    assert classes, "no method declares MethodParams"
    return {ast.unparse(f.target) for c in classes for f in c.body if isinstance(f, ast.AnnAssign)}


@cache
def sections_of_stage(stage: Stage) -> set[str]:
    """All sections that a stage's code takes, but for `runtime` and a root that is a dep."""
    modules = [path for path in closure(stage.name) if path.endswith(".py")]
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in modules}
    found: set[str] = set()
    for path, source in sources.items():
        if path != "kmerl/params.py":
            found |= sections_read(source)
        if ".sections_of(" in source:
            found |= method_sections(modules)
    if any(dep.startswith(roots(profile("demo"))) for dep in stage.deps):
        found.discard("corpora")
    return found - {"runtime"}


@cache
def parents(name: str = "demo") -> dict[str, set[str]]:
    """Each stage's address, and those whose outputs it reads."""
    return {
        stage.address: {
            other.address
            for other in stages(name)
            if any(nested(dep, out) for dep in stage.data for out in other.outs)
        }
        for stage in stages(name)
    }


def within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def nested(a: str, b: str) -> bool:
    """Whether one path is, or holds, the other."""
    return within(a, b) or within(b, a)


def stale(*params: str) -> set[str]:
    """Names of the stages that run again when these params change, if every output changes."""
    keys = [param.replace(".", "/") for param in params]
    found = {
        stage.address
        for stage in stages()
        for listed in stage.params
        if any(nested(key, listed.replace(".", "/")) for key in keys)
    }
    for address in TopologicalSorter(parents()).static_order():
        if parents()[address] & found:
            found.add(address)
    return {address.split("@")[0] for address in found}
