"""Questions to a scripted server: no answer is lost, none is asked for twice, all is counted."""

import asyncio
import gzip
import json
import runpy
import threading
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pytest

from kmerl.knowledge.backend import Unresolved
from kmerl.knowledge.vllm import client as client_module
from kmerl.knowledge.vllm import prompts, replies
from kmerl.knowledge.vllm import server as server_module
from kmerl.knowledge.vllm.answers import Answers
from kmerl.knowledge.vllm.client import Client, LLMError
from kmerl.knowledge.vllm.connection import Running
from kmerl.knowledge.vllm.replies import Reply
from kmerl.knowledge.vllm.settings import Example, Price
from tests.mining import MACHINE, SETTINGS, hurry
from tests.scripted_llm import MODEL, Fault, Say, ScriptedLLM, Status, asked

GOOD = Say('["lbbb"]')
quick_and_alone = pytest.fixture(autouse=True)(hurry)


@contextmanager
def opened(server, folder, settings=SETTINGS, key=None, alive=lambda: None, **machine):
    """A client of the server with the answers of a folder; `machine` beside `MACHINE`."""
    answers = Answers(folder)
    running = Running(server.base_url, key, alive)
    try:
        yield Client(settings, replace(MACHINE, **machine), answers, [running])
    finally:
        answers.close()


def extract(client, texts, numbers=None):
    """The entities of each text, asked through the client."""
    order = range(len(texts)) if numbers is None else numbers
    questions = [prompts.extract(i, texts[i], client.settings) for i in order]
    return client.ask(questions, len(questions), lambda _, r: replies.entities(r), "extract")


def by_text(answers):
    """A script that gives the nth answer of a text to its nth request."""
    return lambda body, nth: answers[text_of(body)][nth - 1]


def always(body, nth):
    return GOOD


def asked_for(script, texts, folder, **machine):
    """What a new client makes of a server's answers to `texts`."""
    with ScriptedLLM(script) as server, opened(server, folder, **machine) as client:
        return extract(client, texts), client, server


def text_of(body):
    return asked(body)[1]["text"]


def texts_asked(server):
    return [text_of(body) for body in server.bodies]


LBBB = ["lbbb"]
REJECTED = ("rejected by the server", "")
REPLIES = {  # what is made of the answers (or why nothing), and they
    "good": (LBBB, GOOD),
    "bare": (["lbbb", "sinus rhythm"], Say("[sinus rhythm, LBBB]")),
    "nothing": ([], Say("[]")),
    "prose, then good": (LBBB, Say('Here: ["lbbb"]'), GOOD),
    "empty, then good": (LBBB, Say(""), GOOD),
    "null, then good": (LBBB, Say(None), GOOD),
    "cut off, then good": (LBBB, Say('["lb', finish="length"), GOOD),
    "prose twice": (("prose around json", 'Or: ["lbbb"]'), Say('A: ["lbbb"]'), Say('Or: ["lbbb"]')),
    "refused, then no json": (("not json", "well"), Say(None, refusal="I must not."), Say("well")),
    "twice without choices": (("empty", ""), Fault.NO_CHOICES, Fault.NO_CHOICES),
    "limited, then good": (LBBB, Status(429), Status(429), GOOD),
    "failing, then good": (LBBB, Status(500), Status(503), GOOD),
    "lost, then good": (LBBB, Fault.DISCONNECT, GOOD),
    "page, then good": (LBBB, Fault.PAGE, GOOD),
    "half json, then good": (LBBB, Fault.NOT_JSON, GOOD),
    "failing, prose, failing, good": (LBBB, Status(500), Say("prose"), Status(500), GOOD),
    "rejected": (REJECTED, Status(400)),
    "rejected otherwise": (REJECTED, Status(422)),
    "prose, then rejected": (REJECTED, Say("prose"), Status(400)),
}


