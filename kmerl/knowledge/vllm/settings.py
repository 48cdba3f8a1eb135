"""The `llm` section of params.yaml: which model is asked, how, and what may leave the machine."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from kmerl.params import Count, PositiveOrZero, checked


def _addresses(given: Any) -> Any:
    """One address or a list of them, each without the stroke at its end.

    Raises:
        ValueError: it is something else, no address at all, or one of them stands twice.
    """
    if given is None:
        return None
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed):
        raise ValueError("it must be an address, a list of addresses, or null")
    found = tuple(address.rstrip("/") for address in listed)
    if not found:
        raise ValueError("name one or more servers, or null to have one started")
    if len(set(found)) < len(found):
        raise ValueError("each server once")
    return found


Addresses = Annotated[tuple[str, ...] | None, BeforeValidator(_addresses)]


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
