"""Expressions of the lexicon: a row of words with [optional parts] and (choices|of words)."""

import itertools
import re
from collections.abc import Iterator

MARK = re.compile(r"[][()|]|[^][()|]+")
CLOSES = {"(": ")", "[": "]"}


class LexiconError(ValueError):
    """The lexicon contradicts itself or is written wrongly; the message names the place."""


def expressions(text: str) -> Iterator[str]:
    """The single wordings that a lexicon entry ("a [b] (c|d); e") stands for, each once, in order.

    Raises:
        LexiconError: a bracket is not closed, or one is closed that was not open.
    """
    seen: set[str] = set()
    for pattern in text.split(";"):
        for wording in _expand(pattern):
            if wording and wording not in seen:
                seen.add(wording)
                yield wording


def _expand(pattern: str) -> Iterator[str]:
    marks = MARK.findall(pattern)
    wordings = _choices(marks, "", pattern)
    if marks:
        raise LexiconError(f"expression {pattern.strip()!r}: {marks[0]!r} closes nothing")
    for wording in wordings:
        yield " ".join(wording.split())


def _choices(marks: list[str], closing: str, pattern: str) -> list[str]:
    """Wordings up to the mark `closing`; the marks read are taken off the list."""
    choices: list[str] = []
    row: list[list[str]] = []
    while marks and marks[0] not in ")]":
        mark = marks.pop(0)
        if mark == "|":
            choices += _rows(row)
            row = []
        elif mark in CLOSES:
            inner = _choices(marks, CLOSES[mark], pattern)
            row.append(["", *inner] if mark == "[" else inner)
        else:
            row.append([mark])
    if closing and (not marks or marks.pop(0) != closing):
        raise LexiconError(f"expression {pattern.strip()!r}: {closing!r} is missing")
    return choices + _rows(row)


def _rows(row: list[list[str]]) -> list[str]:
    return ["".join(parts) for parts in itertools.product(*row)]
