"""Questions to the LLM: the paper's prompts with what they are asked of, and the reply's form."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any

from kmerl.files import read_yaml
from kmerl.knowledge.backend import MiningError
from kmerl.knowledge.vllm.settings import LLM

LONGEST_NAME = 80  # characters of an entity's name
MOST_ENTITIES = 32  # in one text
CHOICES = ("YES", "NO")
VERDICT_TOKENS = 8
CHARACTERS_PER_TOKEN = 3  # fewer than any tokenizer in use has in English, so estimates are high
MARGIN = 64  # tokens of chat templates
QUOTED = 300  # characters that a repair prompt shows of a reply too long to be shown

Message = dict[str, str]


@dataclass(frozen=True)
class Question:
    """One request: what it is about (for lists of failures), the messages, the reply's form."""

    kind: str  # extract | verify | merge | aggregate
    about: str
    messages: tuple[Message, ...]
    constraint: dict[str, Any]  # further fields of the request body
    max_tokens: int | None  # None: all that the context leaves


@lru_cache(maxsize=1)
def prompts() -> dict[str, Any]:
    found: dict[str, Any] = read_yaml(resources.files("kmerl.knowledge.vllm") / "prompts.yaml")
    return found


def version() -> int:
    return int(prompts()["version"])


def extract(number: int, text: str, settings: LLM) -> Question:
    """For the entities of statement `number`; the examples of params.yaml come before it."""
    shown = [
        message
        for example in settings.examples
        for message in (
            _user("extract", text=example.report),
            {"role": "assistant", "content": json.dumps(list(example.entities))},
        )
    ]
    schema = {"type": "array", "items": _name(), "maxItems": MOST_ENTITIES}
    return Question(
        "extract",
        f"statement {number}",
        (*_system(settings), *shown, _user("extract", text=text)),
        _json("entities", schema, settings),
        settings.max_tokens,
    )


def verify(number: int, text: str, entity: str, settings: LLM) -> Question:
    """YES or NO for one entity of statement `number`."""
    choice = {"structured_outputs": {"choice": list(CHOICES)}} if settings.structured else {}
    return Question(
        "verify",
        f"statement {number}: {entity}",
        (*_system(settings), _user("verify", text=text, entity=entity)),
        choice,
        VERDICT_TOKENS,
    )


def merge(about: str, names: Sequence[str], settings: LLM) -> Question:
    """The merged name of each of `names`."""
    schema = {
        "type": "object",
        "properties": {name: _name() for name in names},
        "required": list(names),
        "additionalProperties": False,
    }
    return _of_list("merge", about, names, schema, settings)


def aggregate(about: str, names: Sequence[str], settings: LLM) -> Question:
    """Superclasses of `names` with the names below each."""
    children = {"type": "array", "items": {"enum": list(names)}, "minItems": 1}
    schema = {"type": "object", "additionalProperties": children}
    return _of_list("aggregate", about, names, schema, settings)


def repaired(question: Question, reply: str, reason: str, settings: LLM) -> Question:
    """The same question after an unusable reply: the reply, why it is, and what is wanted.

    Only the beginning of the reply is shown where it leaves no room for another one.
    """
    ask = prompts()["repair"].format(reason=reason, form=prompts()[question.kind]["form"])

    def shown(text: str) -> tuple[Message, ...]:
        again = ({"role": "assistant", "content": text}, {"role": "user", "content": ask})
        return (*question.messages, *again)

    whole = shown(reply)
    fits = _room(whole, settings) >= (question.max_tokens or _tokens(reply))
    return replace(question, messages=whole if fits else shown(reply[:QUOTED]))


def chunks(names: Sequence[str], settings: LLM) -> int:
    """Into how many questions a list must be cut so that list and reply fit the context."""
    whole = sum(_tokens(name) for name in names)
    room = settings.max_model_len - MARGIN - _tokens(settings.system) - _tokens(_ask_of_lists())
    longest = max((_tokens(name) for name in names), default=0)
    if 4 * longest > room:
        raise MiningError(
            f"llm.max_model_len is {settings.max_model_len}: too short for a list of names; "
            "set the model's own"
        )
    return -(-4 * whole // room)  # the names once, and up to three times in the reply


def _of_list(
    kind: str, about: str, names: Sequence[str], schema: dict[str, Any], settings: LLM
) -> Question:
    messages = (*_system(settings), _user(kind, names=json.dumps(list(names), ensure_ascii=False)))
    return Question(kind, about, messages, _json(kind, schema, settings), None)


def _room(messages: Sequence[Message], settings: LLM) -> int:
    """Tokens of the context that are left for a reply."""
    prompt = sum(_tokens(message["content"]) for message in messages)
    return settings.max_model_len - prompt - MARGIN


def _user(kind: str, **given: str) -> Message:
    prompt = prompts()[kind]
    parts = [prompt["ask"].format(**given), prompt["given"].format(**given)]
    return {"role": "user", "content": "\n".join(part for part in parts if part)}


def _system(settings: LLM) -> list[Message]:
    return [{"role": "system", "content": settings.system}] if settings.system else []


def _name() -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}


def _json(name: str, schema: dict[str, Any], settings: LLM) -> dict[str, Any]:
    if not settings.structured:
        return {}
    form = {"name": name, "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def _tokens(text: str) -> int:
    return len(text) // CHARACTERS_PER_TOKEN + 3


def _ask_of_lists() -> str:
    return max((prompts()[kind]["ask"] for kind in ("merge", "aggregate")), key=len)
