"""A statement as a row of items: the longest known wordings, and what is left between them."""

from dataclasses import dataclass

from kmerl.knowledge.lexicon.vocabulary import Term, Vocabulary

NUMBER_OR_MARK = Term("filler", "")
UNKNOWN = Term("unknown", "")


@dataclass(frozen=True)
class Item:
    """A wording of the lexicon as it stands in a statement, or one word that is in no wording."""

    kind: str
    value: str
    text: str


def items(text: str, vocabulary: Vocabulary) -> list[Item]:
    """The statement cut into items, the longest wording first; numbers and marks are filler."""
    return cut(vocabulary.speller.tokens(text), vocabulary)


def cut(tokens: tuple[str, ...], vocabulary: Vocabulary) -> list[Item]:
    """Tokens as `items` cuts them."""
    row: list[Item] = []
    start = 0
    while start < len(tokens):
        length, term = _longest(tokens, start, vocabulary)
        row.append(Item(term.kind, term.value, " ".join(tokens[start : start + length])))
        start += length
    return row


def _longest(tokens: tuple[str, ...], start: int, vocabulary: Vocabulary) -> tuple[int, Term]:
    for length in range(min(vocabulary.longest, len(tokens) - start), 0, -1):
        term = vocabulary.terms.get(tokens[start : start + length])
        if term is not None:
            return length, term
    word = tokens[start].isalpha() or (tokens[start][0].isalpha() and tokens[start][-1] != "'")
    return 1, UNKNOWN if word else NUMBER_OR_MARK
