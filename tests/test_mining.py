"""The mining stages and the label matrix through the lexicon and an LLM that a script plays."""

import copy
import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from kmerl import params
from kmerl.files import read_json, read_yaml
from kmerl.knowledge.mining import open_backend
from stages import aggregate, extract, label_matrix, merge, reports, verify
from tests.mining import MINING, PARAMS, STATED, cohort, hurry, labels, mined, run, write_store
from tests.scripted_llm import MODEL, PerfectLLM, Say, ScriptedLLM, Status, asked

DEMO = params.read(PARAMS)
PRICE = {"prompt": 2.0, "completion": 4.0}
EXPRESSIONS = sum(map(len, STATED.values()))


def configure(base_url, **changes):
    """params.yaml of the current directory: the demo's, mined by the server at `base_url`."""
    values = copy.deepcopy(DEMO)
    values["llm"] |= {"base_url": base_url, "model": MODEL, "price": PRICE}
    values["extract"]["backend"] = "vllm"
    values["runtime"]["llm"] |= {"concurrency": 4, "timeout": 30.0, "retries": 1}
    for section, change in changes.items():
        values[section] |= change
    Path("params.yaml").write_text(json.dumps(values), encoding="utf-8")


def verified():
    """Both verdicts on each expression, and whether it is kept; each stands in one statement."""
    rows = pq.read_table("data/verify/entities.parquet").to_pylist()
    return {row["entity"]: (row["verdict"], row["string"], row["kept"]) for row in rows}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Where a perfect LLM has answered a whole chain, and how often each kind was asked."""
    root, llm = tmp_path_factory.mktemp("finished"), PerfectLLM(STATED)
    write_store(root)
    with pytest.MonkeyPatch.context() as patch, ScriptedLLM(llm) as server:
        hurry(patch)
        patch.chdir(root)
        configure(server.base_url)
        run()
    return root, llm.asked


@pytest.fixture
def llm():
    return PerfectLLM(STATED)


@pytest.fixture(autouse=True)
def server(llm, tmp_path, monkeypatch):
    """The server of `llm`, in a directory with the cohort and a params.yaml that names it."""
    write_store(tmp_path)
    hurry(monkeypatch)
    monkeypatch.chdir(tmp_path)
    with ScriptedLLM(llm) as running:
        configure(running.base_url)
        yield running


@pytest.fixture
def resumed(finished, server):
    """The server, where the files of the finished chain are."""
    shutil.copytree(finished[0], ".", dirs_exist_ok=True)
    configure(server.base_url)
    return server


def test_statements_and_reports_give_the_same_labels_for_fewer_questions(finished, llm, server):
    configure(server.base_url, reports={"unit": "report"})
    run()
    root, times = finished
    assert labels().equals(labels(root))
    assert times == {
        "extract": len(STATED), "verify": EXPRESSIONS, "merge": 1, "aggregate": 1,
    }  # fmt: skip
    texts = {tuple(statements) for statements in cohort().values()}
    assert llm.asked["extract"] == len(texts) == 30
    assert times.total() < 2 * len(texts) < llm.asked.total()


def test_labels_are_what_the_llm_said_and_what_stands_above_it(finished):
    root, _ = finished
    found = labels(root)
    merged = read_json(root / "data/merge/merged.json")
    of_two = {name: to for name, to in merged.items() if name != to}
    assert of_two == {"right bundle branch block": "rbbb"}
    fascicular = "left anterior fascicular block"
    stating = {
        fascicular: {fascicular},
        "rbbb": {"rbbb", "right bundle branch block"},
        "myocardial infarction": {"inferior infarct", "anterior infarct"},
    }
    stated = [{e for text in report for e in STATED[text.lower()]} for report in cohort().values()]
    for name, expressions in stating.items():
        assert found[name].to_pylist() == [bool(one & expressions) for one in stated]
    assert "ischemia" not in found.column_names
    assert found["record"].to_pylist() == list(cohort())


def test_a_second_run_asks_nothing_and_writes_the_same(resumed, capfd):
    first = mined(Path())
    run()
    assert resumed.bodies == []
    assert mined(Path()) == first
    told = capfd.readouterr().err
    assert all(f"{stage}: " in told for stage in MINING)
    assert told.count(" questions, 0 replies asked for, 0 tried again, 0 unresolved") == 4


def test_a_run_that_was_cut_off_goes_on_where_it_was(llm, server):
    configure(server.base_url, runtime={"llm": DEMO["runtime"]["llm"] | {"concurrency": 1}})
    llm.instead["extract", sorted(STATED)[6]] = Status(401)
    with pytest.raises(ValueError, match=r" answered 401"):
        run(reports, extract)
    assert llm.asked["extract"] == 6
    llm.instead.clear()
    run(extract)
    assert llm.asked["extract"] == len(STATED)
    assert [path.name for path in Path("data/answers/extract").iterdir()] == ["answers.jsonl"]


def unresolved(step):
    with Path(f"data/{step}/unresolved.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_unresolved_questions_are_listed_in_order_and_too_many_fail_the_stage(llm, server):
    texts, head = sorted(STATED), ["about", "reason", "reply"]
    llm.instead = {("extract", text): Say(f"Well, {text} it says.") for text in texts}
    llm.instead["extract", texts[-1]] = Status(400)  # is known before the others, asked twice
    with pytest.raises(ValueError, match=rf"{len(texts)} of {len(texts)} questions"):
        run(reports, extract)
    rows = [
        [f"statement {i}", "not json", f"Well, {text} it says."] for i, text in enumerate(texts)
    ]
    rows[-1][1:] = ["rejected by the server", ""]
    assert unresolved("extract") == [head, *rows]

    at = texts.index("old anterior infarct")
    llm.instead = {("extract", texts[at]): llm.instead["extract", texts[at]]}
    shutil.rmtree("data/answers/extract")
    said = rf"1 of {len(texts)} questions .* data/extract/unresolved\.csv lists"
    with pytest.raises(ValueError, match=said) as raised:
        run(extract)
    assert "infarct" not in str(raised.value)
    assert unresolved("extract") == [head, rows[at]]
    count = len(server.bodies)
    configure(server.base_url, extract={"max_unresolved": 1 / len(texts)})
    run(extract)
    assert unresolved("extract") == [head, rows[at]]
    configure(server.base_url, extract={"max_unresolved": 0.2})
    llm.instead["verify", "sinus rhythm"] = Say("maybe")
    run(verify)
    assert {asked(body)[0] for body in server.bodies[count:]} == {"verify"}
    assert read_json("data/extract/counts.json")["llm"]["unresolved"] == 1
    everything = {name for names in STATED.values() for name in names}
    assert set(verified()) == everything - {"anterior infarct"}
    about = f"statement {texts.index('sinus rhythm')}: sinus rhythm"
    assert unresolved("verify") == [head, [about, "not yes or no", "maybe"]]
    assert verified()["sinus rhythm"] == ("absent", "positive", False)


def test_a_failed_stage_says_what_to_do_and_no_text_of_a_report_and_no_reply(llm, server, capfd):
    run()
    llm.instead["extract", "old anterior infarct"] = Say("An infarct it is.")
    told = []
    for script, message in (
        (llm, f"1 of {len(STATED)} questions"),
        (lambda *_: Status(500), f"{server.base_url} gave no answer to a question"),
        (lambda *_: Status(401), "401 and 403: set KMERL_LLM_API_KEY"),
    ):
        shutil.rmtree("data/answers")
        server.script = script
        with pytest.raises(ValueError, match=message) as raised:
            run(extract)
        told.append(str(raised.value))
    everything = "\n".join([*told, *capfd.readouterr()]).lower()
    assert "merge: 1 questions" in everything
    words = {word for text in STATED for word in text.split() if len(word) > 3} - {"with", "seen"}
    assert {"sinus", "infarct", "bundle"} < words
    assert {word for word in words if word in everything} == set()


def test_a_server_elsewhere_fails_the_stage_before_anything_is_asked():
    configure("http://example.org/v1")
    with pytest.raises(ValueError, match=r"llm\.base_url is on example\.org"):
        run(reports, extract)


def test_both_backends_write_the_same_files(finished, server):
    configure(server.base_url, extract={"backend": "lexicon"})
    run()
    assert server.bodies == []
    root, _ = finished
    wrote = mined(Path())
    assert set(wrote) == set(mined(root))
    for stage in MINING:
        assert {f"data/{stage}/counts.json", f"data/{stage}/unresolved.csv"} < set(wrote)
        assert f"data/answers/{stage}/answers.jsonl" in wrote
    metrics = json.loads(wrote["metrics/mining.json"])
    abnormal = sum("abnormal ecg" in texts for texts in cohort().values())  # names no finding
    assert (metrics["truth"]["extra"], metrics["truth"]["missed"]) == (0, abnormal)
    assert metrics["recognised_statements"] == 1.0
    found, by_llm = labels(), labels(root)
    entities = read_yaml(Path("data/labels/entities.yaml"))
    assert [entity["name"] for entity in entities] == found.column_names[1:]
    assert "ischemia" not in found.column_names
    for name in ("record", "myocardial infarction", "conduction disturbance"):
        assert found[name].equals(by_llm[name])
    run()
    assert mined(Path()) == wrote


def test_label_derived_text(server):
    configure(server.base_url, extract={"backend": "lexicon"}, text={"source": "scp"})
    run()
    texts = pq.read_table("data/reports/reports.parquet")["text"].to_pylist()
    assert texts == ["inferior myocardial infarction. sinus rhythm."] * (len(cohort()) + 2)
    assert all(labels()["inferior myocardial infarction"].to_pylist())


def test_metrics_of_mining(finished):
    root, asked_for = finished
    found = read_json(root / "metrics/mining.json")
    for step in MINING:
        counts, times = found["llm"][step], asked_for[step]
        assert not any(counts.pop("tidied").values())
        assert counts == {
            "questions": times,
            "repaired": 0,
            "prompt_tokens": 7 * times,
            "completion_tokens": 3 * times,
            "cost": pytest.approx((7 * 2.0 + 3 * 4.0) * times / 1e6),
            "malformed": {},
            "unresolved": 0,
        }
    assert found["agreement"] == {"positive": {"positive": EXPRESSIONS}}
    assert found["extracted"] == found["verdicts"]["positive"] == EXPRESSIONS
    assert found["expressions"] == EXPRESSIONS
    assert found["entities"] == EXPRESSIONS - 1
    assert found["truth"]["records"] == len(cohort())
    assert found["truth"]["macro_f1"] == found["truth"]["f1"] == 1.0
    assert found["merges_refused"] == 0
    assert "recognised_statements" not in found
    assert found["dropped"] == {"fewer than 4 words": 1, "only spaces": 1}
    dropped = "record,reason\n500,only spaces\n501,fewer than 4 words\n"
    assert (root / "data/reports/dropped.csv").read_text(encoding="utf-8") == dropped


def test_agreement_tells_what_the_string_check_says_of_the_llms_word(llm, server):
    llm.truth["no ischemia is seen"] = ["ischemia"]
    llm.truth["sinus rhythm"] += ["atrial flutter"]
    run(reports, extract)
    for by, kept in (("both", False), ("string", False), ("backend", True)):
        configure(server.base_url, verify={"by": by})
        run(verify)
        assert read_json("data/verify/counts.json")["agreement"] == {
            "positive": {"absent": 1, "negated": 1, "positive": EXPRESSIONS}
        }
        found = verified()
        assert found["ischemia"] == ("positive", "negated", kept)
        assert found["atrial flutter"] == ("positive", "absent", kept)
        assert sum(one[2] for one in found.values()) == EXPRESSIONS + 2 * kept


@pytest.mark.usefixtures("resumed")
def test_what_the_llm_takes_back_or_joins_against_the_guard_is_not_kept(finished, llm):
    for step in ("verify", "merge"):
        shutil.rmtree(f"data/answers/{step}")
    names = {name for names in STATED.values() for name in names} - {"abnormal ecg"}
    joined = {name: "infarct" if "infarct" in name else name for name in names}
    llm.instead["verify", "abnormal ecg"] = Say("NO")
    llm.instead["merge", None] = Say(json.dumps(joined))
    run(verify, merge, aggregate, label_matrix)
    assert verified()["abnormal ecg"] == ("absent", "positive", False)
    found = read_json("metrics/mining.json")
    assert found["verdicts"] == {"absent": 1, "positive": EXPRESSIONS - 1}
    gone = set(labels(finished[0]).column_names) - set(labels().column_names)
    assert gone == {"abnormal ecg"}
    entity = read_json("data/merge/merged.json")
    assert entity["anterior infarct"] != entity["inferior infarct"]
    refused = read_json("data/merge/refused.json")
    assert found["merges_refused"] == len(refused) == 1
    assert refused[0][2] == "territory"
    assert found["llm"]["merge"]["tidied"]["unknown"] == 1


@pytest.mark.usefixtures("resumed")
def test_what_the_llm_nests_becomes_two_levels(llm):
    given = {
        "Conduction": ["block", "left anterior fascicular block"],
        "block": ["left bundle branch block", "rbbb"],
        "sinus rhythm": ["sinus bradycardia"],
        "pacing": ["paced rhythm"],
    }
    shutil.rmtree("data/answers/aggregate")
    llm.instead["aggregate", None] = Say(json.dumps(given))
    with pytest.raises(ValueError, match="1 of 1 questions"):
        run(aggregate)
    assert unresolved("aggregate")[1][:2] == ["superclasses of part 0", "invented names"]
    shutil.rmtree("data/answers/aggregate")
    llm.instead["aggregate", None] = Say(json.dumps(given | {"pacing": []}))
    run(aggregate)
    assert read_json("data/aggregate/superclasses.json") == {
        "any sinus rhythm": ["sinus bradycardia", "sinus rhythm"],
        "block": ["left bundle branch block", "rbbb"],
        "conduction": ["left anterior fascicular block", "left bundle branch block", "rbbb"],
    }
    tidied = read_json("data/aggregate/counts.json")["llm"]["tidied"]
    assert tidied == {"empty": 1, "nested": 1, "renamed": 1}


@pytest.mark.parametrize("length", [600, 8192])
def test_synonyms_meet_also_where_the_list_is_cut(length, llm, server, tmp_path):
    pairs = {"lbbb": "left bundle branch block", "pvc": "ventricular premature complex"}
    fillers = [f"some finding {number:02d}" for number in range(32)]
    names = sorted([*pairs, *pairs.values(), *fillers])  # the second pair meets in the second turn
    configure(server.base_url, llm={"max_model_len": length})
    with open_backend("vllm", tmp_path / "answers") as backend:
        merged = backend.merge(names)
        above = backend.aggregate([*pairs.values(), *fillers])
        counts = backend.counts()
    assert {name for name in names if merged[name] != name} == set(pairs.values())
    assert all(merged[full] == short for short, full in pairs.items())
    assert above["bundle branch block"] == ["left bundle branch block"]
    assert above["premature complex"] == ["ventricular premature complex"]
    cut = length == 600
    assert ((llm.asked["merge"] > 1), (llm.asked["aggregate"] > 1)) == (cut, cut)
    assert counts["questions"] == llm.asked.total()


def override(**sections):
    given = {"drop": [], "merge": {}, "apart": [], "superclasses": {}} | sections
    Path("overrides.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")


@pytest.mark.usefixtures("resumed")
def test_overrides_by_hand_take_effect(finished, llm):
    override(
        drop=["abnormal ecg", "abnormal egc"],
        merge={"left bundle branch block": "bundle disease", "pacing": "paced"},
        apart=["right bundle branch block"],
        superclasses={
            "conduction disturbance": [],
            "bundle": ["rbbb", "bundle disease", "pacing"],
            "ventricle": ["lvh"],
        },
    )
    run(merge, aggregate, label_matrix)
    assert set(llm.asked) == {"aggregate"}  # what it was asked of has changed, and nothing else
    before, found = labels(finished[0]), labels()
    gone = {"abnormal ecg", "conduction disturbance", "left bundle branch block"}
    assert gone < set(before.column_names)
    assert not gone & set(found.column_names)
    assert "right bundle branch block" not in before.column_names
    assert np.array_equal(found["bundle disease"], before["left bundle branch block"])
    apart = [found[name].to_numpy() for name in ("rbbb", "right bundle branch block")]
    assert all(column.any() for column in apart)
    assert not np.array_equal(*apart)
    assert np.array_equal(apart[0] | apart[1], before["rbbb"])
    assert np.array_equal(found["bundle"], apart[0] | found["bundle disease"].to_numpy())
    metrics = read_json("metrics/mining.json")
    assert metrics["expressions_unused_by_hand"] == ["abnormal egc", "pacing"]
    assert metrics["children_unused_by_hand"] == ["lvh", "pacing"]
    assert metrics["dropped_by_hand"] == 1


@pytest.mark.usefixtures("resumed")
def test_overrides_that_contradict_something_fail_the_stage():
    for stage, sections, message in (
        (aggregate, {"superclasses": {"sinus rhythm": ["rbbb"]}}, "is an entity and"),
        (aggregate, {"superclass": {}}, "unknown key 'superclass'"),
        (merge, {"drop": ["rbbb"], "apart": ["rbbb"]}, "'rbbb' stands in two of drop"),
    ):
        override(**sections)
        with pytest.raises(ValueError, match=message):
            run(stage)
