"""params.yaml, read strictly: every key known, every known key there, every value in its range.

Each module declares its own section of the file, a class that is `checked`; this file only checks.
Defaults live in params.yaml alone.
"""

import dataclasses
import difflib
import json
import math
import re
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, dataclass_transform

import pydantic.dataclasses
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from kmerl.files import read_yaml

SECTIONS = (
    "seed", "corpora", "synthesize", "ingest", "splits", "text", "reports", "llm", "extract",
    "verify", "merge", "aggregate", "label_matrix", "text_encoder", "method", "options", "signal",
    "encoder", "mask", "query_network", "loss", "pretrain", "prompts", "encode", "zero_shot",
    "linear_probe", "fine_tune", "partial_leads", "seen_unseen", "statistics", "report",
    "runtime",
)  # fmt: skip
"""In the order of the file."""

MOST = 2**31 - 1
"""Above what any count, weight or time of ours can be, and within what every library can take."""

Built = TypeVar("Built")
Count = Annotated[int, Field(ge=1, le=MOST)]
CountOrZero = Annotated[int, Field(ge=0, le=MOST)]
Seed = Annotated[int, Field(ge=0, le=MOST)]
Positive = Annotated[float, Field(gt=0, le=MOST)]
PositiveOrZero = Annotated[float, Field(ge=0, le=MOST)]
Factor = Annotated[float, Field(ge=1, le=MOST)]
Share = Annotated[float, Field(ge=0, le=1)]
ShareAboveZero = Annotated[float, Field(gt=0, le=1)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]
ProperShare = Annotated[float, Field(gt=0, lt=1)]
Decibel = Annotated[float, Field(ge=-100, le=100)]

LONGEST = 100  # characters of a value that a message shows
SECRET = re.compile(r"//[^/@\s]*@")
"""The user name and password of an address."""

_IN_YAML = {
    "Input should be": "it must be",
    "an object": "a mapping",
    "a valid array": "a list",
    "Value error, ": "",
}
"""pydantic's words, which are JSON's, and those of a person who writes YAML."""


class ParamsError(ValueError):
    """A key of params.yaml is unknown, missing or its value not allowed; the message names it."""


def _no_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"{value} is no number")
    return value


NoFlag = BeforeValidator(_no_flag)
"""Of a choice among numbers, in which `true` would be 1."""


@dataclass_transform(frozen_default=True)
def checked(kind: type[Built]) -> type[Built]:
    """Class decorator: a frozen dataclass whose annotations are checked, ranges among them.

    A check between fields is a `__post_init__` that raises ValueError, the field's name first.
    """
    config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    made: Any = pydantic.dataclasses.dataclass(frozen=True, config=config)(kind)
    return typing.cast(type[Built], made)


def read(path: Path | str = "params.yaml") -> dict[str, Any]:
    """The whole file as a dictionary; unknown top-level keys are an error."""
    values = read_file(path, f"copy one of params/*.yaml to {path}")
    for key in values.keys() - set(SECTIONS):
        raise ParamsError(f"{path}: unknown key {shown(key)}; typo? {nearest(key, SECTIONS)}")
    return values


def value(values: Mapping[str, Any], key: str, kind: type[Built]) -> Built:
    """One dotted key of a params.yaml, which holds `values`, as what it must be.

    Raises:
        ParamsError: it is missing, or something else.
    """
    found: Any = values
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise ParamsError(f"{key} is missing; params/demo.yaml shows every key")
        found = found[part]
    return build(kind, found, key)


def read_file(path: Path | str, advice: str) -> dict[str, Any]:
    """The mapping that a YAML file holds, of plain values alone.

    Args:
        advice: what to do where there is no such file.

    Raises:
        ParamsError: there is none, it cannot be read, holds something else, or a number in it is
            not finite; the message is one line and names the file and, where it can, line and key.
    """
    try:
        values = read_yaml(Path(path))
    except FileNotFoundError:
        raise ParamsError(f"{path} does not exist; {advice}") from None
    except OSError as error:
        raise ParamsError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ParamsError(str(error)) from None
    if not isinstance(values, dict):
        held = "nothing" if values is None else shown(values)
        raise ParamsError(f"{path} holds no mapping of keys to values, but {held}")
    check_finite(values, f"{path}: ")
    return values


