"""What is checked by words alone: the string check, the guard of merges, and overrides by hand."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl.files import read_yaml
from kmerl.knowledge import overrides
from kmerl.knowledge.backend import Verdict
from kmerl.knowledge.merge import Merged, contradiction, guarded
from kmerl.knowledge.overrides import Overrides
from kmerl.knowledge.strings import stands
from kmerl.params import ParamsError

CASES = read_yaml(Path(__file__).parent / "cases" / "names.yaml")


@pytest.mark.parametrize("verdict", CASES["stated"])
def test_what_a_text_says_of_an_expression(verdict):
    wrong = [(one, text) for one, text in CASES["stated"][verdict] if stands(text, one) != verdict]
    assert wrong == []


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


@pytest.mark.parametrize(("one", "other", "axis"), CASES["contradictions"])
def test_contradictions(one, other, axis):
    assert contradiction(one, other) == axis


@pytest.mark.parametrize("case", CASES["guarded"].values(), ids=CASES["guarded"])
def test_the_guard(case):
    refused = tuple(map(tuple, case["refused"]))
    assert guarded(case["answers"]) == Merged(case["entity"], refused)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_two_expressions_of_an_entity_contradict_each_other(data):
    names = data.draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    targets = st.sampled_from([*names, *data.draw(st.lists(NAMES, min_size=1, max_size=4))])
    answers = {name: data.draw(targets) for name in names}
    merged = guarded(answers)
    assert set(merged.entity) == set(names)
    for one, entity in merged.entity.items():
        assert contradiction(one, entity) is None
        others = [other for other in names if merged.entity[other] == entity]
        assert all(contradiction(one, other) is None for other in others)
    assert guarded(merged.entity) == Merged(merged.entity, ())
    changed = {(name, answers[name]) for name in answers if merged.entity[name] != answers[name]}
    assert changed == {(name, target) for name, target, _ in merged.refused}


def read(tmp_path, given):
    """The overrides with these sections beside empty ones, or of a file with this text."""
    path = tmp_path / "overrides.yaml"
    none = {"drop": [], "merge": {}, "apart": [], "superclasses": {}}
    text = given if isinstance(given, str) else yaml.safe_dump(none | given)
    path.write_text(text, encoding="utf-8")
    return overrides.read(path)


FILES = {"": " holds no mapping", "drop: []": "merge is missing", "drop: [": ", line 2: "}


@pytest.mark.parametrize(
    ("given", "error"), [*FILES.items(), *(case.values() for case in CASES["overrides"])]
)
def test_overrides_that_cannot_be_followed_are_errors(given, error, tmp_path):
    with pytest.raises(ValueError, match=rf"overrides\.yaml.*{re.escape(error)}"):
        read(tmp_path, given)


def test_the_packaged_overrides_are_none_and_missing_ones_are_named(tmp_path):
    packaged = Path(__file__).parent.parent / "overrides.yaml"
    assert overrides.read(packaged) == Overrides((), {}, (), {}) == read(tmp_path, {})
    with pytest.raises(ParamsError, match=r"missing\.yaml does not exist"):
        overrides.read(tmp_path / "missing.yaml")
