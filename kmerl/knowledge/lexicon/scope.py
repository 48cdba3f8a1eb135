"""Negation and hedging: which words of a statement reach which mentions."""

from itertools import pairwise

from kmerl.knowledge.backend import Verdict
from kmerl.knowledge.lexicon.items import Item
from kmerl.knowledge.lexicon.mentions import HEADS, Mention

BEFORE = {"negation": Verdict.NEGATED, "history": Verdict.NEGATED, "hedge": Verdict.HEDGED}
AFTER = {"negation after": Verdict.NEGATED, "hedge after": Verdict.HEDGED}
STRENGTH = {Verdict.POSITIVE: 0, Verdict.HEDGED: 1, Verdict.NEGATED: 2}


def verdicts(items: list[Item], mentions: list[Mention], age_hedges: set[int]) -> list[Verdict]:
    """The verdict on each mention.

    A word before ("no", "possible") reaches the next finding and those joined to it; a word after
    ("cannot be excluded", "moeglich") the finding before it, "are not seen" also those joined to
    that one. None passes a stop ("." , "but").
    A hedge that belongs to an age ("infarct, probably old") reaches only the age. Findings joined
    by "or" are alternatives, so each is hedged. A finding and its abbreviation behind it ("possible
    Wolff-Parkinson-White syndrome (WPW)") are said once.
    """
    heads = [i for i, item in enumerate(items) if item.kind in HEADS]
    by_head = dict.fromkeys(heads, Verdict.POSITIVE)
    for index, item in enumerate(items):
        if index in age_hedges:
            continue
        for head in _reached(items, heads, index):
            verdict = BEFORE.get(item.kind) or AFTER[item.kind]
            by_head[head] = max(by_head[head], verdict, key=STRENGTH.__getitem__)
    for head, following in pairwise(heads):
        if _gloss(items, head, following):
            both = max(by_head[head], by_head[following], key=STRENGTH.__getitem__)
            by_head[head] = by_head[following] = both
    for head, following in pairwise(heads):
        if _alternatives(items, head, following):
            for one in (head, following):
                by_head[one] = max(by_head[one], Verdict.HEDGED, key=STRENGTH.__getitem__)
    return [_with_age(by_head[mention.position], mention) for mention in mentions]


def _with_age(verdict: Verdict, mention: Mention) -> Verdict:
    return Verdict.HEDGED if mention.hedged_age and verdict is Verdict.POSITIVE else verdict


def _reached(items: list[Item], heads: list[int], index: int) -> list[int]:
    kind = items[index].kind
    if kind in BEFORE:
        following = [head for head in heads if head > index and _open(items, index, head)]
        if following:
            return _joined(items, following, kind)
        if kind != "hedge":
            return []
    elif kind not in AFTER:
        return []
    before = [head for head in heads if head < index and _open(items, head, index)]
    return _joined(items, before[::-1], kind) if kind == "negation after" else before[-1:]


def _joined(items: list[Item], heads: list[int], kind: str) -> list[int]:
    """The first head, and the next as long as "and", "or" (after "no" also ",") joins them.

    A word before them reaches what they are due to as well ("probably reciprocal to an infarct").
    """
    reached = heads[:1]
    for head, following in pairwise(heads):
        between = items[min(head, following) + 1 : max(head, following)]
        joins = [item for item in between if item.kind in ("join", "alternative")]
        if kind in ("hedge", "negation after"):
            joins = [item for item in joins if item.text != ","]
        caused = kind in BEFORE and any(item.kind == "cause" for item in between)
        added = any(item.text == "with" for item in between)
        past = added and kind == "history"  # "previously a with b": both
        if not (joins or caused or past) or (added and not past):
            break
        reached.append(following)
    return reached


def _open(items: list[Item], start: int, end: int) -> bool:
    return all(item.kind != "stop" for item in items[start + 1 : end])


def _gloss(items: list[Item], head: int, following: int) -> bool:
    same = (items[head].kind, items[head].value) == (items[following].kind, items[following].value)
    return same and all(item.text in ("(", ")") for item in items[head + 1 : following])


def _alternatives(items: list[Item], head: int, following: int) -> bool:
    between = items[head + 1 : following]
    blocked = any(item.kind == "stop" or item.text in (",", "and", "with") for item in between)
    return not blocked and any(item.kind == "alternative" for item in between)
