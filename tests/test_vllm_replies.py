"""What an LLM may reply, what is made of it, and how lists, maps and hierarchies are tidied."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl import params
from kmerl.knowledge.aggregate import check
from kmerl.knowledge.backend import Verdict
from kmerl.knowledge.vllm import lists, prompts, replies
from kmerl.knowledge.vllm.replies import MalformedError, Reply
from kmerl.knowledge.vllm.settings import LLM, Example

PARAMS = Path(__file__).parent.parent / "params" / "demo.yaml"
SETTINGS = params.load("llm", LLM, PARAMS)
ASKED = ("lbbb", "left bundle branch block", "sinus rhythm")
WHOLE = dict.fromkeys(ASKED, "a")


def reply(text: str, finish: str = "stop") -> Reply:
    return Reply(text, finish, 0, 0)


def mapping(given: Reply) -> dict[str, str]:
    return replies.mapping(given, ASKED)


def hierarchy(given: Reply) -> dict[str, list[str]]:
    return replies.hierarchy(given, ASKED)


def fault(read: Callable[[Reply], Any], text: str, finish: str = "stop") -> MalformedError:
    with pytest.raises(MalformedError) as raised:
        read(reply(text, finish))
    return raised.value


READERS = (replies.entities, replies.verdict, mapping, hierarchy)
OF_JSON = (replies.entities, mapping, hierarchy)


# ---------------------------------------------------------------- what every question may get


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        ("", "stop", "empty"),
        (" \n\t", "stop", "empty"),
        ("", "length", "empty"),
        ("I'm sorry, but I can't help with that.", "stop", "refusal"),
        ("I’m sorry, I cannot do this.", "stop", "refusal"),
        ("Sorry, no.", "stop", "refusal"),
        ("  I am unable to read reports.", "stop", "refusal"),
        ("As an AI, I do not diagnose.", "stop", "refusal"),
        ("I cannot", "length", "refusal"),
        ("That is not allowed.", "refusal", "refusal"),
        ('["sinus rhythm", "lb', "length", "truncated"),
        ("YES", "length", "truncated"),
        ("", "rejected", "rejected by the server"),
    ],
)
def test_replies_that_no_question_can_use(
    read: Callable[[Reply], Any], text: str, finish: str, reason: str
) -> None:
    found = fault(read, text, finish)
    assert (found.reason, found.partial, str(found)) == (reason, None, reason)


@pytest.mark.parametrize("read", OF_JSON)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("none were found", "not json"),
        ('["sinus rhythm"', "not json"),
        ('["sinus rhythm"] and ["lbbb"]', "not json"),
        ('{"lbbb": NaN}', "not json"),
        ('["a", -Infinity]', "not json"),
        ('{"lbbb": ["lbbb"], "lbbb": ["sinus rhythm"]}', "not json"),
        ('{"block": {"lbbb": "a", "lbbb": "b"}}', "not json"),
        ('{"lbbb": "lbbb",}', "not json"),
        ('["\\ud800"]', "not json"),
        ("[" * 20_000 + "]" * 20_000, "not json"),
        ('Here they are: ["sinus rhythm"]', "prose around json"),
        ('```json\n{"lbbb": "lbbb"}\n```', "prose around json"),
        ('Sure! {"block": ["lbbb"]} Anything else?', "prose around json"),
        ('"sinus rhythm"', "wrong shape"),
        ("17", "wrong shape"),
        ("null", "wrong shape"),
        ("[1, 2]", "wrong shape"),
        ('["sinus rhythm", 3]', "wrong shape"),
        ('[["sinus rhythm"]]', "wrong shape"),
        ('{"lbbb": 3}', "wrong shape"),
        ('{"lbbb": null}', "wrong shape"),
        ('{"block": [1]}', "wrong shape"),
        ('{"block": [["lbbb"]]}', "wrong shape"),
    ],
)
def test_replies_that_are_no_json_of_a_known_shape(
    read: Callable[[Reply], Any], text: str, reason: str
) -> None:
    found = fault(read, text)
    assert (found.reason, found.partial) == (reason, None)


# ---------------------------------------------------------------- extract


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('["Sinus  Rhythm", "LBBB."]', ["lbbb", "sinus rhythm"]),
        (' ["b", "a", "B"]\n', ["a", "b"]),
        ('["", " ", "."]', []),
        ("[]", []),
        ("[ ]", []),
        ('["infarct, inferior"]', ["infarct, inferior"]),
        ('["a [b]"]', ["a [b]"]),
        ("[sinus rhythm, LBBB]", ["lbbb", "sinus rhythm"]),
        ("[sinus rhythm,\n 1st degree av block,]", ["1st degree av block", "sinus rhythm"]),
        ("['sinus rhythm', 'lbbb']", ["lbbb", "sinus rhythm"]),
    ],
)
def test_entities_of_a_list(text: str, names: list[str]) -> None:
    assert replies.entities(reply(text)) == names


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        ("[sinus rhythm, lb]", "length", "truncated"),
        ("[sinus rhythm, lb]", "refusal", "refusal"),
        ("[a] [b]", "stop", "not json"),
        ('[a, "b"]', "stop", "not json"),
        ("sinus rhythm, lbbb", "stop", "not json"),
        ('{"entities": ["lbbb"]}', "stop", "wrong shape"),
        ("{}", "stop", "wrong shape"),
    ],
)
def test_what_is_no_list_of_entities(text: str, finish: str, reason: str) -> None:
    assert fault(replies.entities, text, finish).reason == reason


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_a_normalised_name_stays_as_it_is(name: str) -> None:
    once = replies.normalised(name)
    assert replies.normalised(once) == once
    assert replies.normalised(f'  "{name.upper()} . ') == replies.normalised(name.upper())


# ---------------------------------------------------------------- verify


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("YES", Verdict.POSITIVE),
        ("yes.", Verdict.POSITIVE),
        (' **Yes** \n"', Verdict.POSITIVE),
        ("NO", Verdict.ABSENT),
        ("'no'", Verdict.ABSENT),
    ],
)
def test_verdicts(text: str, verdict: Verdict) -> None:
    assert replies.verdict(reply(text)) is verdict


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Yes, it is there", "prose around yes or no"),
        ("The answer is NO", "prose around yes or no"),
        ("YES or NO", "prose around yes or no"),
        ("maybe", "not yes or no"),
        ("nothing", "not yes or no"),
        ("yesterday", "not yes or no"),
        ('["YES"] [', "prose around yes or no"),
    ],
)
def test_what_is_no_verdict(text: str, reason: str) -> None:
    assert fault(replies.verdict, text).reason == reason


# ---------------------------------------------------------------- merge


def test_a_whole_map_is_read_in_the_names_that_were_asked() -> None:
    given = {"LBBB ": "Left  bundle branch block", ASKED[1]: ASKED[1], ASKED[2]: "sr."}
    assert mapping(reply(json.dumps(given))) == {
        "lbbb": "left bundle branch block",
        "left bundle branch block": "left bundle branch block",
        "sinus rhythm": "sr",
    }


@pytest.mark.parametrize(
    ("given", "reason", "partial"),
    [
        ({"lbbb": ASKED[1]}, "missing keys", {"lbbb": ASKED[1]}),
        ({}, "missing keys", {}),
        (dict.fromkeys(ASKED, ""), "missing keys", {}),
        ({"lbbb": "a", "pacing": "b"}, "invented names", {"lbbb": "a"}),
        (WHOLE | {"pacing": "b"}, "invented names", WHOLE),
    ],
)
def test_what_can_be_read_of_a_map_that_is_not_whole(
    given: dict[str, str], reason: str, partial: dict[str, str]
) -> None:
    found = fault(mapping, json.dumps(given))
    assert (found.reason, found.partial) == (reason, partial)


@pytest.mark.parametrize("text", ['["lbbb"]', '{"lbbb": ["a"]}', '{"lbbb": {"sinus rhythm": "a"}}'])
def test_what_is_no_map(text: str) -> None:
    assert fault(mapping, text).reason == "wrong shape"


# ---------------------------------------------------------------- aggregate


def test_a_hierarchy_with_superclasses_below_superclasses() -> None:
    given = {"Conduction": ["Block", "lbbb", "LBBB"], "block": ["left bundle branch block"]}
    assert hierarchy(reply(json.dumps(given))) == {
        "conduction": ["block", "lbbb"],
        "block": ["left bundle branch block"],
    }
    assert hierarchy(reply("{}")) == {}


def test_superclasses_of_one_name_in_two_spellings_are_one() -> None:
    given = {"Block": ["lbbb"], "block ": ["left bundle branch block"]}
    assert hierarchy(reply(json.dumps(given))) == {"block": ["lbbb", "left bundle branch block"]}


def test_invented_children_are_left_out_of_what_can_be_read() -> None:
    given = {"block": ["lbbb", "av block"], "rhythm": ["pacing"], "*": ["lbbb"]}
    found = fault(hierarchy, json.dumps(given))
    assert found.reason == "invented names"
    assert found.partial == {"block": ["lbbb"], "rhythm": []}
    nameless = fault(hierarchy, '{"*": ["lbbb"], "block": ["."]}')
    assert (nameless.reason, nameless.partial) == ("invented names", {"block": []})


@pytest.mark.parametrize("text", ['["lbbb"]', '{"block": "lbbb"}', '{"block": {"lbbb": []}}'])
def test_what_is_no_hierarchy(text: str) -> None:
    assert fault(hierarchy, text).reason == "wrong shape"


# ---------------------------------------------------------------- any text at all

PIECES = ["[", "]", "{", "}", '"', ",", ":", "lbbb", "NaN", "1", "YES", "sorry", "\\u", "\ud800"]
TEXTS = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from(["stop", "length", "refusal", "content_filter"]))
def test_every_text_is_read_or_has_a_reason(text: str, finish: str) -> None:
    for read in READERS:
        try:
            read(reply(text, finish))
        except MalformedError as found:
            assert found.reason


# ---------------------------------------------------------------- lists.resolved

FEW = [f"{one} {other}".strip() for one in ("", "left", "old") for other in ("block", "infarct")]
UNKNOWN = ["bundle branch block", "some infarct", "pacing"]
ANSWERS = st.dictionaries(st.sampled_from(FEW), st.sampled_from([*FEW, *UNKNOWN]))


def resolved(answers: Mapping[str, str]) -> tuple[dict[str, str], dict[str, int]]:
    counts: Counter[str] = Counter()
    found = lists.resolved(answers, counts)
    return found, {name: count for name, count in counts.items() if count}


@settings(max_examples=100, deadline=None)
@given(ANSWERS)
def test_every_name_becomes_one_that_was_asked_and_stays_it(answers: dict[str, str]) -> None:
    found, _ = resolved(answers)
    assert set(found) == set(answers)
    assert set(found.values()) <= set(answers)
    again, counts = resolved(found)
    assert (again, counts) == (found, {})


@settings(max_examples=100, deadline=None)
@given(ANSWERS)
def test_what_an_answer_joins_gets_one_name_and_nothing_else_does(answers: dict[str, str]) -> None:
    found, _ = resolved(answers)
    joined = {name: {name} for name in [*answers, *answers.values()]}
    for name, to in answers.items():
        both = joined[name] | joined[to]
        joined |= dict.fromkeys(both, both)
    for one in answers:
        for other in answers:
            assert (found[one] == found[other]) == (other in joined[one])


def test_chains_end_at_their_end() -> None:
    answers = {"a": "b", "b": "c", "c": "c", "d": "a"}
    found, counts = resolved(answers)
    assert found == dict.fromkeys(answers, "c")
    assert counts == {"chains": 2}


def test_a_cycle_takes_the_member_that_most_of_it_points_to() -> None:
    found, counts = resolved({"a": "b", "b": "a", "c": "b", "d": "d"})
    assert found == {"a": "b", "b": "b", "c": "b", "d": "d"}
    assert counts == {"cycles": 1}
    assert resolved({"a": "bb", "bb": "a", "x": "y", "y": "x"})[1] == {"cycles": 2}


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        ({"lbbb": "bundle branch block", "block": "bundle branch block"}, "block"),
        ({"lbbb": "pacing", "block": "pacing"}, "block"),  # no word shared: the longest
        ({"lbbb": "block", "block": "pacing"}, "block"),
        ({"left block": "av block", "block": "left block", "old": "left block"}, "left block"),
    ],
)
def test_a_name_that_was_not_asked_gives_way_to_one_that_was(
    answers: dict[str, str], name: str
) -> None:
    found, counts = resolved(answers)
    assert found == dict.fromkeys(answers, name)
    assert counts["unknown"] == 1


# ---------------------------------------------------------------- lists.turns

NAMES = st.lists(st.text(min_size=1, max_size=3), max_size=60, unique=True)


@settings(max_examples=100, deadline=None)
@given(NAMES, st.integers(0, 9))
def test_every_turn_holds_every_name_once_and_every_pair_meets(
    names: list[str], parts: int
) -> None:
    turns = lists.turns(names, parts)
    for turn in turns:
        assert sorted(name for part in turn for name in part) == sorted(names)
        assert all(turn)
    together = {pair for turn in turns for part in turn for pair in permutations(part, 2)}
    assert together == set(permutations(names, 2))


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 9), st.integers(100, 400))
def test_no_part_is_much_longer_than_it_may_be(parts: int, size: int) -> None:
    names = [f"{number:03d}" for number in range(size)]
    longest = max(len(part) for turn in lists.turns(names, parts) for part in turn)
    assert longest <= size / parts + 2  # blocks differ by one name


def test_the_first_turn_holds_neighbours_together() -> None:
    names = list("abcdefgh")
    assert lists.turns(names, 2) == [
        [["a", "b", "c", "d"], ["e", "f", "g", "h"]],
        [["a", "b", "g", "h"], ["c", "d", "e", "f"]],
        [["a", "b", "e", "f"], ["c", "d", "g", "h"]],
    ]
    assert lists.turns(names, 1) == [[names]]
    assert lists.turns([], 0) == []


# ---------------------------------------------------------------- lists.flattened

ENTITIES = ["a", "b", "any a", "block"]
NAMED = st.sampled_from([*ENTITIES, "any any a", "any block", "rhythm", "conduction"])
TREES = st.dictionaries(NAMED, st.lists(NAMED, max_size=5))


@settings(max_examples=120, deadline=None)
@given(TREES, st.lists(st.sampled_from(ENTITIES), unique=True))
def test_a_flattened_hierarchy_has_two_levels(
    tree: dict[str, list[str]], entities: list[str]
) -> None:
    counts: Counter[str] = Counter()
    found = lists.flattened(tree, entities, counts)
    check(found, entities)
    assert len(found) + counts["empty"] == len(tree)
    for name in set(found) - {name for name in found if name.startswith("any ")}:
        assert set(found[name]) == reached(name, tree) & set(entities)


def reached(name: str, tree: Mapping[str, Sequence[str]]) -> set[str]:
    """All names below `name`, found by following one level after the other."""
    found: set[str] = set()
    while new := {c for n in found | {name} for c in tree.get(n, ())} - found:
        found |= new
    return found


def flattened(tree: dict[str, list[str]], entities: str) -> tuple[Any, dict[str, int]]:
    counts: Counter[str] = Counter()
    found = lists.flattened(tree, entities.split(), counts)
    return found, {name: count for name, count in counts.items() if count}


def test_entities_below_superclasses_below_superclasses() -> None:
    tree = {"conduction": ["block", "pacing"], "block": ["lbbb"], "nothing": ["nobody"]}
    found, counts = flattened(tree, "lbbb pacing")
    assert found == {"block": ["lbbb"], "conduction": ["lbbb", "pacing"]}
    assert counts == {"nested": 2, "empty": 1}


def test_a_superclass_of_an_entitys_name_is_renamed_and_holds_it() -> None:
    found, counts = flattened({"block": ["lbbb"], "conduction": ["block"]}, "lbbb block")
    assert found == {"any block": ["block", "lbbb"], "conduction": ["block", "lbbb"]}
    assert counts == {"renamed": 1}
    assert flattened({"block": ["block"]}, "block") == ({}, {"empty": 1})


def test_a_renamed_superclass_takes_no_name_that_is_taken() -> None:
    counts: Counter[str] = Counter()
    tree = {"block": ["lbbb"], "any block": ["rbbb"]}
    found = lists.flattened(tree, ["block", "lbbb", "rbbb"], counts)
    assert found == {"any block": ["rbbb"], "any any block": ["block", "lbbb"]}


def test_superclasses_that_hold_each_other_end() -> None:
    names = [f"superclass {number}" for number in range(60)]
    tree = {name: [*names, "lbbb"] for name in names}
    found, _ = flattened(tree, "lbbb")
    assert found == {name: ["lbbb"] for name in names}


# ---------------------------------------------------------------- questions


def test_the_prompts_are_the_papers_with_what_they_are_asked_of() -> None:
    extract = prompts.extract(4, "sinus {rhythm}", SETTINGS)
    assert extract.messages == (
        {
            "role": "user",
            "content": "Please extract all positive Cardiac-related Entities from the given ECG "
            "report. Output format is [Entity1, Entity2, ...]\nECG report: sinus {rhythm}",
        },
    )
    assert extract.max_tokens == SETTINGS.max_tokens
    names = ["sinus rhythm", "förmak"]
    merge = prompts.merge("merge", names, SETTINGS).messages[0]["content"]
    assert 'Here are ["sinus rhythm", "förmak"]. Output format is JSON' in merge
    assert not merge.endswith("\n")


def test_system_and_examples_come_before_the_question() -> None:
    told = replace(SETTINGS, system="Be brief.", examples=(Example("old report", ("a", "b")),))
    extract = prompts.extract(0, "sinus rhythm", told).messages
    assert [m["role"] for m in extract] == ["system", "user", "assistant", "user"]
    assert extract[1]["content"].endswith("ECG report: old report")
    assert extract[2]["content"] == '["a", "b"]'
    verify = prompts.verify(0, "sinus rhythm", "sinus rhythm", told).messages
    assert [m["role"] for m in verify] == ["system", "user"]


def test_only_structured_questions_constrain_the_reply() -> None:
    free = replace(SETTINGS, structured=False)
    for told in (SETTINGS, free):
        asked = [
            prompts.extract(0, "text", told),
            prompts.verify(0, "text", "lbbb", told),
            prompts.merge("merge", ["lbbb"], told),
            prompts.aggregate("superclasses", ["lbbb"], told),
        ]
        assert [bool(question.constraint) for question in asked] == [told is SETTINGS] * 4
    merge = prompts.merge("merge", ["lbbb", "rbbb"], SETTINGS).constraint
    assert merge["response_format"]["json_schema"]["schema"]["required"] == ["lbbb", "rbbb"]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(600, 8192))
def test_a_list_cut_into_chunks_leaves_room_for_its_reply(count: int, length: int) -> None:
    told = replace(SETTINGS, max_model_len=length)
    names = [f"finding number {number:03d}" for number in range(count)]
    for turn in lists.turns(names, prompts.chunks(names, told)):
        for part in turn:
            question = prompts.merge("merge", part, told)
            reply = json.dumps({name: name for name in part})
            characters = len(reply) + sum(len(one["content"]) for one in question.messages)
            assert question.max_tokens is None
            assert characters // prompts.CHARACTERS_PER_TOKEN < length


def test_a_context_too_short_for_any_list_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"llm\.max_model_len is 160: too short"):
        prompts.chunks(["left bundle branch block"], replace(SETTINGS, max_model_len=160))


@pytest.mark.parametrize("count", [1, 50, 340])
def test_a_repair_shows_the_reply_and_fits_the_context(count: int) -> None:
    names = [f"finding number {number:03d}" for number in range(count)]
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


def test_a_repair_of_a_short_question_shows_the_whole_reply() -> None:
    question = prompts.extract(0, "sinus rhythm", SETTINGS)
    again = prompts.repaired(question, "prose " * 100, "not json", SETTINGS)
    assert again.messages[-2]["content"] == "prose " * 100
    assert again.max_tokens == question.max_tokens
