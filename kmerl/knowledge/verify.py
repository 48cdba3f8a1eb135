"""Verification: which of the extracted expressions a statement really states (Sec. 3.4).

Asked twice: the backend (the paper asks its LLM for YES or NO), and a string check.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from kmerl.knowledge.backend import Backend, Verdict
from kmerl.knowledge.strings import stands
from kmerl.params import checked


@checked
class Verify:
    """The `verify` section of params.yaml."""

    by: Literal["backend", "string", "both"]
    hedged: Literal["positive", "drop"]


@dataclass(frozen=True)
class Verified:
    """One expression of one statement, both verdicts on it, and whether it becomes a label."""

    statement: int
    entity: str
    verdict: Verdict  # the backend's
    string: Verdict  # of the string check
    kept: bool


def kept(verdict: Verdict, hedged: str) -> bool:
    """Whether a verdict makes a positive label; `hedged` is "positive" or "drop"."""
    return verdict is Verdict.POSITIVE or (verdict is Verdict.HEDGED and hedged == "positive")


def verify(
    texts: Sequence[str], entities: Sequence[Sequence[str]], backend: Backend, settings: Verify
) -> list[Verified]:
    """Both verdicts on each expression of each statement, in the order of the statements."""
    answers = backend.verify(texts, entities)
    return [
        _verified(statement, text, name, verdict, settings)
        for statement, (text, names, verdicts) in enumerate(
            zip(texts, entities, answers, strict=True)
        )
        for name, verdict in zip(names, verdicts, strict=True)
    ]


def agreement(found: Iterable[Verified]) -> dict[str, dict[str, int]]:
    """The backend's verdict -> the string check's -> expressions: what each adds to the other."""
    counts = Counter((one.verdict, one.string) for one in found)
    table: dict[str, dict[str, int]] = {}
    for (verdict, string), count in sorted(counts.items()):
        table.setdefault(verdict.value, {})[string.value] = count
    return table


def _verified(statement: int, text: str, name: str, verdict: Verdict, settings: Verify) -> Verified:
    string = stands(text, name)
    asked = {"backend": (verdict,), "string": (string,), "both": (verdict, string)}[settings.by]
    keep = all(kept(one, settings.hedged) for one in asked)
    return Verified(statement, name, verdict, string, keep)
