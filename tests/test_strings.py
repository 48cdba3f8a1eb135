"""What is checked by words alone: the string check, the guard of merges, and overrides by hand."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl.knowledge import overrides
from kmerl.knowledge.backend import MiningError, Verdict
from kmerl.knowledge.merge import Merged, contradiction, guarded
from kmerl.knowledge.overrides import Overrides
from kmerl.knowledge.strings import stands

OF_INFARCT, SHORT = "inferior infarct", "infarct"
STATED: dict[Verdict, list[tuple[str, str]]] = {  # (expression, text)
    Verdict.POSITIVE: [  # also in another spelling or order
        (OF_INFARCT, "sinus rhythm. inferior infarct."),
        (OF_INFARCT, "infarct of the inferior wall"),
        ("sinus rhythm", "SINUS RHYTHM"),
        ("left anterior fascicular block", "left-anterior fascicular block"),
        ("first degree av block", "sinus rhythm with 1st degree a-v block"),
        ("ischemia", "ischaemia"),
        ("atrial premature complex", "atrial premture complex"),
        (OF_INFARCT, "no ischemia. inferior infarct"),  # negation does not pass a sentence's end
        (OF_INFARCT, "inferior infarct. no ischemia"),
        (SHORT, "no infarct. possible infarct. infarct"),  # the most positive place counts
        (SHORT, "infarct. no infarct"),
    ],
    Verdict.HEDGED: [
        (OF_INFARCT, "possible inferior infarct - age undetermined"),
        (OF_INFARCT, "inferior infarct cannot be excluded"),
        (OF_INFARCT, "infarct, probably inferior"),
        (OF_INFARCT, "cannot rule out ischemia or inferior infarct"),
        (SHORT, "no infarct. possible infarct"),
        (SHORT, "possible infarct. no infarct"),
    ],
    Verdict.NEGATED: [
        (OF_INFARCT, "no inferior infarct"),
        (OF_INFARCT, "without evidence of inferior infarct"),
        (OF_INFARCT, "no ischemia, inferior infarct or hypertrophy"),
        (OF_INFARCT, "sinus rhythm. inferior infarct is not seen"),
        (OF_INFARCT, "no infarct, inferior or other"),
        (OF_INFARCT, "no inferior infarct. infarct, inferior"),  # as written goes first
    ],
    Verdict.ABSENT: [  # where the words do not stand in one sentence
        (OF_INFARCT, "sinus rhythm"),
        (OF_INFARCT, "inferior leads are normal. old infarct"),
        (OF_INFARCT, "inferior leads are normal; old infarct"),
        (OF_INFARCT, "infarct"),
        ("left bundle branch block", "lbbb"),  # it knows no meaning
        ("", "normal ecg"),
        (" ", "normal ecg"),
        (SHORT, ""),
    ],
}


@pytest.mark.parametrize("verdict", STATED)
def test_what_a_text_says_of_an_expression(verdict):
    found = {(sought, text): stands(text, sought) for sought, text in STATED[verdict]}
    assert found == dict.fromkeys(STATED[verdict], verdict)


STRONGEST_FIRST = [Verdict.POSITIVE, Verdict.HEDGED, Verdict.NEGATED, Verdict.ABSENT]
WORDS = "no possible infarct inferior rhythm and or , ; not seen"
TEXTS = st.lists(st.sampled_from(WORDS.split()), max_size=8).map(" ".join)


@settings(max_examples=80, deadline=None)
@given(TEXTS, TEXTS, st.sampled_from(["infarct", "rhythm"]))
def test_a_text_says_what_the_strongest_of_its_sentences_says(one, other, word):
    apart = (stands(one, word), stands(other, word))
    assert stands(f"{one}. {other}.", word) is min(apart, key=STRONGEST_FIRST.index)


MARKS = ["left", "right", "inferior", "anterior", "acute", "old", "block"]
NAMES = st.lists(st.sampled_from(MARKS), min_size=1, max_size=3).map(" ".join)


def groups(merged: Merged) -> dict[str, set[str]]:
    """The expressions of each entity."""
    found: dict[str, set[str]] = {}
    for name, entity in merged.entity.items():
        found.setdefault(entity, set()).add(name)
    return found


@pytest.mark.parametrize(
    ("answers", "entity", "refused"),
    [
        (  # what differs in territory never meets in one entity
            {"anterior infarct": SHORT, OF_INFARCT: SHORT, SHORT: SHORT},
            {name: name for name in ("anterior infarct", OF_INFARCT, SHORT)},
            (("anterior infarct", SHORT, "territory"), (OF_INFARCT, SHORT, "territory")),
        ),
        (  # equal marks stay together
            dict.fromkeys(["anterior infarct", "anterior mi", OF_INFARCT], OF_INFARCT),
            {"anterior infarct": "anterior infarct", "anterior mi": "anterior infarct"}
            | {OF_INFARCT: OF_INFARCT},
            tuple((name, OF_INFARCT, "territory") for name in ("anterior infarct", "anterior mi")),
        ),
        (  # a merge without contradiction stands
            {"rbbb": "right bundle branch block", SHORT: OF_INFARCT},
            {"rbbb": "right bundle branch block", SHORT: OF_INFARCT},
            (),
        ),
    ],
)
def test_the_guard(answers, entity, refused):
    assert guarded(answers) == Merged(entity, refused)


def test_a_part_does_not_land_in_another_entity_that_contradicts_it():
    answers = {
        "left block of some kind": "right block",
        "left inferior block": "right block",
        "left anterior block": "left block of some kind",
    }
    found = guarded(answers).entity
    assert found["left inferior block"] != found["left anterior block"]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_two_expressions_of_an_entity_contradict_each_other(data):
    names = data.draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    targets = st.sampled_from([*names, *data.draw(st.lists(NAMES, min_size=1, max_size=4))])
    answers = {name: data.draw(targets) for name in names}
    merged = guarded(answers)
    assert set(merged.entity) == set(names)
    for entity, members in groups(merged).items():
        for one in members:
            assert contradiction(one, entity) is None
            assert all(contradiction(one, other) is None for other in members)
    assert guarded(merged.entity) == Merged(merged.entity, ())
    changed = {(name, answers[name]) for name in answers if merged.entity[name] != answers[name]}
    assert changed == {(name, target) for name, target, _ in merged.refused}


NONE: dict[str, Any] = {"drop": [], "merge": {}, "apart": [], "superclasses": {}}


def read(tmp_path: Path, given: str | dict[str, Any]) -> Overrides:
    """Of a file with this text, or with these sections beside empty ones."""
    path = tmp_path / "overrides.yaml"
    text = given if isinstance(given, str) else yaml.safe_dump(NONE | given)
    path.write_text(text, encoding="utf-8")
    return overrides.read(path)


TWICE = "'rbbb' stands in two of drop, merge and apart"
ONWARD = r"merge\.rbbb leads to 'block', which is itself merged or dropped"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", r"overrides\.yaml is None"),
        ("drop: []\n", r"merge is missing"),
        ("drop: [", r"overrides\.yaml cannot be read"),
        ({"split": []}, "unknown key 'split'"),
        ({"drop": "rbbb"}, "drop is 'rbbb'"),
        ({"merge": {"rbbb": ["lbbb"]}}, r"merge\.rbbb is \['lbbb'\]"),
        ({"superclasses": {"block": "rbbb"}}, r"superclasses\.block is 'rbbb'"),
        ({"drop": ["rbbb"], "apart": ["rbbb"]}, TWICE),
        ({"merge": {"rbbb": "block"}, "apart": ["rbbb"]}, TWICE),
        ({"merge": {"rbbb": "block", "block": "lbbb"}}, ONWARD),
        ({"merge": {"rbbb": "block"}, "drop": ["block"]}, ONWARD),
    ],
)
def test_overrides_that_cannot_be_followed_are_errors(given, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, given)


def test_the_packaged_overrides_are_none_and_missing_ones_are_named(tmp_path):
    packaged = Path(__file__).parent.parent / "overrides.yaml"
    assert overrides.read(packaged) == Overrides((), {}, (), {}) == read(tmp_path, {})
    with pytest.raises(MiningError, match=r"missing\.yaml cannot be read"):
        overrides.read(tmp_path / "missing.yaml")


def test_overrides_change_what_was_mined(tmp_path):
    ours = read(
        tmp_path,
        {
            "drop": ["abnormal ecg", "artifact"],
            "merge": {"irbbb": "rbbb", "afib": "afib"},
            "apart": ["lafb"],
            "superclasses": {"rhythm": ["afib", "svt"], "block": [], "ventricle": ["lvh"]},
        },
    )
    mined = {"abnormal ecg": "ecg", "irbbb": "irbbb", "rbbb": "rbbb", "lafb": "lbbb"}
    found = overrides.merged(mined, ours)
    assert found == {"irbbb": "rbbb", "lafb": "lafb", "rbbb": "rbbb"}
    assert overrides.unused_expressions(ours, mined) == ["afib", "artifact"]
    above = {"block": ["rbbb"], "rhythm": ["rbbb"], "other": ["lafb"]}
    below = overrides.hierarchy(above, ["afib", "lafb", "rbbb"], ours)
    assert below == {"other": ["lafb"], "rhythm": ["afib"]}
    assert overrides.unused_children(ours, ["afib", "lafb", "rbbb"]) == ["lvh", "svt"]
