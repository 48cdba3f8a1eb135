"""What an LLM may reply, what is made of it, and how lists, maps and hierarchies are tidied."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl.knowledge.aggregate import check
from kmerl.knowledge.backend import Verdict
from kmerl.knowledge.vllm import lists, prompts, replies
from kmerl.knowledge.vllm.replies import MalformedError, Reply
from kmerl.knowledge.vllm.settings import Example
from tests.mining import SETTINGS

FULL = "left bundle branch block"
ASKED = ("lbbb", FULL, "sinus rhythm")
WHOLE = dict.fromkeys(ASKED, "a")

READERS = {
    "entities": replies.entities,
    "verdict": replies.verdict,
    "mapping": lambda given: replies.mapping(given, ASKED),
    "hierarchy": lambda given: replies.hierarchy(given, ASKED),
}
EVERY, OF_JSON = "entities verdict mapping hierarchy", "entities mapping hierarchy"


def read(reader: str, text: str, finish: str = "stop") -> Any:
    """What a reader makes of a reply: its value, or the reason and the part that can be read."""
    try:
        return READERS[reader](Reply(text, finish, 0, 0))
    except MalformedError as fault:
        assert str(fault) == fault.reason
        return fault.reason, fault.partial


CASES: list[tuple[str, str, Any, list[str]]] = [  # readers, finish, what they make of each text
    # what every question may get
    (EVERY, "stop", ("empty", None), ["", " \n\t"]),
    (EVERY, "length", ("empty", None), [""]),
    (EVERY, "stop", ("refusal", None), [
        "I'm sorry, but I can't help with that.", "I’m sorry, I cannot do this.", "Sorry, no.",
        "  I am unable to read reports.", "As an AI, I do not diagnose.",
    ]),
    (EVERY, "length", ("refusal", None), ["I cannot"]),
    (EVERY, "refusal", ("refusal", None), ["That is not allowed.", "[sinus rhythm, lb]"]),
    (EVERY, "length", ("truncated", None), [
        '["sinus rhythm", "lb', "YES", "[sinus rhythm, lb]",
    ]),
    (EVERY, "rejected", ("rejected by the server", None), [""]),
    (OF_JSON, "stop", ("not json", None), [
        "none were found", '["sinus rhythm"', '["sinus rhythm"] and ["lbbb"]', '{"lbbb": NaN}',
        '["a", -Infinity]', '{"lbbb": ["lbbb"], "lbbb": ["sinus rhythm"]}', '{"lbbb": "lbbb",}',
        '{"block": {"lbbb": "a", "lbbb": "b"}}', '["\\ud800"]', "[" * 20_000 + "]" * 20_000,
    ]),
    (OF_JSON, "stop", ("prose around json", None), [
        'Here they are: ["sinus rhythm"]', '```json\n{"lbbb": "lbbb"}\n```',
        'Sure! {"block": ["lbbb"]} Anything else?',
    ]),
    (OF_JSON, "stop", ("wrong shape", None), [
        '"sinus rhythm"', "17", "null", "[1, 2]", '["sinus rhythm", 3]', '[["sinus rhythm"]]',
        '{"lbbb": 3}', '{"lbbb": null}', '{"block": [1]}', '{"block": [["lbbb"]]}',
    ]),
    # extract
    ("entities", "stop", ["lbbb", "sinus rhythm"], [
        '["Sinus  Rhythm", "LBBB."]', "[sinus rhythm, LBBB]", "['sinus rhythm', 'lbbb']",
        "[sinus rhythm,\n lbbb,]",
    ]),
    ("entities", "stop", ["a", "b"], [' ["b", "a", "B"]\n']),
    ("entities", "stop", [], ['["", " ", "."]', "[]", "[ ]"]),
    ("entities", "stop", ["infarct, inferior"], ['["infarct, inferior"]']),
    ("entities", "stop", ["a [b]"], ['["a [b]"]']),
    ("entities", "stop", ("not json", None), ["[a] [b]", '[a, "b"]', "sinus rhythm, lbbb"]),
    ("entities", "stop", ("wrong shape", None), ['{"entities": ["lbbb"]}', "{}"]),
    # verify
    ("verdict", "stop", Verdict.POSITIVE, ["YES", "yes.", ' **Yes** \n"']),
    ("verdict", "stop", Verdict.ABSENT, ["NO", "'no'"]),
    ("verdict", "stop", ("prose around yes or no", None), [
        "Yes, it is there", "The answer is NO", "YES or NO", '["YES"] [',
    ]),
    ("verdict", "stop", ("not yes or no", None), ["maybe", "nothing", "yesterday"]),
    # merge
    ("mapping", "stop", {"lbbb": FULL, FULL: FULL, "sinus rhythm": "sr"}, [
        json.dumps({"LBBB ": "Left  bundle branch block", FULL: FULL, "sinus rhythm": "sr."}),
    ]),
    ("mapping", "stop", ("missing keys", {"lbbb": FULL}), [json.dumps({"lbbb": FULL})]),
    ("mapping", "stop", ("missing keys", {}), ["{}", json.dumps(dict.fromkeys(ASKED, ""))]),
    ("mapping", "stop", ("invented names", {"lbbb": "a"}), ['{"lbbb": "a", "pacing": "b"}']),
    ("mapping", "stop", ("invented names", WHOLE), [json.dumps(WHOLE | {"pacing": "b"})]),
    ("mapping", "stop", ("wrong shape", None), [
        '["lbbb"]', '{"lbbb": ["a"]}', '{"lbbb": {"sinus rhythm": "a"}}',
    ]),
    # aggregate
    ("hierarchy", "stop", {"conduction": ["block", "lbbb"], "block": [FULL]}, [
        json.dumps({"Conduction": ["Block", "lbbb", "LBBB"], "block": [FULL]}),
    ]),
    ("hierarchy", "stop", {"block": ["lbbb", FULL]}, [
        json.dumps({"Block": ["lbbb"], "block ": [FULL]}),
    ]),
    ("hierarchy", "stop", {}, ["{}"]),
    ("hierarchy", "stop", ("invented names", {"block": ["lbbb"], "rhythm": []}), [
        '{"block": ["lbbb", "av block"], "rhythm": ["pacing"], "*": ["lbbb"]}',
    ]),
    ("hierarchy", "stop", ("invented names", {"block": []}), ['{"*": ["lbbb"], "block": ["."]}']),
    ("hierarchy", "stop", ("wrong shape", None), [
        '["lbbb"]', '{"block": "lbbb"}', '{"block": {"lbbb": []}}',
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("readers", "finish", "made", "texts"), CASES)
def test_what_is_made_of_a_reply(readers, finish, made, texts):
    asked = [(reader, text) for reader in readers.split() for text in texts]
    assert [read(*one, finish) for one in asked] == [made] * len(asked), (readers, texts)


LETTERS = st.sampled_from("abAÄßİſﬁ\u0307\u2028 \t.,;\"'*-1")
PIECES = ["[", "]", "{", "}", '"', ",", ":", "lbbb", "NaN", "1", "YES", "sorry", "\\u", "\ud800"]
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


def resolved(answers: Mapping[str, str]) -> tuple[dict[str, str], dict[str, int]]:
    counts: Counter[str] = Counter()
    found = lists.resolved(answers, counts)
    return found, {name: count for name, count in counts.items() if count}


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(FEW), st.sampled_from([*FEW, *UNKNOWN])))
def test_what_an_answer_joins_gets_one_name_that_was_asked(answers):
    found, _ = resolved(answers)
    assert set(found) == set(answers)
    assert set(found.values()) <= set(answers)
    assert resolved(found) == (found, {})
    joined = {name: {name} for name in [*answers, *answers.values()]}
    for name, to in answers.items():
        both = joined[name] | joined[to]
        joined |= dict.fromkeys(both, both)
    for one, other in permutations(answers, 2):
        assert (found[one] == found[other]) == (other in joined[one])


@pytest.mark.parametrize(
    ("answers", "name", "counts"),
    [
        ({"a": "b", "b": "c", "c": "c", "d": "a"}, "c", {"chains": 2}),
        ({"a": "b", "b": "a", "c": "b"}, "b", {"cycles": 1}),  # most of it points to b
        ({"lbbb": UNKNOWN[0], "block": UNKNOWN[0]}, "block", {"unknown": 1}),
        ({"lbbb": "pacing", "block": "pacing"}, "block", {"unknown": 1}),  # the longest
        ({"lbbb": "block", "block": "pacing"}, "block", {"chains": 1, "unknown": 1}),
        (
            {"left block": "av block", "block": "left block", "old": "left block"},
            "left block",
            {"chains": 2, "unknown": 1},
        ),
    ],
)
def test_a_chain_a_cycle_and_an_unknown_name_end_at_one_that_was_asked(answers, name, counts):
    assert resolved(answers | {"x": "x"}) == (dict.fromkeys(answers, name) | {"x": "x"}, counts)


def test_cycles_are_counted_each():
    assert resolved({"a": "bb", "bb": "a", "x": "y", "y": "x"})[1] == {"cycles": 2}


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
    found = [[["".join(part) for part in turn] for turn in lists.turns("abcdefgh", 2)]]
    assert found == [[["abcd", "efgh"], ["abgh", "cdef"], ["abef", "cdgh"]]]
    assert lists.turns(["a", "b"], 1) == [[["a", "b"]]]
    assert lists.turns([], 0) == []


ENTITIES = ["a", "b", "any a", "block"]
NAMED = st.sampled_from([*ENTITIES, "any any a", "any block", "rhythm", "conduction"])


def flattened(tree: dict[str, list[str]], entities: Sequence[str]) -> tuple[Any, dict[str, int]]:
    counts: Counter[str] = Counter()
    found = lists.flattened(tree, entities, counts)
    return found, {name: count for name, count in counts.items() if count}


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(NAMED, st.lists(NAMED, max_size=5)),
    st.lists(st.sampled_from(ENTITIES), unique=True),
)
def test_a_flattened_hierarchy_has_two_levels(tree, entities):
    found, counts = flattened(tree, entities)
    check(found, entities)
    assert len(found) + counts.get("empty", 0) == len(tree)
    for name in found:
        if not name.startswith("any "):
            assert set(found[name]) == reached(name, tree) & set(entities)


def reached(name: str, tree: Mapping[str, Sequence[str]]) -> set[str]:
    """All names below `name`, found by following one level after the other."""
    found: set[str] = set()
    while new := {c for n in found | {name} for c in tree.get(n, ())} - found:
        found |= new
    return found


CIRCLE = [f"superclass {number}" for number in range(60)]
HIERARCHIES: dict[str, tuple[Any, list[str], Any, dict[str, int]]] = {
    "superclasses below superclasses": (
        {"conduction": ["block", "pacing"], "block": ["lbbb"], "nothing": ["nobody"]},
        ["lbbb", "pacing"],
        {"block": ["lbbb"], "conduction": ["lbbb", "pacing"]},
        {"nested": 2, "empty": 1},
    ),
    "one of an entity's name is renamed and holds it": (
        {"block": ["lbbb"], "conduction": ["block"]},
        ["lbbb", "block"],
        {"any block": ["block", "lbbb"], "conduction": ["block", "lbbb"]},
        {"renamed": 1},
    ),
    "one of itself alone": ({"block": ["block"]}, ["block"], {}, {"empty": 1}),
    "no name is taken twice": (
        {"block": ["lbbb"], "any block": ["rbbb"]},
        ["block", "lbbb", "rbbb"],
        {"any block": ["rbbb"], "any any block": ["block", "lbbb"]},
        {"renamed": 1},
    ),
    "those that hold each other": (
        {name: [*CIRCLE, "lbbb"] for name in CIRCLE},
        ["lbbb"],
        {name: ["lbbb"] for name in CIRCLE},
        {"nested": 60},
    ),
}


@pytest.mark.parametrize("case", HIERARCHIES)
def test_what_an_untidy_hierarchy_becomes(case):
    tree, entities, *made = HIERARCHIES[case]
    assert flattened(tree, entities) == tuple(made)


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


def findings(count: int) -> list[str]:
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
