"""The `llm` section of params.yaml: which model is asked, how, and what may leave the machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A report and the entities it states, shown to the model before the question."""

    report: str
    entities: tuple[str, ...]


@dataclass(frozen=True)
class Price:
    """Of a million tokens, in any currency; 0 on one's own machine."""

    prompt: float
    completion: float


@dataclass(frozen=True)
class LLM:
    """The `llm` section of params.yaml."""

    model: str
    revision: str
    base_url: str | None
    allow_remote: bool
    max_model_len: int
    max_tokens: int
    temperature: float
    seed: int
    structured: bool
    system: str
    examples: tuple[Example, ...]
    price: Price
