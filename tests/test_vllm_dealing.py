"""Several servers: questions go to the least busy, and one that stops loses none of them."""

import itertools
import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from kmerl import params
from kmerl.knowledge.vllm import dealing, prompts, replies
from kmerl.knowledge.vllm import server as server_module
from kmerl.knowledge.vllm.answers import Answers
from kmerl.knowledge.vllm.client import Client, LLMError
from kmerl.knowledge.vllm.connection import Running
from kmerl.knowledge.vllm.server import serving
from kmerl.knowledge.vllm.settings import LLM
from tests.mining import MACHINE, SETTINGS, hurry
from tests.scripted_llm import MODEL, Fault, Say, ScriptedLLM, Status, asked

quick_and_alone = pytest.fixture(autouse=True)(hurry)
TEXTS = [f"finding {number}" for number in range(60)]


def good(body, nth):
    return Say(json.dumps([asked(body)[1]["text"]]))


def mined(folder, *servers, texts=TEXTS, **machine):
    """The client after it asked servers for the entities of texts, and what it got."""
    running = [Running(server.base_url, None) for server in servers]
    answers = Answers(folder)
    client = Client(SETTINGS, replace(MACHINE, **machine), answers, running)
    questions = (prompts.extract(i, text, SETTINGS) for i, text in enumerate(texts))
    try:
        found = client.ask(questions, len(texts), lambda _, r: replies.entities(r), "extract")
    finally:
        answers.close()
    return client, found


def served(client):
    return [server.answered for server in client.dealer.servers]


def test_questions_are_dealt_evenly_to_servers_of_one_pace(tmp_path):
    together = threading.Barrier(6)

    def script(body, nth):
        together.wait(20)  # breaks if fewer than that are ever on their way
        return good(body, nth)

    with ScriptedLLM(script) as one, ScriptedLLM(script) as other:
        client, found = mined(tmp_path, one, other, concurrency=6)
    assert found == [[text] for text in TEXTS]
    assert one.most_in_flight == other.most_in_flight == 3
    assert served(client) == [30, 30]


def test_a_slow_server_gets_fewer(tmp_path, capfd):
    def slow(body, nth):
        time.sleep(0.2)
        return good(body, nth)

    with ScriptedLLM(slow) as one, ScriptedLLM(good) as other:
        client, found = mined(tmp_path, one, other)
        client.tell("extract")
    assert found == [[text] for text in TEXTS]
    few, many = served(client)
    assert 0 < few < many
    told = f"; answered by {one.base_url} {few}, {other.base_url} {many}\n"
    assert capfd.readouterr().err.endswith(told)


HANGS = object()
STOPS = {
    "fails": (Status(500), "status 500"),
    "is limited": (Status(429, {"Retry-After": "30"}), "status 429"),
    "loses connections": (Fault.DISCONNECT, "ClientPayloadError"),
    "is a proxy's page": (Fault.PAGE, "UnreadableError"),
    "hangs": (HANGS, "TimeoutError"),
}


@pytest.mark.parametrize("how", [*STOPS, "is gone"])
def test_a_server_that_stops_is_set_aside_and_loses_no_question(how, tmp_path, capfd):
    """It answers ten questions, and what is kept is the same bytes as of one that never stops."""
    answer, what = STOPS.get(how, (None, "Client"))
    over, number = threading.Event(), itertools.count()

    def script(body, nth):
        if next(number) < 10:
            return good(body, nth)
        if answer is None:
            first.socket.close()
            return Fault.DISCONNECT
        if answer is HANGS:
            over.wait(20)
        return Status(500) if answer is HANGS else answer

    def slower(body, nth):
        time.sleep(0.02)  # so that the one that stops is asked again before all is answered
        return good(body, nth)

    machine = {"timeout": 0.5 if answer is HANGS else 30.0}
    with ScriptedLLM(script) as first, ScriptedLLM(slower) as second:
        client, found = mined(tmp_path / "two", first, second, **machine)
        client.tell("extract")
        over.set()
    with ScriptedLLM(good) as alone:
        mined(tmp_path / "one", alone)
    assert found == [[text] for text in TEXTS]
    assert not client.unresolved
    assert served(client) == [10, 50]
    kept = [(tmp_path / name / "answers.jsonl").read_bytes() for name in ("one", "two")]
    assert kept[0] == kept[1]
    told = capfd.readouterr().err
    line = rf"{first.base_url} is set aside \(last: {what}\w*\); its questions go to the others\n"
    assert re.match(line, told)
    assert told.count("is set aside") == 1
    served_by = rf"answered by {first.base_url} 10 \(set aside \d times\), {second.base_url} 50\n"
    assert re.search(served_by, told)
    assert "finding" not in told


