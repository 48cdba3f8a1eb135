"""The steps of mining, reports to labels, and how it is scored: by counts, truth and codes."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from kmerl.files import write_csv
from kmerl.knowledge.aggregate import HierarchyError, aggregate, check
from kmerl.knowledge.extract import extract
from kmerl.knowledge.labels import label_matrix, readable
from kmerl.knowledge.lexicon.backend import lexicon
from kmerl.knowledge.merge import merge
from kmerl.knowledge.quality import (
    against_truth,
    compare,
    coverage,
    language,
    measure,
    read_reports,
    score,
)
from kmerl.knowledge.reports import gather
from kmerl.knowledge.statements import ReportsParams, clean, split, why_dropped
from kmerl.knowledge.verify import Verify, verify
from tests.official_layouts import REAL, real


def test_cleaning_is_merls():
    assert clean(["Sinus rhythm", "*** Normal EKG ***", ""]) == "sinus rhythm. *** normal ecg."
    assert clean(["  ", "***"]) == ""
    assert clean(["normal ecg Edit: NORM 100, (NORM 15)"]) == "normal ecg."
    assert why_dropped([], 4) == "empty"
    assert why_dropped(["***"], 4) == "no words"


def test_splitting():
    text = "Sinus rhythm. AV-block 1. grades. T waves are low in V4,5,6.  This may be strain."
    assert split([text]) == [
        "sinus rhythm",
        "av-block 1. grades",
        "t waves are low in v4,5,6",
        "this may be strain",
    ]
    german = "qrs(t) abnorm    alter unbest. t abnorm 4.46          unbestÄtigter bericht"
    assert split([german]) == ["qrs(t) abnorm alter unbest. t abnorm"]
    assert split(["normal ecg. Edit: NORM 100"]) == ["normal ecg"]
    assert split(["normalt ekgconsensus label derived from: {'AFIB': 0.0}"]) == ["normalt ekg"]
    assert split(["***", " "]) == []


def answering(**answers):
    """A backend that answers its questions so, for what the lexicon would never answer."""
    return SimpleNamespace(**{name: lambda *_, told=told: told for name, told in answers.items()})


def test_each_statement_is_asked_once_and_answered():
    with pytest.raises(ValueError, match="not distinct"):
        extract(["a", "a"], lexicon())
    with pytest.raises(ValueError, match="2 statements asked, 1 answered"):
        extract(["a", "b"], answering(extract=[["rbbb"]]))


@pytest.mark.parametrize(("hedged", "kept"), [("positive", True), ("drop", False)])
def test_hedged_findings_are_kept_or_dropped(hedged, kept):
    texts = ["possible inferior infarct", "no ischemia"]
    found = verify(texts, extract(texts, lexicon()), lexicon(), Verify("backend", hedged))
    assert [one.kept for one in found] == [kept, False]


def test_guard_refuses_merges():
    answers = {"anterior infarct": "inferior myocardial infarction", "rbbb": "right bundle block"}
    merged = merge(answers, answering(merge=answers))
    assert merged.entity == {"anterior infarct": "anterior infarct", "rbbb": "right bundle block"}
    assert merged.refused == (("anterior infarct", "inferior myocardial infarction", "territory"),)
    assert merge(["lbbb"], lexicon(), synonyms=False).entity == {"lbbb": "lbbb"}
    with pytest.raises(ValueError, match="no entity for 'lbbb'"):
        merge(["lbbb"], answering(merge={}))


def test_hierarchy_has_two_levels():
    entities = ["inferior myocardial infarction", "left bundle branch block"]
    found = aggregate(entities, lexicon())
    assert found["myocardial infarction"] == ["inferior myocardial infarction"]
    assert found["bundle branch block"] == found["conduction disturbance"] == entities[1:]
    assert aggregate(entities, lexicon(), superclasses=False) == {}


def test_what_makes_no_two_levels_is_named():
    with pytest.raises(HierarchyError, match="which is no entity"):
        aggregate(["rbbb"], answering(aggregate={"block": ["no such entity"]}))
    with pytest.raises(HierarchyError, match="is an entity and a superclass"):
        check({"block": ["block"]}, ["block"])
    with pytest.raises(HierarchyError, match="has no child"):
        check({"block": []}, ["rbbb"])


def test_label_matrix():
    found = label_matrix(
        {"a": [0, 1], "b": [1], "c": [2]},
        [(0, "rbbb"), (1, "lbbb"), (1, "pac")],
        {"rbbb": "right block", "lbbb": "left block", "pac": "atrial premature complex"},
        {"block": ["left block", "right block"], "premature complex": []},
        min_records=2,
    )
    assert found.columns == ("atrial premature complex", "left block", "block")
    expected = [[True, True, True], [True, True, True], [False, False, False]]
    np.testing.assert_array_equal(found.values, expected)
    assert found.table().column_names == ["record", *found.columns]
    assert readable(found, {"lbbb": "left block"})[2] == {
        "name": "block",
        "kind": "superclass",
        "children": ["left block"],
        "expressions": [],
        "records": 2,
    }


def test_an_entity_that_bears_a_superclass_s_name_is_there_where_a_child_is():
    """An LLM's superclass "infarction" of an entity "infarction": zero-shot asks just that name."""
    found = label_matrix(
        {"a": [0], "b": [1], "c": [2]},
        [(0, "infarction"), (1, "old inferior infarction"), (2, "pac")],
        {name: name for name in ("infarction", "inferior infarction", "pac")}
        | {"old inferior infarction": "inferior infarction"},
        {"any infarction": ["infarction", "inferior infarction"], "any pac": ["infarction", "pac"]},
    )
    column = dict(zip(found.columns, found.values.T.tolist(), strict=True))
    assert column["infarction"] == column["any infarction"] == [True, True, False]
    assert column["inferior infarction"] == [False, True, False]
    assert column["pac"] == column["any pac"] == [True, True, True]
    said = [("a", "infarction"), ("b", "inferior infarction"), ("c", "pac")]
    assert found.stated() == said  # what mining is scored by


