"""How reports word findings, stated outright and hedged, and what some phrases say (words.yaml)."""

from importlib import resources
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

from kmerl.files import read_yaml
from kmerl.params import build, checked, nearest
from kmerl.synthetic.catalogue import TERRITORIES, FindingName, known

INFARCTS = ("infarct", "acute infarct")
"""Lines of words.yaml that hold for each infarct of the catalogue."""


def _worded(name: str) -> str:
    return name if name in INFARCTS else known(name)


Entities = Annotated[tuple[str, ...], Field(min_length=1)]
Phrase = Annotated[str, Field(pattern=r"^([^{}]|\{[wW]all\})+$")]
Phrases = Annotated[tuple[Phrase, ...], Field(min_length=1)]
Worded = Annotated[str, AfterValidator(_worded)]


@checked
class Language:
    """Phrases that state a finding and phrases that leave it open."""

    stated: dict[Worded, Phrases]
    hedged: dict[Worded, Phrases]

    def __post_init__(self) -> None:
        for name in self.hedged.keys() - self.stated.keys():
            raise ValueError(f"hedged: {name!r} has no phrase that states it; add one to `stated`")

    def phrases(self) -> set[str]:
        lists = (*self.stated.values(), *self.hedged.values())
        return {text for texts in lists for text in texts}


@checked
class CartStatements:
    """A cart's statements that name several findings, or none."""

    rhythms: dict[FindingName, Phrases]
    interruptions: dict[FindingName, Phrases]
    bifascicular: Phrases
    normal: Phrases
    otherwise_normal: Phrases
    denied: dict[str, dict[str, str]]


@checked
class Literally:
    """The entities of a phrase that says something else, or more, than its finding."""

    stated: dict[str, Entities]
    hedged: dict[str, Entities]


@checked
class Words:
    """words.yaml as it is written."""

    cart: Language
    cart_statements: CartStatements
    english: Language
    german: Language
    literally: Literally

    def __post_init__(self) -> None:
        used = self.cart.phrases() | self.english.phrases() | self.german.phrases()
        used.update(*self.cart_statements.interruptions.values())
        for text in (*self.literally.stated, *self.literally.hedged):
            if text not in used:
                raise ValueError(f"literally: no finding has {text!r}; {nearest(text, used)}")


class Wording(NamedTuple):
    """Phrases that state one finding and phrases, if any, that leave it open."""

    stated: tuple[str, ...]
    hedged: tuple[str, ...]


def _wordings(language: Language) -> dict[str, Wording]:
    """By finding; "acute" comes before the name of an acute infarct."""
    found = {}
    for key, stated in language.stated.items():
        hedged = language.hedged.get(key, ())
        if key not in INFARCTS:
            found[key] = Wording(stated, hedged)
            continue
        for name, wall in TERRITORIES.items():
            found[key.replace("infarct", name)] = Wording(_at(wall, stated), _at(wall, hedged))
    return found


def _at(wall: str, texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.format(wall=wall, Wall=wall.capitalize()) for text in texts)


_WORDS = build(
    Words,
    read_yaml(resources.files("kmerl.synthetic") / "words.yaml"),
    "kmerl/synthetic/words.yaml: ",
)
CART, ENGLISH, GERMAN = map(_wordings, (_WORDS.cart, _WORDS.english, _WORDS.german))
CART_STATEMENTS = _WORDS.cart_statements
LITERALLY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    text: (_WORDS.literally.stated.get(text, ()), _WORDS.literally.hedged.get(text, ()))
    for text in (*_WORDS.literally.stated, *_WORDS.literally.hedged)
}
"""Entities that a phrase states and hedges, where they are not the finding it is used for."""
