"""How mining is scored: against counts by hand, a truth table, PTB-XL's codes, cart statements."""

import json

import pytest

from kmerl.knowledge.lexicon.backend import lexicon
from kmerl.knowledge.quality import (
    against_truth,
    compare,
    coverage,
    language,
    measure,
    read_reports,
    score,
)
from tests.official_layouts import REAL, real, write_rows


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
    write_rows(path, columns, [("1", "1", "[]", statements)])
    mined = [("1", "ventricular premature complex"), ("1", "sinus rhythm"), ("1", "normal axis")]
    found = against_truth(path, mined, "positive", {"1"})
    assert found["micro"]["hits"] == 1  # normal axis is in no truth, so it does not count
    assert found["micro"]["extra"] == found["micro"]["missed"] == 1


def test_reports_that_nobody_wrote_are_not_scored(tmp_path):
    path = tmp_path / "reports.csv"
    texts = ("sinus rhythm", "trace only requested.", "Trace only requested. Edit: SR")
    rows = [(text, "{'SR': 0.0}", "1") for text in texts]
    write_rows(path, ("report", "scp_codes", "strat_fold"), rows)
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
