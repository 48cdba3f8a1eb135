"""The `llm` section of params.yaml: which model is asked, how, and what may leave the machine."""

from kmerl.params import Count, PositiveOrZero, checked


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
    base_url: str | None
    allow_remote: bool
    max_model_len: Count
    max_tokens: Count
    temperature: PositiveOrZero
    seed: int
    structured: bool
    system: str
    examples: tuple[Example, ...]
    price: Price
