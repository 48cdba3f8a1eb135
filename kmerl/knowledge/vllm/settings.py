"""The `llm` section of params.yaml: which model is asked, how, and what may leave the machine."""

import os
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from kmerl.params import Count, PositiveOrZero, checked


def _listed(given: Any) -> Any:
    """One address is a list of one; variables of the environment, which may hold several with
    blanks between, are filled in."""
    if given is None:
        return None
    listed = given if isinstance(given, list | tuple) else (given,)
    if not all(isinstance(one, str) for one in listed):
        return tuple(listed)  # pydantic says what it should be
    return tuple(address for one in listed for address in os.path.expandvars(one).split())


def _each_once(given: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Without the strokes at their ends."""
    if given is None:
        return None
    found = tuple(address.rstrip("/") for address in given)
    if not found:
        raise ValueError("name one server or more, or null to have one started")
    if len(set(found)) < len(found):
        raise ValueError("name each server once")
    return found


Addresses = Annotated[tuple[str, ...] | None, BeforeValidator(_listed), AfterValidator(_each_once)]


@checked
class Example:
    """A report and the entities it states, shown to the model before the question."""

    report: str
    entities: tuple[str, ...]


@checked
class Price:
    """Of a million tokens, in any currency; 0 on one's own machine."""

    prompt: PositiveOrZero
    completion: PositiveOrZero


@checked
class LLM:
    """The `llm` section of params.yaml."""

    model: str
    revision: str
    base_url: Addresses
    allow_remote: bool
    max_model_len: Count
    max_tokens: Count
    temperature: PositiveOrZero
    seed: int
    structured: bool
    system: str
    examples: tuple[Example, ...]
    price: Price
