"""What is checked by words alone: the string check, the guard of merges, and overrides by hand."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl.knowledge import overrides
from kmerl.knowledge.backend import MiningError, Verdict
from kmerl.knowledge.merge import Merged, contradiction, guarded
from kmerl.knowledge.overrides import Overrides
from kmerl.knowledge.strings import stands

# ---------------------------------------------------------------- the string check


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("sinus rhythm. inferior infarct.", "inferior infarct"),
        ("SINUS RHYTHM", "sinus rhythm"),
        ("left-anterior fascicular block", "left anterior fascicular block"),
        ("sinus rhythm with 1st degree a-v block", "first degree av block"),
        ("ischaemia", "ischemia"),
        ("atrial premture complex", "atrial premature complex"),
        ("infarct of the inferior wall", "inferior infarct"),
    ],
)
def test_present_also_in_another_spelling_or_order(text: str, expression: str) -> None:
    assert stands(text, expression) is Verdict.POSITIVE


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("sinus rhythm", "inferior infarct"),
        ("inferior leads are normal. old infarct", "inferior infarct"),
        ("inferior leads are normal; old infarct", "inferior infarct"),
        ("infarct", "inferior infarct"),
        ("lbbb", "left bundle branch block"),  # it knows no meaning
        ("normal ecg", ""),
        ("normal ecg", " "),
        ("", "infarct"),
    ],
)
def test_absent_where_the_words_do_not_stand_in_one_sentence(text: str, expression: str) -> None:
    assert stands(text, expression) is Verdict.ABSENT


@pytest.mark.parametrize(
    "text",
    [
        "no inferior infarct",
        "without evidence of inferior infarct",
        "no ischemia, inferior infarct or hypertrophy",
        "sinus rhythm. inferior infarct is not seen",
        "no infarct, inferior or other",
    ],
)
def test_negated(text: str) -> None:
    assert stands(text, "inferior infarct") is Verdict.NEGATED


@pytest.mark.parametrize(
    "text",
    [
        "possible inferior infarct - age undetermined",
        "inferior infarct cannot be excluded",
        "infarct, probably inferior",
        "cannot rule out ischemia or inferior infarct",
    ],
)
def test_hedged(text: str) -> None:
    assert stands(text, "inferior infarct") is Verdict.HEDGED


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("no infarct. possible infarct", Verdict.HEDGED),
        ("possible infarct. no infarct", Verdict.HEDGED),
        ("no infarct. possible infarct. infarct", Verdict.POSITIVE),
        ("infarct. no infarct", Verdict.POSITIVE),
        ("no inferior infarct. infarct, inferior", Verdict.NEGATED),  # as written goes first
    ],
)
def test_the_most_positive_of_several_places_counts(text: str, verdict: Verdict) -> None:
    sought = "inferior infarct" if "inferior" in text else "infarct"
    assert stands(text, sought) is verdict


def test_negation_does_not_pass_the_end_of_a_sentence() -> None:
    assert stands("no ischemia. inferior infarct", "inferior infarct") is Verdict.POSITIVE
    assert stands("inferior infarct. no ischemia", "inferior infarct") is Verdict.POSITIVE


STRONGEST_FIRST = [Verdict.POSITIVE, Verdict.HEDGED, Verdict.NEGATED, Verdict.ABSENT]
WORDS = "no possible infarct inferior rhythm and or , ; not seen"
TEXTS = st.lists(st.sampled_from(WORDS.split()), max_size=8).map(" ".join)


@settings(max_examples=80, deadline=None)
@given(TEXTS, TEXTS, st.sampled_from(["infarct", "rhythm"]))
def test_a_text_says_what_the_strongest_of_its_sentences_says(
    one: str, other: str, word: str
) -> None:
    apart = (stands(one, word), stands(other, word))
    assert stands(f"{one}. {other}.", word) is min(apart, key=STRONGEST_FIRST.index)


# ---------------------------------------------------------------- the guard

MARKS = ["left", "right", "inferior", "anterior", "acute", "old", "block"]
NAMES = st.lists(st.sampled_from(MARKS), min_size=1, max_size=3).map(" ".join)


def groups(merged: Merged) -> dict[str, set[str]]:
    """The expressions of each entity."""
    found: dict[str, set[str]] = {}
    for name, entity in merged.entity.items():
        found.setdefault(entity, set()).add(name)
    return found


def test_what_differs_in_territory_never_meets_in_one_entity() -> None:
    answers = {"anterior infarct": "infarct", "inferior infarct": "infarct", "infarct": "infarct"}
    merged = guarded(answers)
    assert merged.entity == {name: name for name in answers}
    assert merged.refused == (
        ("anterior infarct", "infarct", "territory"),
        ("inferior infarct", "infarct", "territory"),
    )


def test_equal_marks_stay_together() -> None:
    answers = dict.fromkeys(
        ["anterior infarct", "anterior myocardial infarction", "inferior infarct"],
        "inferior infarct",
    )
    merged = guarded(answers)
    assert groups(merged) == {
        "anterior myocardial infarction": {"anterior infarct", "anterior myocardial infarction"},
        "inferior infarct": {"inferior infarct"},
    }


def test_a_merge_without_contradiction_stands() -> None:
    answers = {"rbbb": "right bundle branch block", "infarct": "inferior infarct"}
    assert guarded(answers) == Merged(answers, ())


def test_a_part_does_not_land_in_another_entity_that_contradicts_it() -> None:
    answers = {
        "left block of some kind": "right block",
        "left inferior block": "right block",
        "left anterior block": "left block of some kind",
    }
    merged = guarded(answers)
    together = merged.entity["left inferior block"] == merged.entity["left anterior block"]
    assert not together


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_two_expressions_of_an_entity_contradict_each_other(data: st.DataObject) -> None:
    names = data.draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    targets = st.sampled_from([*names, data.draw(NAMES)])
    answers = {name: data.draw(targets) for name in names}
    merged = guarded(answers)
    assert set(merged.entity) == set(names)
    for entity, members in groups(merged).items():
        for one in members:
            assert contradiction(one, entity) is None
            assert all(contradiction(one, other) is None for other in members)
    assert guarded(merged.entity) == Merged(merged.entity, ())


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, NAMES, max_size=8))
def test_what_the_guard_changes_is_listed_with_what_it_was_to_become(
    answers: Mapping[str, str],
) -> None:
    merged = guarded(answers)
    changed = {(name, answers[name]) for name in answers if merged.entity[name] != answers[name]}
    assert changed == {(name, target) for name, target, _ in merged.refused}


# ---------------------------------------------------------------- overrides by hand

NONE = "drop: []\nmerge: {}\napart: []\nsuperclasses: {}\n"


def read(text: str, tmp_path: Path) -> Overrides:
    path = tmp_path / "overrides.yaml"
    path.write_text(text, encoding="utf-8")
    return overrides.read(path)


def test_the_packaged_file_is_read() -> None:
    assert overrides.read(Path(__file__).parent.parent / "overrides.yaml") == Overrides(
        (), {}, (), {}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"overrides\.yaml is None; it must be a mapping"),
        ("drop: []\n", r"merge is missing"),
        (NONE + "split: []\n", "unknown key 'split'"),
        (NONE.replace("drop: []", "drop: rbbb"), "drop is 'rbbb'; it must be a list"),
        (NONE.replace("merge: {}", "merge: {rbbb: [lbbb]}"), r"merge\.rbbb is \['lbbb'\]"),
        (
            NONE.replace("superclasses: {}", "superclasses: {block: rbbb}"),
            r"superclasses\.block is 'rbbb'; it must be a list",
        ),
        (
            NONE.replace("drop: []", "drop: [rbbb]").replace("apart: []", "apart: [rbbb]"),
            "'rbbb' stands in two of drop, merge and apart",
        ),
        (
            NONE.replace("merge: {}", "merge: {rbbb: block}").replace("apart: []", "apart: [rbbb]"),
            "'rbbb' stands in two of drop, merge and apart",
        ),
        (
            NONE.replace("merge: {}", "merge: {rbbb: block, block: lbbb}"),
            r"merge\.rbbb leads to 'block', which is itself merged or dropped",
        ),
        (
            NONE.replace("merge: {}", "merge: {rbbb: block}").replace("drop: []", "drop: [block]"),
            r"merge\.rbbb leads to 'block', which is itself merged or dropped",
        ),
    ],
)
def test_overrides_that_cannot_be_followed_are_errors(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        read(text, tmp_path)


def test_overrides_change_what_was_mined(tmp_path: Path) -> None:
    ours = read(
        "drop: [abnormal ecg, artifact]\n"
        "merge: {irbbb: rbbb, afib: afib}\n"
        "apart: [lafb]\n"
        "superclasses: {rhythm: [afib, svt], block: [], ventricle: [lvh]}\n",
        tmp_path,
    )
    mined = {"abnormal ecg": "ecg", "irbbb": "irbbb", "rbbb": "rbbb", "lafb": "lbbb"}
    found = overrides.merged(mined, ours)
    assert found == {"irbbb": "rbbb", "lafb": "lafb", "rbbb": "rbbb"}
    assert overrides.unused_expressions(ours, mined) == ["afib", "artifact"]
    above = {"block": ["rbbb"], "rhythm": ["rbbb"], "other": ["lafb"]}
    below = overrides.hierarchy(above, ["afib", "lafb", "rbbb"], ours)
    assert below == {"other": ["lafb"], "rhythm": ["afib"]}
    assert overrides.unused_children(ours, ["afib", "lafb", "rbbb"]) == ["lvh", "svt"]


def test_overrides_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(MiningError, match=r"overrides\.yaml cannot be read"):
        overrides.read(tmp_path / "overrides.yaml")
    (tmp_path / "overrides.yaml").write_text("drop: [", encoding="utf-8")
    with pytest.raises(MiningError, match=r"overrides\.yaml cannot be read"):
        overrides.read(tmp_path / "overrides.yaml")
