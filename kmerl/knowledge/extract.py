"""Extraction: the entity expressions of each distinct statement (Sec. 3.4)."""

from collections.abc import Sequence
from typing import Any

from kmerl.knowledge.backend import Backend, Coverage, Name
from kmerl.params import Share, checked


@checked
class Extract:
    """The `extract` section of params.yaml; the backend is that of all four steps."""

    backend: Name
    max_unresolved: Share


def extract(texts: Sequence[str], backend: Backend) -> list[list[str]]:
    """The expressions of each text, sorted, each once; every text is asked once.

    Raises:
        ValueError: two of the texts are the same, or the backend did not answer each of them.
    """
    if len(set(texts)) != len(texts):
        raise ValueError("extract: the statements are not distinct; mine each of them once")
    answers = backend.extract(texts)
    if len(answers) != len(texts):
        raise ValueError(f"extract: {len(texts)} statements asked, {len(answers)} answered")
    return [sorted(set(names)) for names in answers]


def recognised(texts: Sequence[str], records: Sequence[int], backend: object) -> dict[str, Any]:
    """The share of statements in which every clinical phrase is recognised; {} if not known.

    By statement and by how many records carry it. Only a backend that reads by rules knows.
    """
    if not isinstance(backend, Coverage) or not texts:
        return {}
    whole = [not left for left in backend.unrecognised(texts)]
    carried = sum(count for count, known in zip(records, whole, strict=True) if known)
    return {
        "recognised_statements": sum(whole) / len(whole),
        "recognised_records": carried / sum(records),
    }
