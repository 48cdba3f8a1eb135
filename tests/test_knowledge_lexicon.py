"""The lexicon backend: what it reads in single statements, in English, German and Swedish."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmerl.knowledge.backend import Coverage, Verdict
from kmerl.knowledge.lexicon.backend import LexiconBackend
from kmerl.knowledge.lexicon.backend import lexicon as open_lexicon
from kmerl.knowledge.lexicon.patterns import LexiconError, expressions
from kmerl.knowledge.merge import contradiction
from kmerl.knowledge.mining import open_backend
from kmerl.knowledge.quality import code_table
from kmerl.knowledge.reports import scp_sentences

CART_STATEMENTS = Path(__file__).parent / "cart_statements.txt"
POSITIVE, HEDGED, NEGATED = Verdict.POSITIVE, Verdict.HEDGED, Verdict.NEGATED


@pytest.fixture(scope="module")
def lexicon() -> LexiconBackend:
    return open_lexicon()


def read(lexicon: LexiconBackend, text: str) -> dict[str, Verdict]:
    """Entity -> verdict, through the four public questions and nothing else."""
    (names,) = lexicon.extract([text])
    (verdicts,) = lexicon.verify([text], [names])
    entity = lexicon.merge(names)
    return {entity[name]: verdict for name, verdict in zip(names, verdicts, strict=True)}


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        (
            "RBBB with left anterior fascicular block",
            {"right bundle branch block": POSITIVE, "left anterior fascicular block": POSITIVE},
        ),
        (
            "inferior/lateral st-t changes suggest myocardial infarct",
            {
                "inferior st-t changes": POSITIVE,
                "lateral st-t changes": POSITIVE,
                "myocardial infarction of unspecified site": HEDGED,
            },
        ),
        (
            "inferior and ant/septal st elevation, consider acute infarct",
            {
                "inferior st elevation": POSITIVE,
                "anteroseptal st elevation": POSITIVE,
                "st elevation": POSITIVE,
                "myocardial infarction of unspecified site": HEDGED,
                "acute myocardial infarction": HEDGED,
            },
        ),
        (
            "sinus rhythm with 1st degree a-v block with pac(s)",
            {
                "sinus rhythm": POSITIVE,
                "first degree av block": POSITIVE,
                "atrial premature complex": POSITIVE,
            },
        ),
        (
            "*** extensive infarct *** with possible acute inferior and anteroseptal changes",
            {
                "extensive myocardial infarction": POSITIVE,
                "inferior myocardial infarction": HEDGED,
                "anteroseptal myocardial infarction": HEDGED,
            },
        ),
        ("no ecg evidence of ischaemia", {"myocardial ischemia": NEGATED}),
        (
            "no st depression, but t waves are inverted",
            {"st depression": NEGATED, "inverted t waves": POSITIVE},
        ),
        (
            "old inferior infarct cannot be excluded",
            {"inferior myocardial infarction": HEDGED, "old myocardial infarction": HEDGED},
        ),
        (
            "anteroseptal infarct - possibly acute",
            {"anteroseptal myocardial infarction": POSITIVE, "acute myocardial infarction": HEDGED},
        ),
        ("inferior infarct - age undetermined", {"inferior myocardial infarction": POSITIVE}),
        (
            "rhythm was previously atrial fibrillation",
            {"atrial fibrillation": NEGATED},
        ),
        (
            "sinusrhythmus periphere niederspannung",
            {"sinus rhythm": POSITIVE, "low qrs voltage in limb leads": POSITIVE},
        ),
        (
            "qrs(t) abnorm    inferiorer infarkt     wahrscheinlich alt",
            {
                "abnormal qrs": POSITIVE,
                "inferior myocardial infarction": POSITIVE,
                "old myocardial infarction": HEDGED,
            },
        ),
        (
            "anteroseptaler myokardschaden nicht auszuschliessen lagetyp normal",
            {"anteroseptal myocardial infarction": HEDGED, "normal axis": POSITIVE},
        ),
        (
            "st & t abnorm, wahrscheinlich anterolaterale ischÄmie oder linksbelastung",
            {
                "st-t abnormality": POSITIVE,
                "anterolateral ischemia": HEDGED,
                "left ventricular strain": HEDGED,
            },
        ),
        (
            "t abnorm in anterioren ableitungen    inferioren ableitungen",
            {"anterior t wave changes": POSITIVE, "inferior t wave changes": POSITIVE},
        ),
        (
            "amplitudenkriterien f#r linkshypertrophie",
            {
                "voltage criteria for left ventricular hypertrophy": POSITIVE,
                "left ventricular hypertrophy": POSITIVE,
            },
        ),
        ("av-block 1. grades", {"first degree av block": POSITIVE}),
        ("überdrehter linkstyp", {"left axis deviation": POSITIVE}),
        ("linkstyp", {"horizontal axis": POSITIVE}),
        ("ventrikula\u0308re extrasystole(n)", {"ventricular premature complex": POSITIVE}),
        (
            "qs complexes in v2,3 and q waves in ii, iii, avf",
            {"qs complex": POSITIVE, "abnormal q wave": POSITIVE},
        ),
        (
            "regelmÄssiger rhythmus lagetyp normal",
            {"regular rhythm": POSITIVE, "normal axis": POSITIVE},
        ),
        (
            "sinusrhythmus unspezifisch abnormes st-t (hebung)",
            {"sinus rhythm": POSITIVE, "non-specific st-t changes": POSITIVE},
        ),
        ("keine ischämie", {"myocardial ischemia": NEGATED}),
        (
            "sinusrytm inkomplett hÖgersidigt skÄnkelblock",
            {"sinus rhythm": POSITIVE, "incomplete right bundle branch block": POSITIVE},
        ),
        ("ventricular premture beat", {"ventricular premature complex": POSITIVE}),
    ],
)
def test_reads_statements(lexicon: LexiconBackend, text: str, entities: dict[str, Verdict]) -> None:
    assert read(lexicon, text) == entities


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("possible wolff-parkinson-white syndrome (wpw)", HEDGED),
        ("wolff-parkinson-white syndrome (WPW) cannot be excluded", HEDGED),
        ("no right bundle branch block (RBBB)", NEGATED),
        ("wolff-parkinson-white syndrome (wpw)", POSITIVE),
    ],
)
def test_an_abbreviation_shares_the_verdict(
    lexicon: LexiconBackend, text: str, verdict: Verdict
) -> None:
    (names,) = lexicon.extract([text])
    assert len(names) == 2
    assert lexicon.verify([text], [names]) == [[verdict, verdict]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("left bundle branch block", "right bundle branch block"),
        ("linksschenkelblock", "rechtsschenkelblock"),
        ("anterior infarct", "inferior infarct"),
        ("anteroseptal infarct", "anterior infarct"),
        ("first degree av block", "second degree av block"),
        ("av-block i. grades", "av-block iii. grades"),
        ("complete rbbb", "incomplete rbbb"),
        ("pac(s)", "pvc(s)"),
        ("st elevation", "st depression"),
        ("left atrial enlargement", "right atrial enlargement"),
    ],
)
def test_never_merges_what_differs(lexicon: LexiconBackend, one: str, other: str) -> None:
    assert set(read(lexicon, one)).isdisjoint(read(lexicon, other))


def test_no_wording_of_the_lexicon_contradicts_its_entity(lexicon: LexiconBackend) -> None:
    words = lexicon.vocabulary
    for tokens, term in words.terms.items():
        if term.kind == "entity":
            assert contradiction(" ".join(tokens), term.value) is None


def test_every_wording_means_its_entity(lexicon: LexiconBackend) -> None:
    words = lexicon.vocabulary
    for tokens, term in words.terms.items():
        name = " ".join(tokens)
        if term.kind == "entity":
            assert lexicon.merge([name])[name] == term.value
        elif term.kind == "finding":
            located = words.findings[term.value].located.format(territory="inferior")
            assert lexicon.merge([f"inferior {name}"])[f"inferior {name}"] == located


def test_cart_vocabulary_is_understood(lexicon: LexiconBackend) -> None:
    statements = CART_STATEMENTS.read_text(encoding="utf-8").splitlines()
    left = dict(zip(statements, lexicon.unrecognised(statements), strict=True))
    assert {statement: words for statement, words in left.items() if words} == {}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("sinus rhythm with gallop sounds", ["gallop", "sounds"]),
        ("in the inferior leads", ["inferior", "no finding"]),
        ("t wave axis of the ventricle", ["t", "wave", "axis", "ventricle", "no finding"]),
    ],
)
def test_what_is_not_understood_is_told(
    lexicon: LexiconBackend, text: str, left: list[str]
) -> None:
    assert lexicon.unrecognised([text]) == [left]


def test_scp_sentences_state_their_code(lexicon: LexiconBackend) -> None:
    table = code_table()
    assert set(scp_sentences()) == set(table.by_code)
    for code, sentence in scp_sentences().items():
        assert table.by_code[code].intersection(read(lexicon, sentence)), code
        assert lexicon.unrecognised([sentence]) == [[]]


def test_code_table_names_entities(lexicon: LexiconBackend) -> None:
    named = frozenset().union(*code_table().by_code.values())
    assert named <= set(lexicon.vocabulary.parents)


WORDS = """sinus rhythm infarct infarkt inferior anteroseptal old acute possible no not or and with
in leads ableitungen rbbb linksschenkelblock moeglich kein st elevation t wave , . but ? # ä 7 v2
cannot be excluded may be due to ischemia probable ischaemie oder flut"""


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join))
def test_answers_fit_each_other_whatever_the_text(text: str) -> None:
    lexicon = open_lexicon()
    (names,) = lexicon.extract([text])
    assert names == sorted(set(names))
    assert Verdict.ABSENT not in lexicon.verify([text], [names])[0]
    entities = set(lexicon.merge(names).values())
    children = lexicon.aggregate(sorted(entities)).values()
    assert {child for row in children for child in row} == entities


def test_other_expressions_are_absent(lexicon: LexiconBackend) -> None:
    assert lexicon.verify(["sinus rhythm"], [["rbbb", "sinus rhythm"]]) == [
        [Verdict.ABSENT, Verdict.POSITIVE]
    ]


def test_backend_by_name(tmp_path: Path) -> None:
    with open_backend("lexicon", tmp_path) as backend:
        assert isinstance(backend, Coverage)
    assert (tmp_path / "answers.jsonl").read_text() == ""
    with (
        pytest.raises(ValueError, match=r"extract\.backend is 'lexikon'"),
        open_backend("lexikon", tmp_path),
    ):
        pass


def test_an_llms_answers_outlive_a_run_with_the_lexicon(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text("dear\n")
    with open_backend("lexicon", tmp_path):
        pass
    assert (tmp_path / "answers.jsonl").read_text() == "dear\n"


def test_patterns() -> None:
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