def check_finite(values: Any, where: str) -> None:
    """
    Raises:
        ParamsError: NaN, an infinity or a number of no machine stands somewhere, at any depth.
    """
    inside: Iterable[tuple[str, Any]] = ()
    if isinstance(values, dict):
        inside = ((f"{where}.{key}".replace(": .", ": "), value) for key, value in values.items())
    elif isinstance(values, list):
        inside = ((f"{where}[{place}]", value) for place, value in enumerate(values))
    elif isinstance(values, float) and not math.isfinite(values):
        raise ParamsError(f"{where} is {values}; it must be a finite number")
    elif isinstance(values, int) and abs(values) >= 2**63:
        raise ParamsError(f"{where} is {shown(values)}; it must be a number below 2 to the 63rd")
    for place, value in inside:
        check_finite(value, place)


def load(section: str, kind: type[Built], path: Path | str = "params.yaml") -> Built:
    """One section of params.yaml as its class.

    Raises:
        ParamsError: an unknown key (with the nearest known one), a missing key, a wrong value.
    """
    values = read(path)
    if section not in values:
        raise ParamsError(f"{path}: section {section!r} is missing; params/demo.yaml shows it")
    return build(kind, values[section], f"{path}: {section}")


def seed(path: Path | str = "params.yaml") -> int:
    """The one seed from which every random generator of the chain is derived."""
    return load("seed", int, path)


def shown(value: Any) -> str:
    """A value as a message has it: cut where it is long, a password of an address left out."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        text = f"a number of about {int(value).bit_length() * 3 // 10} digits"
    text = SECRET.sub("//***@", text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def options(values: Mapping[str, Any]) -> dict[str, Any]:
    """What section `options` of params.yaml, `values`, says of its method: what stands below that
    method's name, and what stands below none, which goes before.

    Raises:
        ParamsError: it is no mapping.
    """
    given = values.get("options", {})
    if not isinstance(given, Mapping):
        raise ParamsError(f"options is {given!r}; it must be a mapping, {{}} for the defaults")
    everyone = {name: value for name, value in given.items() if not isinstance(value, Mapping)}
    return {**given.get(values["method"], {}), **everyone}


def build(kind: type[Built], values: Any, where: str) -> Built:
    """A checked class, or any type that pydantic knows, from what a YAML or JSON file holds.

    Raises:
        ParamsError: the message begins with `where`, if it is not empty, and the key that is wrong.
    """
    try:
        # As JSON: strictness there lets a list be a tuple and a mapping a class, and no more.
        adapter: TypeAdapter[Built] = _adapter(typing.cast(Any, kind))
        return adapter.validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        found = error.errors()
        unknown = [each for each in found if each["type"] == "unexpected_keyword_argument"]
        raise ParamsError(_message(kind, (unknown or found)[0], where)) from None


def nearest(word: Any, known: Iterable[str]) -> str:
    """What may have been meant by a word that is not known."""
    known = list(known)
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _message(kind: Any, error: Any, where: str) -> str:
    *above, key = error["loc"] or ("",)
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    place = (where + "".join(parts)).replace(": .", ": ").removeprefix(".").removesuffix(".[key]")
    if error["type"] == "unexpected_keyword_argument":
        above_it = place.removesuffix(f".{key}")
        near = nearest(key, _fields(kind, above))
        return f"{above_it}: unknown key {shown(key)}; typo? {near}"
    if error["type"] == "missing":
        hint = "; params/demo.yaml shows every key" if where.rpartition(": ")[2] in SECTIONS else ""
        return f"{place} is missing{hint}"
    said = error["msg"]
    for words, ours in _IN_YAML.items():
        said = said.replace(words, ours)
    if error["type"] == "value_error":  # of a whole class: it begins with a field's name
        between = "." if isinstance(error["input"], dict) else ": "
        return f"{place}{between}{said}".replace(": .", ": ")
    return f"{place} is {shown(error['input'])}; {said}"


def _fields(kind: Any, path: Iterable[str | int]) -> list[str]:
    """The keys of the class that stands at a path below another."""
    for key in path:
        if dataclasses.is_dataclass(kind):
            kind = typing.get_type_hints(kind)[str(key)]
        else:
            kind = typing.get_args(kind)[-1 if isinstance(key, str) else 0]
    return [field.name for field in dataclasses.fields(kind)]
