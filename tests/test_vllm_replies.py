"""What an LLM may reply, what is made of it, and how lists, maps and hierarchies are tidied."""

import json
from collections import Counter
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl.files import read_yaml
from kmerl.knowledge.aggregate import check
from kmerl.knowledge.labels import label_matrix
from kmerl.knowledge.vllm import lists, prompts, replies
from kmerl.knowledge.vllm.replies import MalformedError, Reply
from kmerl.knowledge.vllm.settings import Example
from tests.mining import SETTINGS

CASES = read_yaml(Path(__file__).parent / "cases" / "replies.yaml")
FULL = "left bundle branch block"
ASKED = ("lbbb", FULL, "sinus rhythm")
READERS = {
    "entities": replies.entities,
    "verdict": replies.verdict,
    "mapping": lambda given: replies.mapping(given, ASKED),
    "hierarchy": lambda given: replies.hierarchy(given, ASKED),
}


def read(reader, text, finish="stop"):
    """What a reader makes of a reply: its value, or the reason and the part that can be read."""
    try:
        return READERS[reader](Reply(text, finish, 0, 0))
    except MalformedError as fault:
        assert str(fault) == fault.reason
        return fault.reason, fault.partial


@pytest.mark.parametrize("case", CASES["read"])
def test_what_is_made_of_a_reply(case):
    made = case["value"] if "value" in case else (case["reason"], case.get("partial"))
    for reader in case.get("readers", READERS):
        for text in case["texts"]:
            assert read(reader, text, case.get("finish", "stop")) == made, (reader, text)


def test_brackets_without_end_are_no_json():
    assert read("entities", "[" * 20_000 + "]" * 20_000) == ("not json", None)


LETTERS = st.sampled_from("abAÄßİſﬁ\u0307\u2028 \t.,;\"'*-1")
PIECES = ["[", "]", "{", "}", '"', ",", ":", "lbbb", "NaN", "1", "YES", "sorry", "\\u"]
TEXTS = st.one_of(
    st.text(LETTERS, max_size=30), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from(["stop", "length", "refusal", "content_filter"]))
def test_every_text_is_read_or_has_a_reason_and_names_have_one_form(text, finish):
    for reader in READERS:
        made = read(reader, text, finish)
        assert made[0] if isinstance(made, tuple) else made is not None
    once = replies.normalised(text)
    assert replies.normalised(once) == once
    assert replies.normalised(f'  "{text.upper()} . ') == replies.normalised(text.upper())


FEW = [f"{one} {other}".strip() for one in ("", "left", "old") for other in ("block", "infarct")]
UNKNOWN = ["bundle branch block", "some infarct", "pacing"]


def counted(tidied, given, *more):
    """What `tidied` makes, and what it counts."""
    counts = Counter()
    return tidied(given, *more, counts), {name: count for name, count in counts.items() if count}


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(FEW), st.sampled_from([*FEW, *UNKNOWN])))
def test_what_an_answer_joins_gets_one_name_that_was_asked(answers):
    found, _ = counted(lists.resolved, answers)
    assert set(found) == set(answers)
    assert set(found.values()) <= set(answers)
    assert counted(lists.resolved, found) == (found, {})
    joined = {name: {name} for name in [*answers, *answers.values()]}
    for name, to in answers.items():
        both = joined[name] | joined[to]
        joined |= dict.fromkeys(both, both)
    for one, other in permutations(answers, 2):
        assert (found[one] == found[other]) == (other in joined[one])


@pytest.mark.parametrize("case", CASES["resolved"])
def test_a_chain_a_cycle_and_an_unknown_name_end_at_one_that_was_asked(case):
    assert counted(lists.resolved, case["answers"]) == (case["entity"], case["counts"])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 60), st.integers(0, 9))
def test_in_turns_every_pair_meets_and_no_part_is_much_too_long(size, parts):
    names = [f"{number:03d}" for number in range(size)]
    turns = lists.turns(names, parts)
    for turn in turns:
        assert sorted(name for part in turn for name in part) == names
        assert all(len(part) <= size / max(parts, 1) + 2 for part in turn)  # blocks differ by one
        assert all(turn)
    together = {pair for turn in turns for part in turn for pair in permutations(part, 2)}
    assert together == set(permutations(names, 2))


def test_the_first_turn_holds_neighbours_together():
    found = [["".join(part) for part in turn] for turn in lists.turns("abcdefgh", 2)]
    assert found == [["abcd", "efgh"], ["abgh", "cdef"], ["abef", "cdgh"]]


ENTITIES = ["a", "b", "any a", "block"]
NAMED = st.sampled_from([*ENTITIES, "any any a", "any block", "rhythm", "conduction"])


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(NAMED, st.lists(NAMED, max_size=5)),
    st.lists(st.sampled_from(ENTITIES), unique=True),
)
def test_a_flattened_hierarchy_has_two_levels(tree, entities):
    found, counts = counted(lists.flattened, tree, entities)
    check(found, entities)
    assert len(found) + counts.get("empty", 0) == len(tree)
    for name in found:
        if not name.startswith("any "):
            assert set(found[name]) == reached(name, tree) & set(entities)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(NAMED, st.lists(NAMED, max_size=5)),
    st.lists(st.sets(st.sampled_from(ENTITIES)), max_size=5),
)
def test_all_that_the_llm_puts_below_a_name_is_there_by_that_name(tree, reports):
    hierarchy, _ = counted(lists.flattened, tree, ENTITIES)
    stated = [(number, name) for number, names in enumerate(reports) for name in names]
    rows = {str(number): [number] for number in range(len(reports))}
    found = label_matrix(rows, stated, dict(zip(ENTITIES, ENTITIES, strict=True)), hierarchy, 0)
    column = dict(zip(found.columns, found.values.T, strict=True))
    assert len(column) == len(ENTITIES) + len(hierarchy)
    below = {name: reached(name, tree) & set(ENTITIES) for name in {*tree} & {*ENTITIES}}
    for name, children in (hierarchy | below).items():
        assert all((column[name] >= column[child]).all() for child in children), name