def test_a_server_that_comes_back_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr(dealing, "FIRST_REST", 0.01)
    monkeypatch.setattr(dealing, "LONGEST_REST", 0.02)
    number = itertools.count()

    def script(body, nth):
        return Status(503) if next(number) < 8 else good(body, nth)

    def slow(body, nth):
        time.sleep(0.02)
        return good(body, nth)

    with ScriptedLLM(script) as first, ScriptedLLM(slow) as second:
        client, found = mined(tmp_path, first, second)
    assert found == [[text] for text in TEXTS]
    assert served(client)[0] > 0
    assert client.retries == 8


def test_where_all_are_gone_the_error_names_them_and_answers_are_kept(tmp_path, capfd):
    def script(body, nth):
        return good(body, nth) if next(number) < 5 else Status(502)

    number = itertools.count()

    lost = ScriptedLLM(lambda *_: Fault.DISCONNECT)
    with ScriptedLLM(script) as first, lost as second, pytest.raises(LLMError) as raised:
        mined(tmp_path, first, second, retries=1)
    names = f"{first.base_url} and {second.base_url} gave no answer to a question of kind extract"
    assert str(raised.value).startswith(names)
    assert "; 5 answers are kept: " in str(raised.value)
    assert "finding" not in str(raised.value) + capfd.readouterr().err


@contextmanager
def nobody():
    """An address at which no server is."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    yield f"http://127.0.0.1:{port}/v1"


def test_at_the_start_those_out_of_reach_are_left_out_and_no_other_model_is_asked(capfd):
    def used(*addresses):
        with serving(replace(SETTINGS, base_url=addresses), MACHINE) as servers:
            return [server.base_url for server in servers]

    with ScriptedLLM(good) as one, ScriptedLLM(good, ["gemma"]) as other, nobody() as gone:
        assert used(gone, one.base_url) == [one.base_url]
        assert capfd.readouterr().err == f"{gone} does not answer: left out of this step\n"
        for addresses, message in (
            ([one.base_url, other.base_url], f"llm.model is '{MODEL}', but {other.base_url} "),
            ([gone], f"no OpenAI-compatible server answers at llm.base_url {gone}"),
            ([one.base_url, "http://example.org/v1"], "llm.base_url is on example.org, which"),
        ):
            with pytest.raises(LLMError) as raised:
                used(*addresses)
            assert str(raised.value).startswith(message)
        assert server_module.LOG.exists() is False


HERE, THERE = "http://127.0.0.1:8000/v1", "http://127.0.0.1:8001/v1"


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (None, None),
        (HERE, (HERE,)),
        ([f"{HERE}/", THERE], (HERE, THERE)),
        ([], "base_url: name one server or more, or null"),
        ([HERE, f"{HERE}/"], "base_url: name each server once"),
        ([HERE, 3], r"base_url\[1\] is 3; it must be a valid string"),
        ({"a": HERE}, r"base_url\[0\] is {.*}; it must be a valid string"),
        (True, r"base_url\[0\] is True; it must be a valid string"),
    ],
)
def test_one_address_or_several(given, made):
    values = params.read("params/demo.yaml")["llm"] | {"base_url": given}
    if isinstance(made, str):
        with pytest.raises(params.ParamsError, match=rf"^llm\.{made}"):
            params.build(LLM, values, "llm")
    else:
        assert params.build(LLM, values, "llm").base_url == made
