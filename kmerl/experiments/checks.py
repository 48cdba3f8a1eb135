"""Is what a YAML file of ours holds what it may hold? Errors say where and what was meant."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kmerl.params import ParamsError

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SEED_AT_END = re.compile(r"-s\d+$")


class _Loader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys; here the second is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.YAMLError(f"{key!r} stands there twice{key_node.start_mark}")
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> Any:
    """What the file holds.

    Raises:
        ParamsError: there is no such file, it is no YAML, or a mapping has a key twice.
    """
    if not path.exists():
        raise ParamsError(f"{path} does not exist; it stands in the repository's root")
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: {error}") from None


def check_name(name: Any, where: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ParamsError(f"{where}: {name!r} is no name; lower case, digits and hyphens")
    if SEED_AT_END.search(name):
        raise ParamsError(f"{where}: {name!r} ends like a seed (-s0), which `queue` appends")


def check_set(given: Any, values: Mapping[str, Any], where: str) -> None:
    """Each dotted key is one of params.yaml; what is below `options` the method knows."""
    for key in mapping(given, where):
        inner: Any = values
        for part in key.split("."):
            if inner is values.get("options"):
                break
            if not isinstance(inner, dict):
                raise ParamsError(f"{where}: {key!r}: params.yaml has nothing below that")
            check_known(part, inner, f"{where}: {key!r}", "key of params.yaml")
            inner = inner[part]


def check_keys(given: Any, known: Sequence[str], needed: Sequence[str], where: str) -> None:
    for key in mapping(given, where):
        check_known(key, known, where, "key")
    for key in needed:
        if key not in given:
            raise ParamsError(f"{where}.{key} is missing")


def check_known(word: Any, known: Iterable[str], where: str, what: str) -> None:
    choices = [str(choice) for choice in known]
    if word not in choices:
        near = difflib.get_close_matches(str(word), choices, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(choices)}"
        raise ParamsError(f"{where}: {word!r} is no {what}; {hint}")


def mapping(given: Any, where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ParamsError(f"{where} is {given!r}; it must be a mapping")
    return given


def words(given: Any, where: str) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(word, str) for word in given):
        raise ParamsError(f"{where} is {given!r}; it must be a list of words")
    return tuple(given)
