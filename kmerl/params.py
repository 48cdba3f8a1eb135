"""params.yaml, read strictly: every key is known, every known key is there.

Each module keeps its own frozen dataclass (one section of params.yaml); this file only checks.
Defaults live in params.yaml alone.
"""

import dataclasses
import difflib
import re
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

SECTIONS = (
    "seed",
    "corpora",
    "synthesize",
    "ingest",
    "splits",
    "text",
    "reports",
    "llm",
    "extract",
    "verify",
    "merge",
    "aggregate",
    "label_matrix",
    "text_encoder",
    "method",
    "options",
    "signal",
    "encoder",
    "mask",
    "query_network",
    "loss",
    "pretrain",
    "prompts",
    "encode",
    "zero_shot",
    "linear_probe",
    "fine_tune",
    "partial_leads",
    "seen_unseen",
    "statistics",
    "report",
    "runtime",
)

Section = TypeVar("Section")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Numbers as DVC writes them, in YAML 1.2: 1e-05 is one, which YAML 1.1 reads as a word."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789")
)


class ParamsError(ValueError):
    """A key of params.yaml is unknown, missing or of the wrong type; the message names it."""


def parse(text: str | bytes) -> Any:
    """YAML as DVC reads and writes it: params.yaml, dvc.lock."""
    return yaml.load(text, Loader=_Loader)


def read(path: Path | str = "params.yaml") -> dict[str, Any]:
    """The whole file as a dictionary; unknown top-level keys are an error."""
    path = Path(path)
    if not path.exists():
        raise ParamsError(f"{path} does not exist; copy one of params/*.yaml to {path}")
    values = parse(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ParamsError(f"{path} holds no mapping of parameters")
    _reject_unknown(values, SECTIONS, str(path))
    return values


def load(section: str, kind: type[Section], path: Path | str = "params.yaml") -> Section:
    """One section of params.yaml as its frozen dataclass.

    Raises:
        ParamsError: an unknown key (with the nearest known one), a missing key, a wrong type.
    """
    values = read(path)
    if section not in values:
        raise ParamsError(f"{path}: section {section!r} is missing")
    return build(kind, values[section], section)


def seed(path: Path | str = "params.yaml") -> int:
    """The one seed from which every random generator of the chain is derived."""
    value = read(path).get("seed")
    if not isinstance(value, int) or isinstance(value, bool):
        raise ParamsError(f"{path}: seed is {value!r}; it must be a whole number")
    return value


def build(kind: type[Section], values: Any, where: str) -> Section:
    """A dataclass from a mapping, checked key by key and type by type."""
    if not isinstance(values, dict):
        raise ParamsError(f"{where} is {values!r}; it must be a mapping")
    fields = {f.name: f for f in dataclasses.fields(typing.cast(Any, kind))}
    _reject_unknown(values, tuple(fields), where)
    hints = typing.get_type_hints(kind)
    missing = [name for name in fields if name not in values]
    if missing:
        raise ParamsError(f"{where}.{missing[0]} is missing; params/demo.yaml shows every key")
    return kind(**{name: _convert(values[name], hints[name], f"{where}.{name}") for name in fields})


def _reject_unknown(values: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise ParamsError(f"{where}: unknown key {key!r}; typo? {hint}")


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        options = typing.get_args(hint)
        if value not in options:
            raise ParamsError(f"{where} is {value!r}; choose one of {', '.join(map(str, options))}")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
        return _convert(value, hint, where)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ParamsError(f"{where} is {value!r}; it must be a list")
        item = typing.get_args(hint)[0]
        return tuple(_convert(v, item, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ParamsError(f"{where} is {value!r}; it must be a mapping")
        item = typing.get_args(hint)[1]
        return {k: _convert(v, item, f"{where}.{k}") for k, v in value.items()}
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ParamsError(f"{where} is {value!r}; it must be {hint.__name__}")
    return value