def test_whatever_a_server_replies_nothing_is_lost_and_all_is_counted(tmp_path):
    texts = list(REPLIES)
    answers = {text: answers for text, (_, *answers) in REPLIES.items()}
    found, client, server = asked_for(by_text(answers), texts, tmp_path)
    made = [made for made, *_ in REPLIES.values()]
    assert found == [None if isinstance(one, tuple) else one for one in made]
    assert sorted(client.unresolved, key=lambda one: int(one.about.split()[1])) == [
        Unresolved(f"statement {i}", *why) for i, why in enumerate(made) if isinstance(why, tuple)
    ]
    given = [answer for each in answers.values() for answer in each]
    said = sum(isinstance(answer, Say) for answer in given)
    malformed = {"empty": 3, "not json": 2, "prose around json": 2, "refusal": 1, "truncated": 1}
    assert client.counts() == {
        "questions": len(texts),
        "repaired": 5,
        "prompt_tokens": 7 * said,
        "completion_tokens": 3 * said,
        "cost": 0.0,
        "malformed": malformed | {"rejected by the server": 2},
        "unresolved": 6,
    }
    assert Counter(texts_asked(server)) == {text: len(each) for text, each in answers.items()}
    assert client.retries == 9
    assert client.asked == len(given) - client.retries
    first, again = (body for body in server.bodies if text_of(body) == "prose, then good")
    assert again["messages"][:-2] == first["messages"]
    assert again["messages"][-2] == {"role": "assistant", "content": 'Here: ["lbbb"]'}
    assert "(prose around json)" in again["messages"][-1]["content"]
    assert {**again, "messages": []} == {**first, "messages": []}


def test_what_can_be_read_of_unusable_replies_stands(tmp_path):
    names = ["lbbb", "left bundle branch block", "rbbb"]
    whole = dict.fromkeys(names, "rbbb")
    series = {
        "lbbb": [Say('{"lbbb": "a"}'), Say('{"lbbb": "b", "rbbb": "c"}')],
        names[1]: [Say('{"rbbb": "c"}'), Say("no json")],
        "rbbb": [Say("no json"), Say('{"pacing": "c"}')],
        "all": [Say('{"lbbb": "a"}'), Say(json.dumps(whole))],
    }

    def script(body, nth):
        given = json.loads(asked(body)[1]["names"])
        return series["all" if given == names else given[0]][nth - 1]

    asked_for = [["lbbb", "rbbb", "x"], [names[1], "rbbb"], ["rbbb", "lbbb"], names]
    with ScriptedLLM(script) as server, opened(server, tmp_path) as client:
        questions = [prompts.merge(f"part {i}", part, SETTINGS) for i, part in enumerate(asked_for)]
        found = client.ask(
            questions, len(questions), lambda i, r: replies.mapping(r, asked_for[i]), "merge"
        )
    assert found == [{"lbbb": "b", "rbbb": "c"}, {"rbbb": "c"}, {}, whole]
    assert sorted((one.about, one.reason) for one in client.unresolved) == [
        ("part 0", "missing keys"),
        ("part 1", "not json"),
        ("part 2", "invented names"),
    ]


def test_questions_carry_what_params_yaml_says_and_no_key_but_the_servers(tmp_path, monkeypatch):
    for name in ("OPENAI_API_KEY", client_module.API_KEY):
        monkeypatch.setenv(name, "of-another-service")
    settings = replace(SETTINGS, temperature=0.5, seed=11, max_tokens=99)
    verify = prompts.verify(0, "a", "b", settings)
    with ScriptedLLM(always) as server:
        for key, question in (("a-key", verify), (None, prompts.extract(0, "a", settings))):
            with opened(server, tmp_path, settings, key=key) as client:
                client.ask([question], 1, lambda _, reply: reply, "either")
    assert server.keys == ["Bearer a-key", None]
    verify, extract = server.bodies
    common = {"model": MODEL, "temperature": 0.5, "seed": 11}
    assert verify.items() >= {**common, "max_tokens": 8}.items()
    assert verify["structured_outputs"] == {"choice": ["YES", "NO"]}
    assert extract.items() >= {**common, "max_tokens": 99}.items()
    assert extract["response_format"]["json_schema"]["schema"]["type"] == "array"


