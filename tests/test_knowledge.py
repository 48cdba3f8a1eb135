"""The steps of mining: reports to statements, verification, merging, superclasses, labels."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kmerl import params
from kmerl.files import read_yaml
from kmerl.knowledge.aggregate import HierarchyError, aggregate, check
from kmerl.knowledge.extract import extract
from kmerl.knowledge.labels import label_matrix, readable
from kmerl.knowledge.lexicon.backend import lexicon
from kmerl.knowledge.lexicon.vocabulary import vocabulary
from kmerl.knowledge.merge import merge
from kmerl.knowledge.reports import gather
from kmerl.knowledge.statements import ReportsParams, clean, split, why_dropped
from kmerl.knowledge.verify import Verify, verify
from tests.mining import PARAMS, hurry, labels, mined, run, write_store


def test_cleaning_is_merls():
    assert clean(["Sinus rhythm", "*** Normal EKG ***", ""]) == "sinus rhythm. *** normal ecg."
    assert clean(["  ", "***"]) == ""
    assert clean(["normal ecg Edit: NORM 100, (NORM 15)"]) == "normal ecg."


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ([], "empty"),
        (["***"], "no words"),
        (["Sinus rhythm", "Normal ECG"], None),  # the others in the stages below
    ],
)
def test_drops_have_reasons(report, reason):
    assert why_dropped(report, 4) == reason


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


def test_spellings_that_are_not_merged_have_the_superclasses_of_what_they_mean():
    """Table 2c, "- Merging Duplicated Patterns": one thing less than the row above, not two."""
    merged = aggregate(["left bundle branch block"], lexicon())
    assert aggregate(["lbbb"], lexicon()) == {name: ["lbbb"] for name in merged}
    low = aggregate(["low voltage", "low qrs voltage"], lexicon())
    assert low["any low voltage"] == ["low qrs voltage", "low voltage"]
    assert "low voltage" not in low
    terms = vocabulary().terms.items()
    spellings = {" ".join(tokens) for tokens, term in terms if term.kind == "entity"}
    assert len(spellings) > 4000
    assert set().union(*aggregate(spellings, lexicon()).values()) == spellings


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


REPORTS = {
    "40": ["Sinus rhythm", "RBBB with left anterior fascicular block", "Abnormal ECG"],
    "41": ["Sinus bradycardia", "No ischemia is seen"],
    "42": ["Sinus rhythm", "Possible inferior infarct - age undetermined"],
    "43": [" "],
    "44": ["Normal ECG"],
}
TRUTH = {
    "sinus rhythm": ["sinus rhythm"],
    "rbbb with left anterior fascicular block": ["right bundle branch block"],
    "abnormal ecg": [],
}


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A working directory with the reports, and the demo's params.yaml."""
    write_store(tmp_path, REPORTS, TRUTH)
    shutil.copy(PARAMS, tmp_path / "params.yaml")
    hurry(monkeypatch)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("store")
def test_stages_from_store_to_labels():
    run()
    first = mined(Path())
    dropped = "record,reason\n43,only spaces\n44,fewer than 4 words\n"
    assert first["data/reports/dropped.csv"].decode() == dropped
    found = labels()
    assert found["record"].to_pylist() == ["40", "41", "42"]
    assert found["right bundle branch block"].to_pylist() == [True, False, False]
    assert found["conduction disturbance"].to_pylist() == [True, False, False]
    assert found["myocardial infarction"].to_pylist() == [False, False, True]
    assert "ischemia" not in found.column_names
    entities = read_yaml(Path("data/labels/entities.yaml"))
    assert [entity["name"] for entity in entities] == found.column_names[1:]
    metrics = json.loads(first["metrics/mining.json"])
    assert metrics["dropped"] == {"fewer than 4 words": 1, "only spaces": 1}
    assert metrics["recognised_statements"] == 1.0
    assert (metrics["truth"]["records"], metrics["truth"]["hits"]) == (1, 2)
    run()
    assert mined(Path()) == first


@pytest.mark.usefixtures("store")
def test_label_derived_text():
    text = Path("params.yaml").read_text(encoding="utf-8")
    assert "source: report " in text
    Path("params.yaml").write_text(text.replace("source: report ", "source: scp "), "utf-8")
    assert params.read()["text"]["source"] == "scp"
    run()
    reports = pq.read_table("data/reports/reports.parquet")["text"].to_pylist()
    assert reports == ["inferior myocardial infarction. sinus rhythm."] * 5
    assert all(labels()["inferior myocardial infarction"].to_pylist())


def test_reports_say_what_is_wrong():
    row = {"record": "1", "patient": "1", "split": "train", "report": [" "], "codes": ["426783006"]}
    with pytest.raises(ValueError, match=r"reports\.min_words"):
        gather(pa.Table.from_pylist([row]), "report", ReportsParams(4, "statement"))
    with pytest.raises(ValueError, match="'426783006' is no scp code"):
        gather(pa.Table.from_pylist([row]), "scp", ReportsParams(4, "statement"))