def reached(name, tree):
    """All names below `name`, found by following one level after the other."""
    found = set()
    while new := {c for n in found | {name} for c in tree.get(n, ())} - found:
        found |= new
    return found


@pytest.mark.parametrize("case", CASES["flattened"].values(), ids=CASES["flattened"])
def test_what_an_untidy_hierarchy_becomes(case):
    found = counted(lists.flattened, case["given"], case["entities"])
    assert found == (case["made"], case["counts"])


def test_superclasses_that_hold_each_other_hold_the_same():
    circle = [f"superclass {number}" for number in range(60)]
    tree = {name: [*circle, "lbbb"] for name in circle}
    found, counts = counted(lists.flattened, tree, ["lbbb"])
    assert (found, counts) == ({name: ["lbbb"] for name in circle}, {"nested": 60})


def test_the_prompts_are_the_papers_with_what_they_are_asked_of():
    extract = prompts.extract(4, "sinus {rhythm}", SETTINGS)
    said = (
        "Please extract all positive Cardiac-related Entities from the given ECG "
        "report. Output format is [Entity1, Entity2, ...]\nECG report: sinus {rhythm}"
    )
    assert extract.messages == ({"role": "user", "content": said},)
    assert extract.max_tokens == SETTINGS.max_tokens
    merge = prompts.merge("merge", ["sinus rhythm", "förmak"], SETTINGS).messages[0]["content"]
    assert 'Here are ["sinus rhythm", "förmak"]. Output format is JSON' in merge
    assert not merge.endswith("\n")


def test_system_and_examples_come_before_the_question():
    told = replace(SETTINGS, system="Be brief.", examples=(Example("old report", ("a", "b")),))
    extract = prompts.extract(0, "sinus rhythm", told).messages
    assert [m["role"] for m in extract] == ["system", "user", "assistant", "user"]
    assert extract[1]["content"].endswith("ECG report: old report")
    assert extract[2]["content"] == '["a", "b"]'
    verify = prompts.verify(0, "sinus rhythm", "sinus rhythm", told).messages
    assert [m["role"] for m in verify] == ["system", "user"]


@pytest.mark.parametrize("structured", [True, False])
def test_only_structured_questions_constrain_the_reply(structured):
    told = replace(SETTINGS, structured=structured)
    merge = prompts.merge("merge", ["lbbb", "rbbb"], told).constraint
    asked = [
        prompts.extract(0, "text", told).constraint,
        prompts.verify(0, "text", "lbbb", told).constraint,
        prompts.aggregate("superclasses", ["lbbb"], told).constraint,
    ]
    assert [bool(constraint) for constraint in (merge, *asked)] == [structured] * 4
    if structured:
        assert merge["response_format"]["json_schema"]["schema"]["required"] == ["lbbb", "rbbb"]


def findings(count):
    return [f"finding number {number:03d}" for number in range(count)]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(600, 8192))
def test_a_list_cut_into_chunks_leaves_room_for_its_reply(count, length):
    told = replace(SETTINGS, max_model_len=length)
    names = findings(count)
    for turn in lists.turns(names, prompts.chunks(names, told)):
        for part in turn:
            question = prompts.merge("merge", part, told)
            reply = json.dumps({name: name for name in part})
            characters = len(reply) + sum(len(one["content"]) for one in question.messages)
            assert question.max_tokens is None
            assert characters // prompts.CHARACTERS_PER_TOKEN < length


def test_a_context_too_short_for_any_list_is_an_error():
    with pytest.raises(ValueError, match=r"llm\.max_model_len is 160: too short"):
        prompts.chunks([FULL], replace(SETTINGS, max_model_len=160))


@pytest.mark.parametrize("count", [1, 50, 340])
def test_a_repair_shows_the_reply_and_fits_the_context(count):
    names = findings(count)
    question = prompts.merge("merge", names, SETTINGS)
    long = json.dumps({name: name for name in names})
    again = prompts.repaired(question, long, "missing keys", SETTINGS)
    assert again.messages[: len(question.messages)] == question.messages
    shown, ask = again.messages[-2:]
    assert (shown["role"], ask["role"]) == ("assistant", "user")
    assert long.startswith(shown["content"])
    assert shown["content"] != ""
    assert "missing keys" in ask["content"]
    assert "every original name" in ask["content"]
    characters = sum(len(message["content"]) for message in again.messages)
    assert again.max_tokens is None
    assert (characters + len(long)) / prompts.CHARACTERS_PER_TOKEN < SETTINGS.max_model_len


def test_a_repair_of_a_short_question_shows_the_whole_reply():
    question = prompts.extract(0, "sinus rhythm", SETTINGS)
    again = prompts.repaired(question, "prose " * 100, "not json", SETTINGS)
    assert again.messages[-2]["content"] == "prose " * 100
    assert again.max_tokens == question.max_tokens