def test_concurrency_is_reached_never_passed_and_results_keep_their_order(tmp_path):
    together = threading.Barrier(5)

    def script(body, nth):
        text = text_of(body)
        together.wait(20)  # breaks if fewer than that are ever on their way
        time.sleep(0.01 * (5 - int(text.split()[1]) % 5))  # the last comes first
        return Say(json.dumps([text]))

    texts = [f"finding {number}" for number in range(15)]
    found, _, server = asked_for(script, texts, tmp_path, concurrency=5)
    assert found == [[text] for text in texts]
    assert server.most_in_flight == 5


def test_a_server_that_hangs_or_drips_is_asked_again(tmp_path):
    over = threading.Event()

    def script(body, nth):
        if nth == 1 and text_of(body) == "hangs":
            over.wait(5)
        return Fault.DRIP if nth == 1 else GOOD

    start = time.monotonic()
    found, client, _ = asked_for(script, ["hangs", "drips"], tmp_path, timeout=0.3)
    over.set()
    assert found == [["lbbb"], ["lbbb"]]
    assert 0.3 <= time.monotonic() - start < 30  # a drip ends after 50 seconds
    assert client.retries >= 2  # more where this machine is too busy for that


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ([Status(500)] * 4, [4.0, 8.0, 16.0, 20.0]),
        ([Status(429, {"Retry-After": "7"})], [7.0]),
        ([Status(503, {"Retry-After": "5.5"}), Status(500)], [5.5, 8.0]),
        ([Status(429, {"Retry-After": "1"})], [4.0]),
        ([Status(429, {"Retry-After": "86400"})], [60.0]),
        ([Status(429, {"Retry-After": "Wed, 21 Oct 2065 07:28:00 GMT"})], [4.0]),
    ],
)
def test_pauses_grow_and_are_as_long_as_the_server_wants(faults, expected, tmp_path, monkeypatch):
    pauses, sleep = [], asyncio.sleep

    async def no_sleep(seconds, result=None):
        pauses.extend([seconds] if seconds else [])
        return await sleep(0, result)

    monkeypatch.setattr(asyncio, "sleep", no_sleep)
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 4.0)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE", 20.0)
    found, _, _ = asked_for(by_text({"a": [*faults, GOOD]}), ["a"], tmp_path, retries=4)
    assert (found, pauses) == ([["lbbb"]], expected)


SECRET = "mrs smith has a rare finding"
TRIES = "gave no answer to a question of kind extract in 3 tries (last: {}); 1 answers are kept"
PACKED = Status(200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 2**25))
UNREADABLE = [Status(200, body=body) for body in (b"[" * 50_000, b"9" * 5000, b'"\xff"')]
REFUSED = "answered {}; 401 and 403: set KMERL_LLM_API_KEY, 404: is 'scripted/model' what"


@pytest.mark.parametrize(
    ("answer", "tries", "message"),
    [
        *((Status(code), 3, TRIES.format(f"status {code}")) for code in (500, 429)),
        (Fault.DISCONNECT, 3, TRIES.format("ClientPayloadError")),
        *((fault, 3, TRIES.format("UnreadableError")) for fault in (Fault.NOT_JSON, Fault.PAGE)),
        *((Status(code), 1, REFUSED.format(code)) for code in (401, 403, 404)),
        ("elsewhere", 1, "answered 307, a redirect, which is not followed"),
        *((fault, 3, TRIES.format("UnreadableError")) for fault in UNREADABLE),
        (PACKED, 3, TRIES.format("ClientPayloadError")),
        (Status(200, body=b" " * 2**25), 3, TRIES.format("ClientPayloadError")),
    ],
)
def test_giving_up_says_what_to_do_and_nothing_of_a_report(answer, tries, message, tmp_path):
    with ScriptedLLM(always) as other:
        if answer == "elsewhere":
            answer = Status(307, {"Location": f"{other.base_url}/chat/completions"})
        script = by_text({"first": [Say('["a reply"]')], SECRET: [answer] * 3})
        with ScriptedLLM(script) as server, pytest.raises(LLMError) as raised:  # noqa: SIM117
            with opened(server, tmp_path, concurrency=1, retries=2) as client:
                extract(client, ["first", SECRET, "never asked"])
    assert other.bodies == []
    assert f"{server.base_url} {message}" in str(raised.value)
    assert texts_asked(server) == ["first", *[SECRET] * tries]
    told = "".join([str(raised.value), *traceback.format_exception(raised.value)])
    assert "smith" not in told and "a reply" not in told
    assert len((tmp_path / "answers.jsonl").read_bytes().splitlines()) == 1


