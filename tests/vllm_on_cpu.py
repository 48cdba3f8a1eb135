"""`make test-vllm`: mining through a real vLLM server on the CPU, and kills of both ends.

Not part of the fast suite: it needs the environment of tests/vllm_environment.py and some minutes.
SmolLM2-135M is far too small for the task; its entity quality is printed, never asserted.
"""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from kmerl import files, params, runtime
from kmerl.knowledge.backend import Verdict
from kmerl.knowledge.reports import gather
from kmerl.knowledge.statements import ReportsParams
from kmerl.knowledge.vllm import backend
from kmerl.knowledge.vllm.server import serving
from kmerl.knowledge.vllm.settings import LLM
from tests import tiny_llms
from tests.mining import BEFORE, MINING

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / ".venv-vllm"
REAL = ROOT.parent / "shared" / "data" / "ptb-xl" / "ptbxl_database.csv"
REPORTS = 200
KEEPERS: set[int] = set()  # sessions of the servers seen so far


@pytest.fixture(scope="module", autouse=True)
def environment():
    """Of the stages and servers that are started here."""
    ours = {"PYTHONPATH": str(ROOT), "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    ours["PYTHONDONTWRITEBYTECODE"] = ""  # the first start makes the next ones faster
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ours.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    """A working directory with 200 synthetic MIMIC reports, as `reports` leaves it."""
    place = _place(tmp_path_factory.mktemp("synthetic"), "mimic-iv-ecg")
    for stage in BEFORE:
        assert _stage(place, *stage.split()).returncode == 0
    return place


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A working directory with the reports of 200 real PTB-XL records."""
    if not REAL.exists():
        pytest.skip(f"no real reports: {REAL.name} of the shared data is not beside the project")
    with REAL.open(encoding="utf-8", newline="") as file:
        rows = [row for _, row in zip(range(REPORTS), csv.DictReader(file), strict=False)]
    place = _place(tmp_path_factory.mktemp("real"), "ptb-xl", str(REAL.parent))
    table = [
        {
            "record": row["ecg_id"], "patient": row["patient_id"], "split": "train",
            "report": [row["report"]], "codes": re.findall(r"'(\w+)'", row["scp_codes"]),
        }
        for row in rows
    ]  # fmt: skip
    found = gather(pa.Table.from_pylist(table), "report", ReportsParams(1, "statement"))
    out = files.fresh_directory(place / "data" / "reports")
    pq.write_table(found.reports, out / "reports.parquet")
    pq.write_table(found.statements, out / "statements.parquet")
    files.write_json(out / "counts.json", found.counts())
    files.write_json(place / "data" / "pairs.json", {})  # reports alone: there is no recording
    return place


@pytest.fixture
def server(synthetic, monkeypatch):
    """A real server, whose model the working directory's params.yaml names."""
    _set(synthetic, base_url=None)
    monkeypatch.chdir(synthetic)
    with serving(params.load("llm", LLM), runtime.load().llm) as [running]:
        monkeypatch.setenv("KMERL_LLM_API_KEY", str(running.api_key))
        yield running
    assert not _servers(), "a process of the server is left behind"


def test_a_killed_stage_leaves_no_server_and_keeps_its_answers(synthetic):
    """The stage starts the server itself and is killed in the middle of extraction."""
    _set(synthetic, base_url=None)
    line = [sys.executable, "-m", "stages.extract"]
    stage = subprocess.Popen(line, cwd=synthetic, start_new_session=True)
    _until(lambda: _answers(synthetic, "extract") >= 20, 400, stage)
    assert _servers()
    os.killpg(stage.pid, signal.SIGKILL)
    stage.wait()
    _until(lambda: not _servers(), 60)
    statements = pq.read_metadata(synthetic / "data/reports/statements.parquet").num_rows
    assert 20 <= _answers(synthetic, "extract") < statements


def test_extract_resumes_and_a_killed_server_loses_nothing(synthetic, server):
    """Extraction asks for what is left; the server then dies in the middle of verification."""
    _set(synthetic, base_url=server.base_url)
    kept = _answers(synthetic, "extract")
    done = _stage(synthetic, "extract")
    assert done.returncode == 0, done.stderr
    asked = _asked(done)
    assert asked == _answers(synthetic, "extract") - kept, "a question was asked twice"
    assert asked == _served(server)
    again = _stage(synthetic, "extract")
    assert _asked(again) == 0
    assert _served(server) == asked

    line = [sys.executable, "-m", "stages.verify"]
    stage = subprocess.Popen(line, cwd=synthetic, stderr=subprocess.PIPE, text=True)
    _until(lambda: _answers(synthetic, "verify") >= 20, 120, stage)
    for process in _servers():
        process.kill()
    _, told = stage.communicate(timeout=120)
    assert stage.returncode != 0
    assert "answers are kept" in told and "Traceback" not in told
    assert _answers(synthetic, "verify") >= 20


def test_the_chain_goes_on_to_a_label_matrix(synthetic, server, request):
    """What the killed server left is asked for; then the same server reads real reports."""
    _set(synthetic, base_url=server.base_url)
    kept = _answers(synthetic, "verify")
    done = _stage(synthetic, "verify")
    assert done.returncode == 0, done.stderr
    assert _asked(done) == _answers(synthetic, "verify") - kept == _served(server)
    _finish(synthetic, ("merge", "aggregate"))
    _tell(synthetic)

    real = request.getfixturevalue("real")  # skips where there are none
    _set(real, base_url=server.base_url)
    _finish(real, MINING)
    _tell(real)


@pytest.mark.parametrize("kind", tiny_llms.CLASSES)
def test_each_class_of_table_6a_is_asked_by_parameter_alone(kind, tmp_path, monkeypatch):
    """`llm.model` names the checkpoint; its chat template must take every prompt of the chain."""
    tiny_llms.write(tmp_path / kind, kind)
    place = _place(tmp_path, "mimic-iv-ecg", model=str(tmp_path / kind), max_model_len=2048)
    monkeypatch.chdir(place)
    texts = ["sinus rhythm", "left bundle branch block"]
    names = ["sinus rhythm", "normal sinus rhythm", "left bundle branch block"]
    with backend.open_backend(place / "answers") as asked:
        asked.extract(texts)
        verdicts = asked.verify(texts, [names, names])
        asked.merge(names)
        asked.aggregate(names)
        counts = asked.counts()
        asked.settings = replace(asked.settings, system="Answer in one word.")
        asked.verify(texts[:1], [names[:1]])
        told = asked.unresolved()[counts["unresolved"] :]
    assert counts["questions"] == len(texts) + len(texts) * len(names) + 2
    assert "rejected by the server" not in counts["malformed"]
    assert {verdict for row in verdicts for verdict in row} <= {Verdict.POSITIVE, Verdict.ABSENT}
    refuses = ["rejected by the server"] if kind == "Gemma2ForCausalLM" else []
    assert [one.reason for one in told] == refuses
    assert not _servers()
    print(f"{kind}: {counts}")


def _finish(place, steps):
    for step in steps:
        done = _stage(place, step)
        assert done.returncode == 0, done.stderr
    assert _stage(place, "label_matrix").returncode == 0
    labels = pq.read_table(place / "data/labels/labels.parquet")
    reports = pq.read_table(place / "data/reports/reports.parquet")
    assert labels["record"].to_pylist() == reports["record"].to_pylist()
    assert labels.num_columns > 1
    counts = files.read_json(place / "metrics/mining.json")["llm"]
    for step, count in counts.items():
        with (place / f"data/{step}/unresolved.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == count["unresolved"]
        valid = 1 - sum(count["malformed"].values()) / count["questions"]
        print(f"{step}: {count['questions']} questions, {valid:.1%} of first replies valid")


def _tell(place):
    """What the small model made of the reports, for the reader of the log."""
    found = files.read_json(place / "metrics/mining.json")
    names = ("entities", "superclasses", "columns", "agreement", "truth", "codes", "llm")
    print(json.dumps({name: found[name] for name in names if name in found}, indent=1))


def _place(place, corpus, root=None, **llm):
    values = files.read_yaml(ROOT / "params" / "demo.yaml")
    values["synthesize"]["records"] = {
        name: REPORTS * (name == "mimic-iv-ecg") for name in values["synthesize"]["records"]
    }
    values["pretrain"]["corpus"] = corpus
    values["corpora"][corpus]["root"] = root or values["corpora"][corpus]["root"]
    values["extract"] |= {"backend": "vllm", "max_unresolved": 1.0}
    values["verify"]["by"] = "both"
    values["llm"] |= {
        "model": str(ENVIRONMENT / "model"), "max_model_len": 768, "max_tokens": 64, **llm,
    }  # fmt: skip
    values["runtime"]["llm"] |= {
        "command": f"{ENVIRONMENT}/bin/python -m vllm.entrypoints.openai.api_server",
        "arguments": ["--dtype", "float32", "--enforce-eager"],
        "retries": 2,
    }
    (place / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    shutil.copy(ROOT / "overrides.yaml", place)
    return place


def _set(place, base_url):
    values = files.read_yaml(place / "params.yaml")
    values["llm"]["base_url"] = base_url
    (place / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def _stage(place, name, *arguments):
    command = [sys.executable, "-m", f"stages.{name}", *arguments]
    start = time.monotonic()
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    print(f"{place.name} {name}: {time.monotonic() - start:.0f} s, {done.stderr.strip()[-300:]}")
    return done


def _asked(done):
    found = re.search(r"(\d+) replies asked for", done.stderr)
    assert found, done.stderr
    return int(found[1])


def _answers(place, step):
    """Whole answers on the disk."""
    folder = place / "data" / "answers" / step
    keys = {
        json.loads(line)["key"]
        for path in folder.glob("*.jsonl")
        for line in path.read_bytes().split(b"\n")[:-1]
    }
    return len(keys)


def _served(server):
    """Requests that the server itself counts as finished."""
    url = server.base_url.removesuffix("/v1") + "/metrics"
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {server.api_key}"})
    with urllib.request.urlopen(asked) as response:
        text = response.read().decode()
    counts = re.findall(r"^vllm:request_success_total\{.*\} (\S+)$", text, re.MULTILINE)
    return round(sum(map(float, counts)))


def _servers():
    """Every process of a session that a keeper of a server leads or led."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if "kmerl.knowledge.vllm.keeper" in line and str(ENVIRONMENT) in line:
                KEEPERS.add(os.getsid(process.pid))
            ours = os.getsid(process.pid) in KEEPERS
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, ProcessLookupError):
            continue
    return found


def _until(done, limit, process=None):
    end = time.monotonic() + limit
    while not done():
        assert time.monotonic() < end, f"not so after {limit:g} s"
        assert process is None or process.poll() is None, "the stage ended"
        time.sleep(0.1)
