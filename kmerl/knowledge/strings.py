"""The string check: does an expression stand in a text, and is it neither negated nor hedged.

It knows spelling, negation and hedging, and nothing of what the words mean.
"""

from functools import lru_cache

from kmerl.knowledge.backend import Verdict
from kmerl.knowledge.lexicon.items import Item, cut
from kmerl.knowledge.lexicon.mentions import Mention
from kmerl.knowledge.lexicon.scope import STRENGTH, verdicts
from kmerl.knowledge.lexicon.vocabulary import vocabulary

Tokens = tuple[str, ...]
STOPS = frozenset((".", ";", "and", "or", "with", "but"))  # words across them are not one name


@lru_cache(maxsize=65_536)
def stands(text: str, expression: str) -> Verdict:
    """The verdict of the words alone; ABSENT where they do not all stand in one clause.

    The words may stand in another order ("infarct, probably inferior"); where the expression
    stands several times, the most positive place counts.
    """
    words, sought = _tokens(text), _tokens(expression)
    places = _places(words, sought) if sought else []
    found = [_verdict(words, start, length) for start, length in places]
    return min(found, key=STRENGTH.__getitem__, default=Verdict.ABSENT)


@lru_cache(maxsize=65_536)
def _tokens(text: str) -> Tokens:
    """Read once, though a text is asked for each of its expressions, and these stand in many."""
    return vocabulary().speller.tokens(text)


def _places(words: Tokens, sought: Tokens) -> list[tuple[int, int]]:
    """(start, length) of each place; for scattered words the last of them, in its clause."""
    whole = [
        (start, len(sought))
        for start in range(len(words) - len(sought) + 1)
        if words[start : start + len(sought)] == sought
    ]
    return whole or [
        (max(i for i in clause if words[i] in sought), 1)
        for clause in _clauses(words)
        if set(sought) <= {words[i] for i in clause}
    ]


def _clauses(words: Tokens) -> list[range]:
    ends = [i for i, word in enumerate(words) if word in STOPS]
    starts = [0, *(end + 1 for end in ends)]
    return [range(a, b) for a, b in zip(starts, [*ends, len(words)], strict=True)]


def _verdict(words: Tokens, start: int, length: int) -> Verdict:
    known = vocabulary()
    before, after = cut(words[:start], known), cut(words[start + length :], known)
    name = " ".join(words[start : start + length])
    row = [*before, Item("entity", name, name), *after]
    return verdicts(row, [Mention(len(before), name, name)], set())[0]
