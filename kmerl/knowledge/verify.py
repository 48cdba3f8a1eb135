"""Verification: which of the extracted expressions a statement really states (Sec. 3.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kmerl.knowledge.backend import Backend, Verdict


@dataclass(frozen=True)
class Verify:
    """The `verify` section of params.yaml."""

    hedged: Literal["positive", "drop"]


@dataclass(frozen=True)
class Verified:
    """One expression of one statement, how it is stated, and whether it becomes a label."""

    statement: int
    entity: str
    verdict: Verdict
    kept: bool


def kept(verdict: Verdict, hedged: str) -> bool:
    """Whether a verdict makes a positive label; `hedged` is "positive" or "drop"."""
    return verdict is Verdict.POSITIVE or (verdict is Verdict.HEDGED and hedged == "positive")


def verify(
    texts: Sequence[str], entities: Sequence[Sequence[str]], backend: Backend, hedged: str
) -> list[Verified]:
    """The verdict on each expression of each statement, in the order of the statements."""
    return [
        Verified(statement, name, verdict, kept(verdict, hedged))
        for statement, (names, verdicts) in enumerate(
            zip(entities, backend.verify(texts, entities), strict=True)
        )
        for name, verdict in zip(names, verdicts, strict=True)
    ]
