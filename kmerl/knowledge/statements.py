"""Reports as text and as statements: cleaning as MERL does it, and the unit that is mined once.

A statement is one line of a cart's print ("sinus rhythm with 1st degree a-v block"); a report that
the corpus gives as one string (PTB-XL) is cut at sentence ends.
"""

import re
from collections.abc import Sequence
from typing import Literal

from kmerl.params import CountOrZero, checked

ANNOTATION = re.compile(
    r"\s*(?:\bedit:|consensus(?:\s+label\b|\s*\{)).*$", re.IGNORECASE | re.DOTALL
)
"""What PTB-XL's annotators added to some reports: label names, not part of the report."""

CART_TAIL = re.compile(r"\s*\b\d\.\d\d\s+(?:u(?:n(?:b\w*)?)?(?:\s+b\w*)?)?\s*$", re.IGNORECASE)
"""Software version and "unconfirmed report" (cut off at 254 characters) on German carts."""

ABBREVIATED = (
    "unbest|mögl|moegl|neg|path|chron|ventr|supraventr|intraventr|wahrsch|unspez|ant|post|lat|"
    "inf|sept|part|ablt|abltg|bzw|rel|fragl|extr|min|evtl|zt|vd|va|zn|dd|ca|v|z|n|approx|prob|poss"
)
SENTENCE_END = re.compile(r"\.(?!\s*grad)(?=\s|$)|[\r\n]+")
ABBREVIATION_END = re.compile(rf"\b(?:{ABBREVIATED})$")


@checked
class ReportsParams:
    """The `reports` section of params.yaml."""

    min_words: CountOrZero
    unit: Literal["statement", "report"]


def clean(statements: Sequence[str]) -> str:
    """The whole report as one text, by MERL's rules (800,035 -> 771,693 with 4 words or more).

    Statements joined by ". ", EKG written ECG, blanks and asterisks, then "=" and "-", stripped at
    the ends, lower case, white space single, "." appended. "" where no word is left.
    """
    joined = ". ".join(ANNOTATION.sub("", s) for s in statements if s.strip())
    text = joined.replace("EKG", "ECG").replace("ekg", "ecg")
    text = " ".join(text.strip(" *").strip("=-").lower().split())
    return f"{text}." if text else ""


def why_dropped(statements: Sequence[str], min_words: int) -> str | None:
    """The reason for which a report is left out, or None where it is kept."""
    if not statements:
        return "empty"
    if not any(statement.strip() for statement in statements):
        return "only spaces"
    text = clean(statements)
    if not text.strip(". "):
        return "no words"
    return f"fewer than {min_words} words" if len(text.split()) < min_words else None


def split(report: Sequence[str]) -> list[str]:
    """The statements of one report: lower case, single blanks, no annotators' notes, none empty."""
    found: list[str] = []
    for given in report:
        text = CART_TAIL.sub("", ANNOTATION.sub("", given).lower())
        found += [" ".join(part.split()) for part in _sentences(text)]
    return [statement for statement in found if statement.strip(" .*-=")]


def _sentences(text: str) -> list[str]:
    parts: list[str] = []
    start = 0
    for end in SENTENCE_END.finditer(text):
        if end[0] == "." and ABBREVIATION_END.search(text[start : end.start()]):
            continue
        parts.append(text[start : end.start()])
        start = end.end()
    return [*parts, text[start:]]
