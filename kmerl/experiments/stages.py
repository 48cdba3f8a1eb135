"""The stages of dvc.yaml: what each reads and writes, and the parameters that decide its output."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from kmerl.evaluation import metric_files
from kmerl.files import read_yaml

FILE = Path("dvc.yaml")
KEYS = {"desc", "cmd", "deps", "params", "outs", "metrics", "plots"}
CODE = re.compile(r"(kmerl|stages)/")


@dataclass(frozen=True)
class Stage:
    """One stage, or one item of a `foreach`."""

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


@dataclass(frozen=True)
class Pipeline:
    """All stages, with the values of one params.yaml filled in."""

    stages: tuple[Stage, ...]
    values: Mapping[str, Any]

    @cached_property
    def parents(self) -> dict[str, set[str]]:
        """Each stage's address, and those whose outputs it reads."""
        return {
            stage.address: {
                other.address
                for other in self.stages
                if any(nested(dep, out) for dep in stage.data for out in other.outs)
            }
            for stage in self.stages
        }

    @cached_property
    def order(self) -> list[str]:
        """Each stage's address, behind those of its parents."""
        return list(TopologicalSorter(self.parents).static_order())

    def upstream(self, targets: Iterable[str]) -> set[str]:
        """Names of the stages that run where `targets`, names too, are asked for."""
        wanted = set(targets)
        found = {stage.address for stage in self.stages if stage.name in wanted}
        for address in reversed(self.order):
            if address in found:
                found |= self.parents[address]
        return {address.split("@")[0] for address in found}

    def decided_by(self, stage: str) -> dict[str, Any]:
        """Every parameter that a stage or one before it lists, with its value: two experiments
        that agree in all of them share the stage's output."""
        before = self.upstream([stage])
        listed = {param for one in self.stages if one.name in before for param in one.params}
        return {param: value(self.values, param) for param in sorted(listed)}


def read(values: Mapping[str, Any], path: Path = FILE) -> Pipeline:
    """The file's stages with all of params.yaml, `values`, filled in."""
    found = []
    for name, body in read_yaml(path)["stages"].items():
        if "foreach" in body:
            for key, item in body["foreach"].items():
                inner = {"key": key, "item": filled(item, values)}
                found.append(_stage(name, body["do"], {**values, **inner}))
        else:
            found.append(_stage(name, body, values))
    return Pipeline(tuple(found), values)


def value(values: Mapping[str, Any], key: str) -> Any:
    """What a dotted key of params.yaml holds."""
    inner: Any = values
    for part in key.split("."):
        inner = inner[part]
    return inner


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """{"mask.min_leads": 9} for {"mask": {"min_leads": 9}}; an empty mapping has no key."""
    return {".".join(path): value for path, value in metric_files.flat(values)}


def below(key: str, section: str) -> bool:
    """Whether a dotted key is `section`, or of it."""
    return key == section or key.startswith(f"{section}.")


def filled(text: str, values: Mapping[str, Any]) -> Any:
    """`${a.b}` replaced by its value; a text that is nothing else becomes the value itself."""
    whole = re.fullmatch(r"\$\{([\w.-]+)\}", text)
    if whole:
        return value(values, whole[1])
    return re.sub(r"\$\{([\w.-]+)\}", lambda match: str(value(values, match[1])), text)


def nested(a: str, b: str) -> bool:
    """Whether one path is, or holds, the other."""
    return a == b or a.startswith(f"{b}/") or b.startswith(f"{a}/")


def _stage(name: str, body: Mapping[str, Any], values: Mapping[str, Any]) -> Stage:
    unknown = set(body) - KEYS
    if unknown:
        raise ValueError(f"{FILE}: stage {name}: {sorted(unknown)} is not understood here")
    outs = [*body.get("outs", []), *body.get("metrics", []), *body.get("plots", [])]
    return Stage(
        name=name,
        item=values.get("key", ""),
        desc=body.get("desc", ""),
        cmd=filled(body["cmd"], values),
        deps=_paths(body.get("deps", []), values),
        params=_paths(body.get("params", []), values),
        outs=_paths(outs, values),
    )


def _paths(listed: Sequence[Any], values: Mapping[str, Any]) -> tuple[str, ...]:
    """An entry is a path, or a mapping from a path to what DVC is to do with it."""
    return tuple(
        filled(path, values) for one in listed for path in ([one] if isinstance(one, str) else one)
    )
