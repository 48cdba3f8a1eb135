"""Which entities a statement mentions: findings joined with their territories and ages."""

from dataclasses import dataclass, field

from kmerl.knowledge.lexicon.items import Item
from kmerl.knowledge.lexicon.vocabulary import Finding, Vocabulary

BEFORE = {"territory", "qualifier", "join", "alternative", "age"}
BESIDE_AGE = {"join", "cause", "filler", "qualifier", "hedge", "lead", "territory"}
HEADS = {"entity", "finding"}


@dataclass(frozen=True)
class Mention:
    """An entity at a place of a statement: how it is written, and what it is."""

    position: int  # index of the item that names the finding
    expression: str
    entity: str
    hedged_age: bool = False


@dataclass
class _Row:
    """The items of a statement, and which of them a finding has already taken."""

    items: list[Item]
    vocabulary: Vocabulary
    taken: set[int] = field(default_factory=set)
    age_hedges: set[int] = field(default_factory=set)

    def kind(self, index: int) -> str:
        return self.items[index].kind if 0 <= index < len(self.items) else "end"


def mentions(items: list[Item], vocabulary: Vocabulary) -> tuple[list[Mention], set[int]]:
    """All mentions in reading order, and the hedges of an age ("probably" in "probably old")."""
    row = _Row(items, vocabulary)
    found: list[Mention] = []
    for position, item in enumerate(items):
        if item.kind == "entity":
            found.append(Mention(position, item.text, item.value))
            others = vocabulary.beside(item.value, item.text)
            found += [Mention(position, name, name) for name in others]
        elif item.kind == "finding":
            found += _located(row, position)
    return found, row.age_hedges


def _located(row: _Row, position: int) -> list[Mention]:
    item = row.items[position]
    finding = row.vocabulary.findings[item.value]
    territories, age = _before(row, position)
    end = position
    if not territories:
        territories, end = _after(row, position)
    hedged = False
    if not age:
        age, hedged = _age_after(row, end)
    return _expressions(position, item.text, finding, territories, age, hedged)


def _expressions(
    position: int, text: str, finding: Finding, territories: list[str], age: str, hedged: bool
) -> list[Mention]:
    found = [
        Mention(position, f"{t} {text}", finding.located.format(territory=t)) for t in territories
    ]
    if not territories or finding.both:
        found.append(Mention(position, text, finding.unlocated))
    if age and finding.dated:
        dated = finding.dated.format(age=age)
        found.append(Mention(position, f"{age} {text}", dated, hedged_age=hedged))
    return found


def _before(row: _Row, position: int) -> tuple[list[str], str]:
    """Territories and age that stand before the finding: "old inferior and lateral infarct"."""
    territories: list[str] = []
    age = ""
    index = position - 1
    while row.kind(index) in BEFORE and index not in row.taken:
        if row.kind(index) == "territory":
            territories.insert(0, row.items[index].value)
            row.taken.add(index)
        elif row.kind(index) == "age" and not age:
            age = row.items[index].value
            row.taken.add(index)
        index -= 1
    return _unique(territories), age


def _after(row: _Row, position: int) -> tuple[list[str], int]:
    """Territories after the finding: "st elevation in inferior leads", "infarkt inferior"."""
    index = position + 1
    while row.kind(index) in {"qualifier", "age", "age after"}:
        index += 1
    introduced = row.kind(index) == "in"
    index += introduced
    sure: list[int] = []
    open_: list[int] = []
    while row.kind(index) in {"territory", "join", "alternative", "place", "lead", "in"}:
        if row.kind(index) == "territory":
            open_.append(index)
        elif row.kind(index) == "place":
            sure += open_
            open_ = []
        index += 1
    if row.kind(index) != "finding" and (introduced or row.kind(position + 1) == "territory"):
        sure += open_
    row.taken.update(sure)
    end = max(sure, default=position)
    return _unique([row.items[i].value for i in sure]), end


def _age_after(row: _Row, position: int) -> tuple[str, bool]:
    """The age after the finding ("infarct, probably old"), and whether it is hedged."""
    index = position + 1
    hedges: list[int] = []
    apart = False
    while row.kind(index) in BESIDE_AGE and row.kind(index) != "territory":
        if row.kind(index) == "hedge":
            hedges.append(index)
        apart = apart or row.kind(index) == "join"
        index += 1
    if row.kind(index) not in {"age", "age after"} or index in row.taken:
        return "", False
    leads_on = row.kind(index + 1) in {"territory", "finding", "qualifier"}
    if row.kind(index) == "age" and apart and leads_on:
        return "", False
    row.taken.add(index)
    row.age_hedges.update(hedges)
    return row.items[index].value, bool(hedges)


def _unique(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))
