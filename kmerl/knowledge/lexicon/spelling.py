"""Spelling: one way to write a word, whatever the cart, the country or the typist."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

TOKEN = re.compile(r"\d+:1\b|\d+(?:[.,:/]\d+)*|v\d{1,2}r?\b|[a-z]+\d*(?:'[a-z]+)?'?|[^\sa-z0-9]")
SHORTEST_CORRECTED = 6
NEVER_CORRECTED = ("hyper", "hypo", "brady", "tachy")


class Speller:
    """Text in, tokens out, by the rules of rules.yaml (letters, spelling, words).

    A word of six letters or more that the lexicon does not know is read as the only known word at
    one letter's distance, if there is exactly one ("premture", "schritmacher").
    """

    def __init__(self, rules: dict[str, Any]) -> None:
        self.letters = str.maketrans(rules["letters"])
        self.spelling = [(re.compile(what), by) for what, by in rules["spelling"]]
        abbreviations = "|".join(map(re.escape, sorted(rules["abbreviations"], key=len)[::-1]))
        self.abbreviation = re.compile(rf"\b({abbreviations})\.(?=\W|\w|$)")
        self.words = [(re.compile(variants), word) for word, variants in rules["words"].items()]
        self.known: frozenset[str] = frozenset()
        self._word = lru_cache(maxsize=None)(self._read_word)

    def learn(self, words: Iterable[str]) -> None:
        """The words that occur in expressions: what a misspelled word may be corrected to."""
        self.known = frozenset(words)
        self.shortened: dict[str, set[str]] = {}
        for word in self.known:
            if len(word) >= SHORTEST_CORRECTED and word.isalpha():
                for form in (word, *_one_shorter(word)):
                    self.shortened.setdefault(form, set()).add(word)
        self._word.cache_clear()

    def text(self, text: str) -> str:
        """Lower case, plain letters, spelling rules applied; still one string."""
        composed = unicodedata.normalize("NFC", text)  # a letter and its diaeresis become one
        text = " ".join(composed.lower().translate(self.letters).split())
        for what, by in self.spelling:
            text = what.sub(by, text)
        return str(self.abbreviation.sub(r"\1 ", text))

    def tokens(self, text: str) -> tuple[str, ...]:
        """Words and marks of a text, each in the lexicon's spelling; hyphens separate words."""
        folded = re.sub(r"(?<=\w)-(?=\w)|(?<=\w)-(?=\s)|(?<=[\s/])-(?=\w)", " ", self.text(text))
        return tuple(self._word(token) for token in TOKEN.findall(folded))

    def _read_word(self, token: str) -> str:
        for variants, word in self.words:
            if variants.fullmatch(token):
                return word
        return token if token in self.known else self._corrected(token)

    def _corrected(self, token: str) -> str:
        if len(token) < SHORTEST_CORRECTED or not token.isalpha() or not self.known:
            return token
        if token.startswith(NEVER_CORRECTED):
            return token
        forms = (token, *_one_shorter(token))
        near = {word for form in forms for word in self.shortened.get(form, ())}
        near = {word for word in near if _one_apart(token, word)}
        return near.pop() if len(near) == 1 else token


def _one_shorter(word: str) -> list[str]:
    return [word[:i] + word[i + 1 :] for i in range(len(word))]


def _one_apart(a: str, b: str) -> bool:
    """One letter more, fewer or other, or two neighbours exchanged."""
    if len(a) > len(b):
        a, b = b, a
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    if len(b) - len(a) == 1:
        return a[start:] == b[start + 1 :]
    if len(a) != len(b):
        return False
    swapped = a[start : start + 2][::-1] == b[start : start + 2]
    return a[start + 1 :] == b[start + 1 :] or (swapped and a[start + 2 :] == b[start + 2 :])