def test_a_server_known_to_have_stopped_is_not_asked_again(tmp_path):
    def alive():
        raise LLMError("the server stopped")

    script = by_text({"good": [GOOD], "bad": [Status(500)]})
    with ScriptedLLM(script) as server, opened(server, tmp_path, alive=alive) as client:
        assert extract(client, []) == []
        assert extract(client, ["good"]) == [["lbbb"]]
        with pytest.raises(LLMError, match="server stopped"):
            extract(client, ["bad"])
    assert texts_asked(server) == ["good", "bad"]


SERIES = {
    "a": [GOOD],
    "b": [Say("prose"), GOOD],
    "c": [Say("prose"), Say("more prose")],
    "d": [Say('["förmaksflimmer", "a\u2028b"]')],
    "e": [Status(400), GOOD],  # what a server rejected is asked again in the next run
}


def test_counts_and_bytes_are_the_same_in_any_order_and_in_a_second_run(tmp_path, capfd):
    """Answers are sorted by key, so what came first does not show."""
    texts, made = list(SERIES), []
    for number, order in enumerate([[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [1, 3, 4]]):
        folder = tmp_path / str(number)
        with ScriptedLLM(by_text(SERIES)) as server:
            with opened(server, folder, concurrency=1 + number % 2) as client:
                extract(client, texts, order)
            with opened(server, folder) as second:
                extract(second, texts)
            assert client.asked + second.asked == len(server.bodies) == 8
        with opened(server, folder) as third:
            found = extract(third, texts)
            third.tell("extract")
        assert third.asked == 0
        assert [path.name for path in folder.iterdir()] == ["answers.jsonl"]
        counts = (third.counts(), third.unresolved)
        assert counts == (second.counts(), second.unresolved)
        made.append((found, counts, (folder / "answers.jsonl").read_text(encoding="utf-8")))
    assert made[0] == made[1] == made[2]
    assert made[0][0][4] == LBBB
    assert len(made[0][2].split("\n")) == 7 + 1
    told = "extract: 5 questions, 0 replies asked for, 0 tried again, 1 unresolved"
    assert capfd.readouterr().err.splitlines() == [told] * 3


def test_answers_are_on_disk_at_once_and_only_the_last_torn_line_is_asked_for_again(tmp_path):
    journal, whole = tmp_path / "journal.jsonl", tmp_path / "answers.jsonl"
    texts, lines = ["a", SECRET, "c"], []

    def script(body, nth):
        lines.append(len(journal.read_bytes().splitlines()))
        return GOOD

    with ScriptedLLM(script) as server:
        answers, one = Answers(tmp_path), replace(MACHINE, concurrency=1)
        extract(Client(SETTINGS, one, answers, [Running(server.base_url, None)]), texts)
        answers.file.close()  # as a kill does, without a fold
        written = journal.read_bytes()
        journal.write_bytes(written[:-10])
        with opened(server, tmp_path) as client:
            assert journal.read_bytes() == b"".join(written.splitlines(keepends=True)[:2])
            assert extract(client, texts) == [["lbbb"]] * 3
    assert texts_asked(server) == [*texts, "c"]
    assert lines == [0, 1, 2, 2]
    assert not journal.exists()
    assert len(whole.read_bytes().splitlines()) == 3
    assert b"smith" not in whole.read_bytes()


@pytest.mark.parametrize("line", [b"{", b"[]", b"17", b'"key"', b"", b"\xff", b'{"key": "a"}'])
@pytest.mark.parametrize("name", ["journal.jsonl", "answers.jsonl"])
def test_a_corrupt_line_is_named(name, line, tmp_path):
    answers = Answers(tmp_path)
    for key in ("a", "b"):
        answers.put(key, Reply("text", "stop", 1, 1))
    answers.close()
    first, last = (tmp_path / "answers.jsonl").read_bytes().splitlines()
    (tmp_path / name).write_bytes(b"\n".join([first, line, last, b""]))
    with pytest.raises(ValueError, match=rf"{name}, line 2 is no answer; remove that line"):
        Answers(tmp_path)


OTHER = {
    "model": "another/model", "revision": "0123abc", "seed": 1, "temperature": 0.1,
    "max_tokens": 100, "structured": False, "system": "You are a cardiologist.",
    "examples": (Example("sinus rhythm", ("sinus rhythm",)),),
}  # fmt: skip


def test_what_decides_an_answer_is_part_of_its_key_and_nothing_else(tmp_path, monkeypatch):
    beside = {"price": Price(1.0, 1.0), "allow_remote": True, "base_url": "http://localhost/v1"}

    def questions(settings=SETTINGS, text="a"):
        """How often the server was asked until this has been asked twice."""
        for _ in range(2):
            with opened(server, tmp_path, settings) as client:
                extract(client, [text])
        return len(server.bodies)

    with ScriptedLLM(always) as server:
        assert questions() == 1
        for name, value in beside.items():
            assert questions(replace(SETTINGS, **{name: value})) == 1, name
        for number, (name, value) in enumerate(OTHER.items(), 2):
            assert questions(replace(SETTINGS, **{name: value})) == number, name
        assert questions(text="b") == len(OTHER) + 2
        newer = {**prompts.prompts(), "version": 2}
        monkeypatch.setattr(prompts, "prompts", lambda: newer)
        assert questions() == len(OTHER) + 3


KEYS = {  # of November 2026: a change of these asks every question of every user again
    "extract": "462e36c3cebd0ba7a4e499f4c48285f84ff3a9a62cbd89d141c74bb4cd191aff",
    "verify": "edad1fe28b042276ea97cf2a5530d1d8661560790d29f6f1a2faf62347de0daf",
    "merge": "7707c93a64712e293dcf341d69606fd32f7241278fe0e8f1720871f522881fee",
}


def test_answers_are_kept_under_the_keys_and_in_the_bytes_that_they_always_had(tmp_path):
    questions = (
        prompts.extract(0, "förmaksflimmer", SETTINGS),
        prompts.verify(0, "sinus rhythm", "sinus rhythm", SETTINGS),
        prompts.merge("part 0", ["lbbb", "rbbb"], SETTINGS),
    )
    with ScriptedLLM(lambda *_: Say("ä")) as server, opened(server, tmp_path) as client:
        client.ask(questions, 3, lambda _, reply: reply, "any")
    line = (
        '{{"key": "{}", "text": "ä", "finish": "stop", "prompt_tokens": 7, "completion_tokens": 3}}'
    )
    lines = [line.format(key) for key in sorted(KEYS.values())]
    assert (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines() == lines


def test_proxies_of_the_environment_are_not_used(tmp_path, monkeypatch):
    with ScriptedLLM(always) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.base_url.removesuffix("/v1"))
            monkeypatch.setenv(name.upper(), proxy.base_url.removesuffix("/v1"))
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        again = runpy.run_path(server_module.__file__)  # it looks proxies up when it is imported
        with ScriptedLLM(always, ["of the server"]) as server:
            again["check_model"](Running(server.base_url, None), "of the server")
            with opened(server, tmp_path) as client:
                assert extract(client, ["a"]) == [["lbbb"]]
    assert (len(proxy.bodies), len(server.bodies)) == (0, 1)