def test_reports_say_what_is_wrong():
    row = {"record": "1", "patient": "1", "split": "train", "report": [" "], "codes": ["426783006"]}
    with pytest.raises(ValueError, match=r"reports\.min_words"):
        gather(pa.Table.from_pylist([row]), "report", ReportsParams(4, "statement"))
    with pytest.raises(ValueError, match="'426783006' is no scp code"):
        gather(pa.Table.from_pylist([row]), "scp", ReportsParams(4, "statement"))


def test_scores_against_counts_by_hand():
    found = score([True, True, False, True], [True, False, True, True])
    assert (found["hits"], found["extra"], found["missed"]) == (2, 1, 1)
    assert found["f1"] == pytest.approx(2 / 3)
    pairs = compare({("1", "a"), ("2", "b")}, {("1", "a"), ("2", "a")})
    assert pairs["micro"]["precision"] == 0.5
    assert pairs["entities"]["b"]["recall"] == 0


def test_truth_table(tmp_path):
    path = tmp_path / "truth.csv"
    said = {"positive": ["premature ventricular complex"], "hedged": ["atrial flutter"]}
    statements = json.dumps([{"text": "PVC(s)", **said, "negated": ["sinus rhythm"]}])
    columns = ("record", "patient", "findings", "statements")
    write_csv(path, columns, [("1", "1", "[]", statements)])
    mined = [("1", "ventricular premature complex"), ("1", "sinus rhythm"), ("1", "normal axis")]
    found = against_truth({"": path}, mined, "positive", {"1"})
    assert found["micro"]["hits"] == 1  # normal axis is in no truth, so it does not count
    assert found["micro"]["extra"] == found["micro"]["missed"] == 1


def test_reports_that_nobody_wrote_are_not_scored(tmp_path):
    path = tmp_path / "reports.csv"
    texts = ("sinus rhythm", "trace only requested.", "Trace only requested. Edit: SR")
    rows = [(text, "{'SR': 0.0}", "1") for text in texts]
    write_csv(path, ("report", "scp_codes", "strat_fold"), rows)
    found = measure(read_reports(path, lexicon(), "positive"))
    assert (found["records"], found["not_written"]) == (1, 2)
    assert found["findings"]["findings"]["sinus rhythm"]["recall"] == 1.0


@real
def test_real_cart_statements_are_recognised():
    lines = (REAL / "mimic-iv-ecg" / "statements.csv").read_text(encoding="utf-8").splitlines()[1:]
    counts = {text.strip('"'): int(n) for text, _, n in (line.rpartition(",") for line in lines)}
    found = coverage(counts, lexicon())  # type: ignore[arg-type]
    assert found["recognised_records"] >= 0.97


@real
def test_real_reports_agree_with_experts(tmp_path):
    lines = (REAL / "reports" / "ptbxl_reports_folds1-8.csv").read_text(encoding="utf-8")
    head, *rows = lines.splitlines(keepends=True)
    sample = tmp_path / "sample.csv"
    sample.write_text(head + "".join(rows[:1000]), encoding="utf-8")
    found = read_reports(sample, lexicon(), "positive")
    for code, entity in (("AFIB", "atrial fibrillation"), ("STACH", "sinus tachycardia")):
        agree = score((code in r.codes for r in found), (entity in r.entities for r in found))
        assert agree["f1"] > 0.9


def test_languages():
    assert language("sinus rhythm. normal ecg.") == "english"
    assert language("sinusrhythmus a-v block i lagetyp normal") == "german"
    assert language("sinusrytm normalt ekg") == "swedish"
