"""The four mining stages and the label matrix through an LLM that a script plays."""

import copy
import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from kmerl import params
from kmerl.files import read_json
from kmerl.knowledge.mining import open_backend
from stages import aggregate, extract, label_matrix, merge, reports, verify
from tests.mining import CHAIN, MINING, PARAMS, hurry, mined, write_store
from tests.scripted_llm import MODEL, Answer, PerfectLLM, Say, ScriptedLLM, Status, asked

DEMO = params.read(PARAMS)
SECTIONS = (
    "corpora", "text", "reports", "llm", *MINING, "label_matrix", "pretrain", "runtime",
)  # fmt: skip
PRICE = {"prompt": 2.0, "completion": 4.0}

STATED = {
    "sinus rhythm": ["sinus rhythm"],
    "sinus bradycardia": ["sinus bradycardia"],
    "atrial fibrillation with rapid ventricular response": ["atrial fibrillation"],
    "rbbb with left anterior fascicular block": ["rbbb", "left anterior fascicular block"],
    "right bundle branch block": ["right bundle branch block"],
    "left bundle branch block": ["left bundle branch block"],
    "inferior infarct - age undetermined": ["inferior infarct"],
    "old anterior infarct": ["anterior infarct"],
    "no ischemia is seen": [],
    "abnormal ecg": ["abnormal ecg"],
}
"""Statement -> what it states positively."""
EXPRESSIONS = sum(map(len, STATED.values()))


