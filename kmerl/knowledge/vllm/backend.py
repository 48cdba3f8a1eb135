"""Backend `vllm`: an LLM behind an OpenAI-compatible server reads the reports (Sec. 3.4)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kmerl import params, runtime
from kmerl.knowledge.backend import Unresolved, Verdict
from kmerl.knowledge.merge import guarded
from kmerl.knowledge.vllm import lists, prompts, replies
from kmerl.knowledge.vllm.answers import Answers
from kmerl.knowledge.vllm.client import Client
from kmerl.knowledge.vllm.server import serving
from kmerl.knowledge.vllm.settings import LLM


class VllmBackend:
    """The four questions, each distinct one asked once; answers are kept in the client's store."""

    def __init__(self, client: Client) -> None:
        self.client, self.settings = client, client.settings
        self.tidied: Counter[str] = Counter()

    def extract(self, texts: Sequence[str]) -> list[list[str]]:
        asked = (prompts.extract(i, text, self.settings) for i, text in enumerate(texts))
        found = self.client.ask(asked, len(texts), lambda _, r: replies.entities(r), "extract")
        return [names or [] for names in found]

    def verify(
        self, texts: Sequence[str], entities: Sequence[Sequence[str]]
    ) -> list[list[Verdict]]:
        pairs = [(i, name) for i, names in enumerate(entities) for name in names]
        asked = (prompts.verify(i, texts[i], name, self.settings) for i, name in pairs)
        found = self.client.ask(asked, len(pairs), lambda _, r: replies.verdict(r), "verify")
        verdicts = iter(found)
        return [[next(verdicts) or Verdict.ABSENT for _ in names] for names in entities]

    def merge(self, names: Sequence[str]) -> dict[str, str]:
        """Turn by turn, so that every two names stand in one question, whatever the context."""
        entity = {name: name for name in names}
        left = sorted(entity)
        for turn, parts in enumerate(lists.turns(left, prompts.chunks(left, self.settings))):
            still = set(entity.values())
            merged = self._merge([[name for name in part if name in still] for part in parts], turn)
            entity = {name: merged[to] for name, to in entity.items()}
        return entity

    def aggregate(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Superclasses of each part of the list; those that mean one are united."""
        left = sorted(set(names))
        cut = next(iter(lists.turns(left, prompts.chunks(left, self.settings))), [])
        asked = (
            prompts.aggregate(f"superclasses of part {i}", part, self.settings)
            for i, part in enumerate(cut)
        )
        found = self.client.ask(
            asked, len(cut), lambda i, r: replies.hierarchy(r, cut[i]), "aggregate"
        )
        united: dict[str, list[str]] = {}
        given = [each for each in found if each]
        heads = sorted({name for each in given for name in each})
        alone = {name: name for name in heads}
        same = guarded(self.merge(heads)).entity if len(cut) > 1 else alone
        for each in given:
            for name, children in each.items():
                united.setdefault(same[name], []).extend(
                    child if child in left else same[child] for child in children
                )
        return lists.flattened(united, left, self.tidied)

    def counts(self) -> dict[str, Any]:
        return self.client.counts() | {"tidied": dict(sorted(self.tidied.items()))}

    def unresolved(self) -> Sequence[Unresolved]:
        return self.client.unresolved

    def _merge(self, parts: Sequence[Sequence[str]], turn: int) -> dict[str, str]:
        """One turn; a name without a usable answer stays as it is."""
        cut = [part for part in parts if part]
        asked = (
            prompts.merge(f"merge, turn {turn}, part {i}", part, self.settings)
            for i, part in enumerate(cut)
        )
        found = self.client.ask(asked, len(cut), lambda i, r: replies.mapping(r, cut[i]), "merge")
        entity: dict[str, str] = {}
        for part, answers in zip(cut, found, strict=True):
            whole = {name: name for name in part} | (answers or {})
            entity |= lists.resolved(whole, self.tidied)
        return entity


@contextmanager
def open_backend(path: Path) -> Iterator[VllmBackend]:
    """The backend that params.yaml describes, with its server and the answers kept at `path`."""
    settings = params.load("llm", LLM)
    machine = runtime.load().llm
    answers = Answers(path)
    try:
        with serving(settings, machine) as servers:
            client = Client(settings, machine, answers, servers)
            yield VllmBackend(client)
            client.tell(path.name)
    finally:
        answers.close()
