"""The lexicon read and checked: every wording, as tokens, with what it means."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from kmerl.files import read_yaml
from kmerl.knowledge.lexicon.patterns import LexiconError, expressions
from kmerl.knowledge.lexicon.spelling import Speller

LANGUAGES = ("german.yaml", "swedish.yaml")
SCOPE_KINDS = (
    "stop",
    "negation",
    "history",
    "negation after",
    "hedge",
    "hedge after",
    "alternative",
    "join",
    "cause",
    "place",
    "in",
    "lead",
)
Tokens = tuple[str, ...]


@dataclass(frozen=True)
class Term:
    """What a wording means: its kind, and the entity, finding, territory or age it names."""

    kind: str
    value: str


@dataclass(frozen=True)
class Finding:
    """A finding that is named with a territory (located.yaml)."""

    located: str
    unlocated: str
    both: bool
    dated: str | None


class Vocabulary:
    """All wordings of the lexicon in one table; the first definition of a wording holds.

    Order: entities, findings, territories, ages, scope rules, remarks, qualifiers, filler.

    Raises:
        LexiconError: two entities share a wording, or an entity stands under an unknown superclass.
    """

    def __init__(self) -> None:
        entities, located, rules = (_read(f"{n}.yaml") for n in ("entities", "located", "rules"))
        languages = [_read(name) for name in LANGUAGES]
        for language in languages:
            _add_texts(rules, language.get("rules", {}))
            _add_texts(located, language.get("located", {}))
        self.speller = Speller(rules)
        self.superclasses: dict[str, str] = entities["superclasses"]
        self.territories: tuple[str, ...] = tuple(located["territories"])
        self.ages: tuple[str, ...] = tuple(located["ages"])
        self.findings = {name: _finding(entry) for name, entry in located["findings"].items()}
        self.also = {n: tuple(e["also"]) for n, e in entities["entities"].items() if "also" in e}
        self.besides = dict(_besides(self.speller, [entities, *languages]))
        self.parents = dict(_parents(entities, located, languages))
        self.terms: dict[Tokens, Term] = {}
        self._add_names(entities, located, languages)
        self._add_rules(located, rules)
        self._check()
        self.longest = max(map(len, self.terms))
        self.speller.learn(word for tokens in self.terms for word in tokens)

    def beside(self, entity: str, wording: str) -> tuple[str, ...]:
        """What a wording of an entity states besides it."""
        return (*self.also.get(entity, ()), *self.besides.get(wording, ()))

    def under(self, entity: str) -> tuple[str, ...]:
        """The superclasses of an entity; empty for a name that the lexicon does not have."""
        return self.parents.get(entity, ())

    def _add_names(
        self, entities: dict[str, Any], located: dict[str, Any], languages: list[dict[str, Any]]
    ) -> None:
        for name, entry in entities["entities"].items():
            self._add("entity", name, name)
            self._add("entity", name, entry["expressions"])
        for name, entry in located["findings"].items():
            self._add("finding", name, entry["expressions"])
        for language in languages:
            for name in language["new entities"]:
                self._add("entity", name, name)
            for name, text in language["entities"].items():
                self._add("entity", name, text)
            for name, text in language["findings"].items():
                self._add("finding", name, text)

    def _add_rules(self, located: dict[str, Any], rules: dict[str, Any]) -> None:
        for kind, section in (("territory", "territories"), ("age", "ages")):
            for name, text in located[section].items():
                self._add(kind, name, text, weak=True)
        for name, text in located["ages after"].items():
            self._add("age after", name, text, weak=True)
        for kind in SCOPE_KINDS:
            self._add(kind, "", rules["scope"][kind], weak=True)
        for name, text in rules["remarks"].items():
            self._add("remark", name, text, weak=True)
        self._add("qualifier", "", rules["qualifier"], weak=True)
        self._add("filler", "", rules["filler"], weak=True)

    def _add(self, kind: str, value: str, text: str, weak: bool = False) -> None:
        for wording in expressions(text):
            tokens = self.speller.tokens(wording)
            term = self.terms.setdefault(tokens, Term(kind, value))
            if term != Term(kind, value) and not weak:
                raise LexiconError(
                    f"lexicon: {wording!r} is written under {term.value!r} and under {value!r}; "
                    "take it out of one of them"
                )

    def _check(self) -> None:
        named = {term.value for term in self.terms.values() if term.kind == "entity"}
        for name in sorted(named | set(self.parents)):
            unknown = set(self.under(name)) - set(self.superclasses)
            if unknown or not self.under(name):
                raise LexiconError(f"lexicon: {name!r} stands under {sorted(unknown) or 'nothing'}")
        for name, others in (self.also | self.besides).items():
            if unknown := set(others) - set(self.parents):
                raise LexiconError(f"lexicon: {name!r} is also {unknown.pop()!r}, no entity")
        clash = set(self.parents) & set(self.superclasses)
        if clash:
            raise LexiconError(f"lexicon: {sorted(clash)[0]!r} is an entity and a superclass")


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The packaged lexicon, read once a process."""
    return Vocabulary()


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = read_yaml(resources.files("kmerl.knowledge.lexicon").joinpath(name))
    return content


def _add_texts(base: dict[str, Any], more: dict[str, Any], mark: str = "; ") -> None:
    """A language's wordings and words (mark "|") behind those for all languages."""
    for name, content in more.items():
        if isinstance(content, dict):
            _add_texts(base.setdefault(name, {}), content, "|" if name == "words" else mark)
        else:
            base[name] = f"{base[name]}{mark}{content}" if name in base else content


def _besides(
    speller: Speller, sources: list[dict[str, Any]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(wording, the entities that it states besides its own)"""
    for source in sources:
        for text, others in source.get("besides", {}).items():
            for wording in expressions(text):
                yield " ".join(speller.tokens(wording)), tuple(others)


def _finding(entry: dict[str, Any]) -> Finding:
    located, unlocated = entry["located"], entry["unlocated"]
    return Finding(located, unlocated, bool(entry.get("both")), entry.get("dated"))


def _parents(
    entities: dict[str, Any], located: dict[str, Any], languages: list[dict[str, Any]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(entity, its superclasses) of all entities, located and dated ones included."""
    for source in (entities["entities"], *(language["new entities"] for language in languages)):
        for name, entry in source.items():
            yield name, tuple(entry["under"])
    for entry in located["findings"].values():
        finding, under = _finding(entry), tuple(entry["under"])
        yield finding.unlocated, under
        for territory in located["territories"]:
            yield finding.located.format(territory=territory), under
        for age in located["ages"]:
            if finding.dated:
                yield finding.dated.format(age=age), under
