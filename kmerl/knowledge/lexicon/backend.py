"""Backend `lexicon`: reads statements by the packaged knowledge files; no server, no GPU."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from kmerl import files
from kmerl.knowledge.backend import Unresolved, Verdict, free_name
from kmerl.knowledge.lexicon.items import Item, items
from kmerl.knowledge.lexicon.mentions import Mention, mentions
from kmerl.knowledge.lexicon.scope import STRENGTH, verdicts
from kmerl.knowledge.lexicon.vocabulary import Vocabulary, vocabulary
from kmerl.progress import track

CONTENT = {"territory", "age", "qualifier"}


@dataclass(frozen=True)
class Reading:
    """A text read once: its expressions, their verdicts and entities, and what is left over."""

    stated: dict[str, Verdict]
    entities: dict[str, str]
    unrecognised: tuple[str, ...]


class LexiconBackend:
    """Extract, verify, merge and aggregate by the lexicon; deterministic, one reading a text."""

    def __init__(self, words: Vocabulary) -> None:
        self.vocabulary = words
        self.read = lru_cache(maxsize=65_536)(self._read)

    def extract(self, texts: Sequence[str]) -> list[list[str]]:
        read = track(texts, "extract", unit="statements")
        return [sorted(self.read(text).stated) for text in read]

    def verify(
        self, texts: Sequence[str], entities: Sequence[Sequence[str]]
    ) -> list[list[Verdict]]:
        return [
            [self.read(text).stated.get(self._key(name), Verdict.ABSENT) for name in names]
            for text, names in zip(texts, entities, strict=True)
        ]

    def merge(self, names: Sequence[str]) -> dict[str, str]:
        return {
            name: self.read(name).entities.get(self._key(name), name) for name in sorted(set(names))
        }

    def aggregate(self, names: Sequence[str]) -> dict[str, list[str]]:
        """As `Backend.aggregate`; a spelling stands where the entity that it means does."""
        children: dict[str, list[str]] = {}
        taken = set(names)
        for name, entity in self.merge(names).items():
            for superclass in self.vocabulary.under(name) or self.vocabulary.under(entity):
                children.setdefault(free_name(superclass, taken), []).append(name)
        return dict(sorted(children.items()))

    def entities(self, text: str) -> frozenset[str]:
        """The canonical entities that a name of another backend means; itself where it is one."""
        if text in self.vocabulary.parents:
            return frozenset({text})
        reading = self.read(text)
        stated = (name for name, how in reading.stated.items() if how is not Verdict.NEGATED)
        return frozenset(reading.entities[name] for name in stated)

    def counts(self) -> dict[str, Any]:
        return {}

    def unresolved(self) -> Sequence[Unresolved]:
        return ()

    def unrecognised(self, texts: Sequence[str]) -> list[list[str]]:
        return [list(self.read(text).unrecognised) for text in texts]

    def _key(self, name: str) -> str:
        return " ".join(self.vocabulary.speller.tokens(name))

    def _read(self, text: str) -> Reading:
        row = items(text, self.vocabulary)
        found, age_hedges = mentions(row, self.vocabulary)
        stated: dict[str, Verdict] = {}
        for mention, verdict in zip(found, verdicts(row, found, age_hedges), strict=True):
            known = stated.get(mention.expression, verdict)
            stated[mention.expression] = min(known, verdict, key=STRENGTH.__getitem__)
        entities = {mention.expression: mention.entity for mention in found}
        return Reading(stated, entities, tuple(_unrecognised(row, found)))


@contextmanager
def open_backend(answers: Path) -> Iterator[LexiconBackend]:
    """The backend over the packaged lexicon; it asks nobody, and keeps what an LLM answered."""
    if not (answers / "answers.jsonl").exists():
        files.write_text(answers / "answers.jsonl", "")
    yield lexicon()


@lru_cache(maxsize=1)
def lexicon() -> LexiconBackend:
    """The packaged lexicon, one a process."""
    return LexiconBackend(vocabulary())


def _unrecognised(row: list[Item], found: list[Mention]) -> Iterator[str]:
    """Unknown words, and clauses that qualify or locate without naming a finding or a remark."""
    named = {mention.position for mention in found}
    for clause in _clauses(row):
        yield from (row[i].text for i in clause if row[i].kind == "unknown")
        meant = any(i in named or row[i].kind == "remark" for i in clause)
        hanging = [row[i].text for i in clause if row[i].kind in CONTENT]
        if hanging and not meant:
            yield " ".join(hanging)
    if row and not named and all(item.kind != "remark" for item in row):
        yield "no finding"


def _clauses(row: list[Item]) -> Iterator[range]:
    start = 0
    for index, item in enumerate(row):
        if item.kind == "stop":
            yield range(start, index)
            start = index + 1
    yield range(start, len(row))