def cohort() -> dict[str, list[str]]:
    """Thirty records of three or four statements each, no two reports the same."""
    texts = list(STATED)
    rhythms, findings, last = texts[:3], texts[3:8], texts[8:]
    return {
        f"4{number:02d}": [
            rhythms[number % 3].capitalize(),
            findings[number // 6],
            findings[(number // 6 + 1 + number % 2) % 5].upper(),
            *([last[number % 2]] if number % 4 else []),
        ]
        for number in range(30)
    }


def configure(base_url: str, **changes: Mapping[str, Any]) -> None:
    """params.yaml of the current directory: the demo's, mined by the server at `base_url`."""
    values = copy.deepcopy({name: DEMO[name] for name in SECTIONS})
    values["llm"] |= {"base_url": base_url, "model": MODEL, "price": PRICE}
    values["extract"]["backend"] = "vllm"
    values["runtime"]["llm"] |= {"concurrency": 4, "timeout": 30.0, "retries": 1}
    for section, change in changes.items():
        values[section] |= change
    Path("params.yaml").write_text(json.dumps(values), encoding="utf-8")


def run(*stages: Any) -> None:
    for stage in stages or CHAIN:
        stage.main()


def labels(root: Path | str = ".") -> pa.Table:
    return pq.read_table(Path(root) / "data/labels/labels.parquet")


def verified() -> dict[str, tuple[str, str, bool]]:
    """Both verdicts on each expression, and whether it is kept; each stands in one statement."""
    rows = pq.read_table("data/verify/entities.parquet").to_pylist()
    return {row["entity"]: (row["verdict"], row["string"], row["kept"]) for row in rows}


@dataclass(frozen=True)
class Finished:
    """A whole chain that a perfect LLM has answered, and how often each kind was asked."""

    root: Path
    asked: Counter[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    root = tmp_path_factory.mktemp("finished")
    llm = PerfectLLM(STATED)
    write_store(root, cohort(), STATED)
    with pytest.MonkeyPatch.context() as patch, ScriptedLLM(llm) as server:
        hurry(patch)
        patch.chdir(root)
        configure(server.base_url)
        run()
    return Finished(root, llm.asked)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory with the cohort."""
    write_store(tmp_path, cohort(), STATED)
    hurry(monkeypatch)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def llm() -> PerfectLLM:
    return PerfectLLM(STATED)


@pytest.fixture
def server(llm: PerfectLLM) -> Iterator[ScriptedLLM]:
    """The server of `llm`, with a params.yaml that names it."""
    with ScriptedLLM(llm) as running:
        configure(running.base_url)
        yield running


@pytest.fixture
def resumed(finished: Finished, server: ScriptedLLM) -> ScriptedLLM:
    """The server, where the files of the finished chain are."""
    shutil.copytree(finished.root, ".", dirs_exist_ok=True)
    configure(server.base_url)
    return server


def test_statements_and_reports_give_the_same_labels_for_fewer_questions(finished, llm, server):
    configure(server.base_url, reports={"unit": "report"})
    run()
    assert labels().equals(labels(finished.root))
    assert finished.asked == {
        "extract": len(STATED), "verify": EXPRESSIONS, "merge": 1, "aggregate": 1,
    }  # fmt: skip
    texts = {tuple(statements) for statements in cohort().values()}
    assert llm.asked["extract"] == len(texts) == 30
    assert finished.asked.total() < 2 * len(texts) < llm.asked.total()


def test_labels_are_what_the_llm_said_and_what_stands_above_it(finished):
    found = labels(finished.root)
    merged = read_json(finished.root / "data/merge/merged.json")
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
    fails = sorted(STATED)[6]
    configure(server.base_url, runtime={"llm": DEMO["runtime"]["llm"] | {"concurrency": 1}})
    server.script = lambda body, nth: (
        Status(401) if asked(body) == ("extract", {"text": fails}) else llm(body, nth)
    )
    with pytest.raises(SystemExit, match=r"extract: .* answered 401"):
        run(reports, extract)
    assert llm.asked["extract"] == 6
    server.script = llm
    run(extract)
    assert llm.asked["extract"] == len(STATED)
    assert [path.name for path in Path("data/answers/extract").iterdir()] == ["answers.jsonl"]


def prose_for(llm: PerfectLLM, text: str) -> Callable[[dict[str, Any], int], Answer]:
    """The script of `llm`, which only talks of `text` when it is to extract from it."""
    return lambda body, nth: (
        Say(f"Well, {text} it says.")
        if asked(body) == ("extract", {"text": text})
        else llm(body, nth)
    )


def unresolved(step: str) -> list[list[str]]:
    with Path(f"data/{step}/unresolved.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_unresolved_questions_are_listed_in_order_whatever_came_first(server):
    server.script = lambda body, nth: (
        Status(400) if "infarct" in asked(body)[1]["text"] else Say("Nothing to see.")
    )
    with pytest.raises(SystemExit, match=rf"extract: {len(STATED)} of {len(STATED)} questions"):
        run(reports, extract)
    texts = sorted(STATED)
    assert unresolved("extract")[1:] == [
        [f"statement {i}", "rejected by the server", ""]
        if "infarct" in text
        else [f"statement {i}", "not json", "Nothing to see."]
        for i, text in enumerate(texts)
    ]


def test_too_many_unresolved_questions_fail_the_stage_and_are_listed(llm, server):
    text = "old anterior infarct"
    server.script = prose_for(llm, text)
    said = rf"extract: 1 of {len(STATED)} questions .* data/extract/unresolved\.csv lists"
    with pytest.raises(SystemExit, match=said) as raised:
        run(reports, extract)
    assert "infarct" not in str(raised.value)
    about = f"statement {sorted(STATED).index(text)}"
    rows = [["about", "reason", "reply"], [about, "not json", f"Well, {text} it says."]]
    assert unresolved("extract") == rows
    count = len(server.bodies)
    configure(server.base_url, extract={"max_unresolved": 1 / len(STATED)})
    run(extract, verify)
    assert unresolved("extract") == rows
    assert {asked(body)[0] for body in server.bodies[count:]} == {"verify"}
    assert read_json("data/extract/counts.json")["llm"]["unresolved"] == 1
    assert set(verified()) == {name for names in STATED.values() for name in names} - {
        "anterior infarct"
    }
    assert unresolved("verify") == rows[:1]


def test_a_failed_stage_says_what_to_do_and_no_text_of_a_report_and_no_reply(llm, server, capfd):
    run()
    told = []
    for script, message in (
        (prose_for(llm, "old anterior infarct"), f"extract: 1 of {len(STATED)} questions"),
        (lambda *_: Status(500), f"extract: {server.base_url} gave no answer to a question"),
        (lambda *_: Status(401), "401 and 403: set KMERL_LLM_API_KEY"),
    ):
        shutil.rmtree("data/answers")
        server.script = script
        with pytest.raises(SystemExit, match=message) as raised:
            run(extract)
        told.append(str(raised.value))
    everything = "\n".join([*told, *capfd.readouterr()]).lower()
    assert "merge: 1 questions" in everything
    words = {word for text in STATED for word in text.split() if len(word) > 3} - {"with", "seen"}
    assert {"sinus", "infarct", "bundle"} < words
    assert {word for word in words if word in everything} == set()


def test_a_server_elsewhere_fails_the_stage_before_anything_is_asked():
    configure("http://example.org/v1")
    with pytest.raises(SystemExit, match=r"extract: llm\.base_url is on example\.org"):
        run(reports, extract)


def test_both_backends_write_the_same_files(finished, server):
    configure(server.base_url, extract={"backend": "lexicon"})
    run()
    assert server.bodies == []
    assert set(mined(Path())) == set(wrote := mined(finished.root))
    for stage in MINING:
        wanted = ("counts.json", "unresolved.csv")
        assert set(wrote) > {f"data/{stage}/{name}" for name in wanted}
        assert f"data/answers/{stage}/answers.jsonl" in wrote
    columns = [set(labels(root).column_names) for root in (".", finished.root)]
    assert columns[0] & columns[1] > {"record", "myocardial infarction"}


def test_metrics_of_mining(finished):
    found = read_json(finished.root / "metrics/mining.json")
    for step in MINING:
        counts, times = found["llm"][step], finished.asked[step]
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


@pytest.mark.parametrize(("by", "kept"), [("both", False), ("string", False), ("backend", True)])
def test_agreement_tells_what_the_string_check_says_of_the_llms_word(by, kept, llm, server):
    llm.truth["no ischemia is seen"] = ["ischemia"]
    llm.truth["sinus rhythm"] += ["atrial flutter"]
    configure(server.base_url, verify={"by": by})
    run(reports, extract, verify)
    assert read_json("data/verify/counts.json")["agreement"] == {
        "positive": {"absent": 1, "negated": 1, "positive": EXPRESSIONS}
    }
    found = verified()
    assert found["ischemia"] == ("positive", "negated", kept)
    assert found["atrial flutter"] == ("positive", "absent", kept)
    assert sum(one[2] for one in found.values()) == EXPRESSIONS + 2 * kept


def test_what_the_llm_takes_back_is_not_kept(finished, llm, resumed):
    shutil.rmtree("data/answers/verify")
    resumed.script = lambda body, nth: (
        Say("NO") if asked(body)[1].get("entity") == "abnormal ecg" else llm(body, nth)
    )
    run(verify, merge, aggregate, label_matrix)
    assert verified()["abnormal ecg"] == ("absent", "positive", False)
    found = read_json("metrics/mining.json")
    assert found["verdicts"] == {"absent": 1, "positive": EXPRESSIONS - 1}
    assert set(labels(finished.root).column_names) - set(labels().column_names) == {"abnormal ecg"}


def test_the_guard_holds_against_the_llm(resumed):
    def script(body: dict[str, Any], nth: int) -> Answer:
        names = json.loads(asked(body)[1]["names"])
        return Say(json.dumps({name: "infarct" if "infarct" in name else name for name in names}))

    shutil.rmtree("data/answers/merge")
    resumed.script = script
    run(merge)
    found = read_json("data/merge/merged.json")
    assert found["anterior infarct"] != found["inferior infarct"]
    refused = read_json("data/merge/refused.json")
    counts = read_json("data/merge/counts.json")
    assert counts["merges_refused"] == len(refused) == 1
    assert refused[0][2] == "territory"
    assert counts["llm"]["tidied"]["unknown"] == 1


def test_what_the_llm_nests_becomes_two_levels(resumed):
    given = {
        "Conduction": ["block", "left anterior fascicular block"],
        "block": ["left bundle branch block", "rbbb"],
        "sinus rhythm": ["sinus bradycardia"],
        "pacing": ["paced rhythm"],
    }
    shutil.rmtree("data/answers/aggregate")
    resumed.script = lambda body, nth: Say(json.dumps(given))
    with pytest.raises(SystemExit, match="aggregate: 1 of 1 questions"):
        run(aggregate)
    assert unresolved("aggregate")[1][:2] == ["superclasses of part 0", "invented names"]
    given["pacing"] = []
    shutil.rmtree("data/answers/aggregate")
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


def override(**sections: Any) -> None:
    given = {"drop": [], "merge": {}, "apart": [], "superclasses": {}} | sections
    Path("overrides.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")


def test_overrides_by_hand_take_effect(finished, llm, resumed):
    override(
        drop=["abnormal ecg", "abnormal egc"],
        merge={"left bundle branch block": "bundle disease", "pacing": "paced"},
        apart=["right bundle branch block"],
        superclasses={"conduction disturbance": [], "bundle": ["rbbb", "bundle disease", "pacing"]},
    )
    run(merge, aggregate, label_matrix)
    assert set(llm.asked) == {"aggregate"}  # what it was asked of has changed, and nothing else
    before, found = labels(finished.root), labels()
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
    assert metrics["children_unused_by_hand"] == ["pacing"]
    assert metrics["dropped_by_hand"] == 1


@pytest.mark.parametrize(
    ("stage", "sections", "message"),
    [
        (merge, {"drop": ["rbbb"], "apart": ["rbbb"]}, "'rbbb' stands in two of drop, merge and"),
        (aggregate, {"superclasses": {"sinus rhythm": ["rbbb"]}}, "is an entity and a superclass"),
        (aggregate, {"superclass": {}}, "unknown key 'superclass'"),
    ],
)
@pytest.mark.usefixtures("resumed")
def test_overrides_that_contradict_something_fail_the_stage(stage, sections, message):
    override(**sections)
    with pytest.raises(SystemExit, match=f"{stage.__name__.rpartition('.')[2]}: .*{message}"):
        run(stage)
