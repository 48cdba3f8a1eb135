"""Replies of an LLM, read strictly: whatever is not the form that was asked for has a reason."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kmerl.knowledge.backend import Verdict

REFUSAL = re.compile(
    r"\s*(?:i['’]?m sorry|i am sorry|sorry|i can(?:no|['’])t|i am (?:not able|unable)|"
    r"i['’]?m (?:not able|unable)|as an ai)\b",
    re.IGNORECASE,
)
BRACKETED = re.compile(r"\[([^\[\]{}\"]*)\]")
INSIDE = re.compile(r"\[.*\]|\{.*\}", re.DOTALL)


@dataclass(frozen=True)
class Reply:
    """A reply as the server gave it.

    Raises:
        TypeError, ValueError: a library or a file gave another type, or half a character.
    """

    text: str
    finish: str  # stop | length | refusal | rejected
    prompt_tokens: int
    completion_tokens: int

    def __post_init__(self) -> None:
        (self.text + self.finish).encode()
        if {type(self.prompt_tokens), type(self.completion_tokens)} != {int}:
            raise TypeError("tokens are counted in whole numbers")


class UnreadableError(Exception):
    """What came with status 200 is no completion: a page, half of one, JSON of another shape."""


class MalformedError(ValueError):
    """A reply that cannot be used as it is: the reason, and what can be read of it (or None)."""

    def __init__(self, reason: str, partial: Any = None) -> None:
        super().__init__(reason)
        self.reason, self.partial = reason, partial


def completion(body: bytes) -> Reply:
    """The reply that a completion of an OpenAI-compatible server holds; empty without choices.

    Raises:
        UnreadableError: it is no completion.
    """
    try:
        answer = json.loads(body)
        choices, usage = answer["choices"], answer.get("usage")
        if not choices:
            return Reply("", "stop", 0, 0)
        message = choices[0]["message"]
        refused = message.get("refusal")
        text = message.get("content") or refused or ""
        return Reply(
            text.encode("utf-8", "replace").decode(),  # half a surrogate pair cannot be kept
            "refusal" if refused else choices[0].get("finish_reason") or "stop",
            usage["prompt_tokens"] if usage else 0,
            usage["completion_tokens"] if usage else 0,
        )
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        raise UnreadableError from None


def normalised(name: str) -> str:
    """An entity's name in the one form in which names are compared: lower case, single blanks."""
    return " ".join(name.lower().split()).strip(" .,;\"'*")


def entities(reply: Reply) -> list[str]:
    """The names of a list, each once, sorted; also of `[sinus rhythm, lbbb]` without quotes.

    Raises:
        MalformedError: see `_value`; "wrong shape" for anything but a list of names.
    """
    bare = BRACKETED.fullmatch(reply.text.strip())
    try:
        found = _value(reply)
    except MalformedError:
        if bare is None or reply.finish != "stop":
            raise
        found = bare[1].split(",")
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise MalformedError("wrong shape")
    return sorted({name for one in found if (name := normalised(one))})


def verdict(reply: Reply) -> Verdict:
    """YES is POSITIVE and NO is ABSENT.

    Raises:
        MalformedError: the reply is neither.
    """
    _usable(reply)
    word = reply.text.strip(" .\n\"'*").upper()
    if word not in ("YES", "NO"):
        raise MalformedError(
            "prose around yes or no" if re.search(r"\b(YES|NO)\b", word) else "not yes or no"
        )
    return Verdict.POSITIVE if word == "YES" else Verdict.ABSENT


def mapping(reply: Reply, asked: Sequence[str]) -> dict[str, str]:
    """A merged name for every name that was asked, and for no other.

    Raises:
        MalformedError: see `_value`; after "missing keys" and "invented names" the
            good ones are there to be read.
    """
    found = _value(reply)
    if not isinstance(found, dict) or not all(isinstance(to, str) for to in found.values()):
        raise MalformedError("wrong shape")
    known = {normalised(name): name for name in asked}
    good = {
        known[normalised(name)]: normalised(to)
        for name, to in found.items()
        if normalised(name) in known and normalised(to)
    }
    if any(normalised(name) not in known for name in found):
        raise MalformedError("invented names", good)
    if len(good) < len(asked):
        raise MalformedError("missing keys", good)
    return good


def hierarchy(reply: Reply, asked: Sequence[str]) -> dict[str, list[str]]:
    """Superclasses with children that were all asked; a superclass may be a child of another.

    Raises:
        MalformedError: see `_value`; "invented names" leaves the good ones to be read.
    """
    found = _value(reply)
    lists = isinstance(found, dict) and all(
        isinstance(children, list) and all(isinstance(child, str) for child in children)
        for children in found.values()
    )
    if not lists:
        raise MalformedError("wrong shape")
    read: dict[str, list[str]] = {}
    for given, children in found.items():
        if name := normalised(given):
            read.setdefault(name, []).extend(normalised(child) for child in children)
    known = {normalised(name): name for name in asked}
    good = {
        name: sorted({known.get(child, child) for child in children if child in {*known, *read}})
        for name, children in read.items()
    }
    if any(child not in known and child not in read for names in read.values() for child in names):
        raise MalformedError("invented names", good)
    return good


def _value(reply: Reply) -> Any:
    """The JSON value that the reply is.

    Raises:
        MalformedError: empty, a refusal, cut off, not JSON, or JSON with prose around it.
    """
    _usable(reply)
    try:
        return _read(reply.text)
    except ValueError:
        pass
    inside = INSIDE.search(reply.text)
    try:
        _read(inside[0] if inside else "")
    except ValueError:
        raise MalformedError("not json") from None
    raise MalformedError("prose around json")


def _read(text: str) -> Any:
    try:
        found = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("too many brackets") from None
    json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _usable(reply: Reply) -> None:
    if reply.finish == "rejected":
        raise MalformedError("rejected by the server")
    if not reply.text.strip():
        raise MalformedError("empty")
    if reply.finish == "refusal" or REFUSAL.match(reply.text):
        raise MalformedError("refusal")
    if reply.finish == "length":
        raise MalformedError("truncated")
