"""The lexicon backend: what it reads in single statements, in English, German and Swedish."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl.files import read_yaml
from kmerl.knowledge.aggregate import aggregate
from kmerl.knowledge.backend import Coverage, Verdict
from kmerl.knowledge.lexicon.backend import lexicon
from kmerl.knowledge.lexicon.patterns import LexiconError, expressions
from kmerl.knowledge.merge import contradiction
from kmerl.knowledge.mining import open_backend
from kmerl.knowledge.quality import code_table
from kmerl.knowledge.reports import scp_sentences

NAMES = read_yaml(Path(__file__).parent / "cases" / "names.yaml")
CART_STATEMENTS = Path(__file__).parent / "cart_statements.txt"
READ_STATEMENTS = Path(__file__).with_name("lexicon_statements.txt")  # text | +entity, ?entity
SIGNS = {"+": Verdict.POSITIVE, "?": Verdict.HEDGED, "-": Verdict.NEGATED}


def read(text):
    """Entity -> verdict, through the four public questions and nothing else."""
    (names,) = lexicon().extract([text])
    (verdicts,) = lexicon().verify([text], [names])
    entity = lexicon().merge(names)
    return {entity[name]: verdict for name, verdict in zip(names, verdicts, strict=True)}


@pytest.mark.parametrize("line", READ_STATEMENTS.read_text(encoding="utf-8").splitlines())
def test_reads_statements(line):
    text, _, stated = line.partition(" |")
    assert read(text) == {one[1:]: SIGNS[one[0]] for one in stated.strip().split(", ") if one}


@pytest.mark.parametrize(("text", "verdict"), NAMES["abbreviated"])
def test_an_abbreviation_shares_the_verdict(text, verdict):
    (names,) = lexicon().extract([text])
    assert len(names) == 2
    assert lexicon().verify([text], [names]) == [[verdict, verdict]]


def test_never_merges_what_differs():
    for one, other in NAMES["different"]:
        first, second = read(one), read(other)
        assert first and second and set(first).isdisjoint(second), one


def test_every_wording_means_its_entity_and_does_not_contradict_it():
    words = lexicon().vocabulary
    means = {
        " ".join(tokens): term.value
        for tokens, term in words.terms.items()
        if term.kind == "entity"
    }
    assert lexicon().merge(list(means)) == means
    assert [name for name, entity in means.items() if contradiction(name, entity)] == []
    located = {
        f"inferior {' '.join(tokens)}": words.findings[term.value].located.format(
            territory="inferior"
        )
        for tokens, term in words.terms.items()
        if term.kind == "finding"
    }
    assert lexicon().merge(list(located)) == located


def test_spellings_that_are_not_merged_have_the_superclasses_of_what_they_mean():
    """Table 2c, "- Merging Duplicated Patterns": one thing less than the row above, not two."""
    merged = aggregate(["left bundle branch block"], lexicon())
    assert aggregate(["lbbb"], lexicon()) == {name: ["lbbb"] for name in merged}
    low = aggregate(["low voltage", "low qrs voltage"], lexicon())
    assert low["any low voltage"] == ["low qrs voltage", "low voltage"]
    assert "low voltage" not in low
    terms = lexicon().vocabulary.terms.items()
    spellings = {" ".join(tokens) for tokens, term in terms if term.kind == "entity"}
    assert len(spellings) > 4000
    assert set().union(*aggregate(spellings, lexicon()).values()) == spellings


def test_cart_vocabulary_is_understood():
    statements = CART_STATEMENTS.read_text(encoding="utf-8").splitlines()
    left = dict(zip(statements, lexicon().unrecognised(statements), strict=True))
    assert {statement: words for statement, words in left.items() if words} == {}


def test_what_is_not_understood_is_told():
    left = {
        "sinus rhythm with gallop sounds": ["gallop", "sounds"],
        "in the inferior leads": ["inferior", "no finding"],
        "t wave axis of the ventricle": ["t", "wave", "axis", "ventricle", "no finding"],
    }
    assert lexicon().unrecognised(list(left)) == list(left.values())


def test_scp_sentences_state_their_code():
    table = code_table()
    assert set(scp_sentences()) == set(table.by_code)
    for code, sentence in scp_sentences().items():
        assert table.by_code[code].intersection(read(sentence)), code
        assert lexicon().unrecognised([sentence]) == [[]]


def test_code_table_names_entities():
    named = frozenset().union(*code_table().by_code.values())
    assert named <= set(lexicon().vocabulary.parents)


WORDS = """sinus rhythm infarct infarkt inferior anteroseptal old acute possible no not or and with
in leads ableitungen rbbb linksschenkelblock moeglich kein st elevation t wave , . but ? # ä 7 v2
cannot be excluded may be due to ischemia probable ischaemie oder flut"""


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join))
def test_answers_fit_each_other_whatever_the_text(text):
    (names,) = lexicon().extract([text])
    assert names == sorted(set(names))
    assert Verdict.ABSENT not in lexicon().verify([text], [names])[0]
    entities = set(lexicon().merge(names).values())
    children = lexicon().aggregate(sorted(entities)).values()
    assert {child for row in children for child in row} == entities


def test_other_expressions_are_absent():
    assert lexicon().verify(["sinus rhythm"], [["rbbb", "sinus rhythm"]]) == [
        [Verdict.ABSENT, Verdict.POSITIVE]
    ]


def test_backend_by_name_keeps_an_llms_answers(tmp_path):
    answers = tmp_path / "answers.jsonl"
    for held in ("", "dear\n"):  # none yet, or those of an LLM
        with open_backend("lexicon", tmp_path) as backend:
            assert isinstance(backend, Coverage)
        assert answers.read_text() == held
        answers.write_text("dear\n")
    with (
        pytest.raises(ValueError, match=r"extract\.backend is 'lexikon'"),
        open_backend("lexikon", tmp_path),
    ):
        pass


def test_patterns():
    assert list(expressions("[complete] (left|l) bbb; lbbb")) == [
        "left bbb",
        "l bbb",
        "complete left bbb",
        "complete l bbb",
        "lbbb",
    ]
    with pytest.raises(LexiconError, match="is missing"):
        list(expressions("(left|right"))
    with pytest.raises(LexiconError, match="closes nothing"):
        list(expressions("left)"))
