"""Questions to a scripted server: no answer is lost, none is asked for twice, all is counted."""

import asyncio
import json
import ssl
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai.resources.chat  # noqa: F401  # not within the time-out of a first question
import pytest

from kmerl import params, runtime
from kmerl.knowledge.backend import Unresolved
from kmerl.knowledge.vllm import client as client_module
from kmerl.knowledge.vllm import prompts, replies
from kmerl.knowledge.vllm.answers import Answers
from kmerl.knowledge.vllm.client import Client, LLMError
from kmerl.knowledge.vllm.replies import Reply
from kmerl.knowledge.vllm.settings import LLM, Example, Price
from tests.scripted_llm import MODEL, Answer, Fault, Say, ScriptedLLM, Status, asked, is_repair

PARAMS = Path(__file__).parent.parent / "params" / "demo.yaml"
SETTINGS = replace(params.load("llm", LLM, PARAMS), model=MODEL)
MACHINE = replace(
    params.load("runtime", runtime.Runtime, PARAMS).llm, concurrency=4, timeout=30.0, retries=3
)
GOOD = Say('["lbbb"]')


@pytest.fixture(autouse=True)
def quick_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, no certificates for loopback, and no key from the environment."""
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_: None)
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.01)
    monkeypatch.delenv(client_module.API_KEY, raising=False)


@contextmanager
def opened(
    server: ScriptedLLM,
    folder: Path,
    settings: LLM = SETTINGS,
    machine: runtime.Server = MACHINE,
    **given: Any,
) -> Iterator[Client]:
    """A client of the server with the answers of a folder."""
    answers = Answers(folder)
    try:
        yield Client(settings, machine, answers, server.base_url, **given)
    finally:
        answers.close()


def extract(
    client: Client, texts: Sequence[str], numbers: Sequence[int] | None = None
) -> list[list[str] | None]:
    """The entities of each text, asked through the client."""
    order = range(len(texts)) if numbers is None else numbers
    questions = [prompts.extract(i, texts[i], client.settings) for i in order]
    return client.ask(questions, lambda _, reply: replies.entities(reply), "extract")


def by_text(answers: Mapping[str, Sequence[Answer]]) -> Callable[[dict[str, Any], int], Answer]:
    """A script that gives the nth answer of a text to its nth request."""
    return lambda body, nth: answers[asked(body)[1]["text"]][nth - 1]


def always(answer: Answer) -> Callable[[dict[str, Any], int], Answer]:
    return lambda body, nth: answer


def texts_asked(server: ScriptedLLM) -> list[str]:
    return [asked(body)[1]["text"] for body in server.bodies]


# ---------------------------------------------------------------- replies

REPLIES: dict[str, tuple[Answer, ...]] = {
    "good": (GOOD,),
    "bare": (Say("[sinus rhythm, LBBB]"),),
    "nothing": (Say("[]"),),
    "prose, then good": (Say('Here: ["lbbb"]'), GOOD),
    "empty, then good": (Say(""), GOOD),
    "null, then good": (Say(None), GOOD),
    "cut off, then good": (Say('["lb', finish="length"), GOOD),
    "prose twice": (Say('Here: ["lbbb"]'), Say('Once more: ["lbbb"]')),
    "refused, then no json": (Say(None, refusal="I must not."), Say("no idea")),
    "twice without choices": (Fault.NO_CHOICES, Fault.NO_CHOICES),
    "limited, then good": (Status(429), Status(429), GOOD),
    "failing, then good": (Status(500), Status(503), GOOD),
    "lost, then good": (Fault.DISCONNECT, GOOD),
    "page, then good": (Fault.PAGE, GOOD),
    "half json, then good": (Fault.NOT_JSON, GOOD),
    "failing, prose, failing, good": (Status(500), Say("prose"), Status(500), GOOD),
    "rejected": (Status(400),),
    "rejected otherwise": (Status(422),),
    "prose, then rejected": (Say("prose"), Status(400)),
}
UNRESOLVED = {
    "prose twice": ("prose around json", 'Once more: ["lbbb"]'),
    "refused, then no json": ("not json", "no idea"),
    "twice without choices": ("empty", ""),
    "rejected": ("rejected by the server", ""),
    "rejected otherwise": ("rejected by the server", ""),
    "prose, then rejected": ("rejected by the server", ""),
}
FOUND = {"bare": ["lbbb", "sinus rhythm"], "nothing": []}


def test_whatever_a_server_replies_nothing_is_lost_and_all_is_counted(tmp_path: Path) -> None:
    texts = list(REPLIES)
    with ScriptedLLM(by_text(REPLIES)) as server, opened(server, tmp_path) as client:
        found = extract(client, texts)
    assert dict(zip(texts, found, strict=True)) == {
        text: None if text in UNRESOLVED else FOUND.get(text, ["lbbb"]) for text in texts
    }
    lost = {Unresolved(f"statement {texts.index(t)}", *why) for t, why in UNRESOLVED.items()}
    assert set(client.unresolved) == lost
    assert len(client.unresolved) == len(lost)
    given = [answer for answers in REPLIES.values() for answer in answers]
    said = [answer for answer in given if isinstance(answer, Say)]
    assert client.counts() == {
        "questions": len(texts),
        "repaired": 5,
        "prompt_tokens": 7 * len(said),
        "completion_tokens": 3 * len(said),
        "cost": 0.0,
        "malformed": {
            "empty": 3,
            "not json": 2,
            "prose around json": 2,
            "refusal": 1,
            "rejected by the server": 2,
            "truncated": 1,
        },
        "unresolved": len(lost),
    }
    assert Counter(texts_asked(server)) == {text: len(REPLIES[text]) for text in texts}
    assert client.retries == 9
    assert client.asked == len(given) - client.retries


def test_a_malformed_reply_is_asked_for_once_more_and_shown(tmp_path: Path) -> None:
    script = by_text({"a": [Say('Here: ["lbbb"]'), Say("no json")]})
    with ScriptedLLM(script) as server, opened(server, tmp_path) as client:
        extract(client, ["a"])
    first, again = server.bodies
    assert [is_repair(first), is_repair(again)] == [False, True]
    assert again["messages"][:-2] == first["messages"]
    assert again["messages"][-2] == {"role": "assistant", "content": 'Here: ["lbbb"]'}
    assert "(prose around json)" in again["messages"][-1]["content"]
    assert {**again, "messages": []} == {**first, "messages": []}


def test_what_can_be_read_of_unusable_replies_stands(tmp_path: Path) -> None:
    names = ["lbbb", "left bundle branch block", "rbbb"]
    whole = dict.fromkeys(names, "rbbb")
    series: dict[str, list[Answer]] = {
        "lbbb": [Say('{"lbbb": "a"}'), Say('{"lbbb": "b", "rbbb": "c"}')],
        names[1]: [Say('{"rbbb": "c"}'), Say("no json")],
        "rbbb": [Say("no json"), Say('{"pacing": "c"}')],
        "all": [Say('{"lbbb": "a"}'), Say(json.dumps(whole))],
    }

    def script(body: dict[str, Any], nth: int) -> Answer:
        given = json.loads(asked(body)[1]["names"])
        return series["all" if given == names else given[0]][nth - 1]

    asked_for = [["lbbb", "rbbb", "x"], [names[1], "rbbb"], ["rbbb", "lbbb"], names]
    with ScriptedLLM(script) as server, opened(server, tmp_path) as client:
        questions = [prompts.merge(f"part {i}", part, SETTINGS) for i, part in enumerate(asked_for)]
        found = client.ask(questions, lambda i, r: replies.mapping(r, asked_for[i]), "merge")
    assert found == [{"lbbb": "b", "rbbb": "c"}, {"rbbb": "c"}, {}, whole]
    assert sorted((one.about, one.reason) for one in client.unresolved) == [
        ("part 0", "missing keys"),
        ("part 1", "not json"),
        ("part 2", "invented names"),
    ]


def test_the_questions_carry_what_params_yaml_says(tmp_path: Path) -> None:
    settings = replace(SETTINGS, temperature=0.5, seed=11, max_tokens=99)
    with ScriptedLLM(always(Say("YES"))) as server:
        with opened(server, tmp_path, settings) as client:
            question = prompts.verify(0, "sinus rhythm", "sinus rhythm", settings)
            client.ask([question], lambda _, reply: replies.verdict(reply), "verify")
        with opened(server, tmp_path, settings) as client:
            client.ask([prompts.extract(0, "a", settings)], lambda _, reply: reply, "extract")
    verify, extract = server.bodies
    common = {"model": MODEL, "temperature": 0.5, "seed": 11}
    assert verify.items() >= {**common, "max_tokens": 8}.items()
    assert verify["structured_outputs"] == {"choice": ["YES", "NO"]}
    assert extract.items() >= {**common, "max_tokens": 99}.items()
    assert extract["response_format"]["json_schema"]["schema"]["type"] == "array"


def test_a_run_has_its_price(tmp_path: Path) -> None:
    settings = replace(SETTINGS, price=Price(prompt=2.0, completion=10.0))
    script = always(Say("[]", prompt_tokens=1000, completion_tokens=50))
    with ScriptedLLM(script) as server, opened(server, tmp_path, settings) as client:
        extract(client, ["a", "b"])
    assert client.counts()["cost"] == pytest.approx(2 * (1000 * 2.0 + 50 * 10.0) / 1e6)


# ---------------------------------------------------------------- order and concurrency


def test_results_keep_the_order_of_the_questions_whatever_comes_first(tmp_path: Path) -> None:
    last = threading.Event()

    def script(body: dict[str, Any], nth: int) -> Answer:
        text = asked(body)[1]["text"]
        if text == "finding 0":
            assert last.wait(20)
        if text == "finding 8":
            last.set()
        return Say(json.dumps([text]))

    texts = [f"finding {number}" for number in range(9)]
    with ScriptedLLM(script) as server, opened(server, tmp_path) as client:
        assert extract(client, texts) == [[text] for text in texts]


@pytest.mark.parametrize("concurrency", [1, 5])
def test_concurrency_is_reached_and_never_passed(concurrency: int, tmp_path: Path) -> None:
    together = threading.Barrier(concurrency)

    def script(body: dict[str, Any], nth: int) -> Answer:
        together.wait(20)  # breaks if fewer than that are ever on their way
        time.sleep(0.01)
        return GOOD

    machine = replace(MACHINE, concurrency=concurrency)
    with ScriptedLLM(script) as server, opened(server, tmp_path, machine=machine) as client:
        extract(client, [f"text {number}" for number in range(3 * concurrency)])
    assert server.most_in_flight == concurrency


def test_no_questions_need_no_server(tmp_path: Path) -> None:
    with ScriptedLLM(always(GOOD)) as server:
        pass
    with opened(server, tmp_path) as client:
        assert extract(client, []) == []


# ---------------------------------------------------------------- faults


def test_a_server_that_hangs_or_drips_is_asked_again(tmp_path: Path) -> None:
    faults = {"hangs": Fault.HANG, "drips": Fault.DRIP}

    def script(body: dict[str, Any], nth: int) -> Answer:
        return faults[asked(body)[1]["text"]] if nth == 1 else GOOD

    machine = replace(MACHINE, timeout=1.0)
    with ScriptedLLM(script) as server, opened(server, tmp_path, machine=machine) as client:
        start = time.monotonic()
        assert extract(client, list(faults)) == [["lbbb"], ["lbbb"]]
        passed = time.monotonic() - start
    assert passed >= 1.0
    assert client.retries >= 2  # more where this machine is too busy for a second


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, of which nobody has to wait for any."""
    found: list[float] = []
    sleep = asyncio.sleep

    async def no_sleep(seconds: float, result: Any = None) -> Any:
        found.extend([seconds] if seconds else [])
        return await sleep(0, result)

    monkeypatch.setattr(asyncio, "sleep", no_sleep)
    return found


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
def test_pauses_grow_and_are_as_long_as_the_server_wants(
    faults: list[Answer],
    expected: list[float],
    pauses: list[float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 4.0)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE", 20.0)
    machine = replace(MACHINE, retries=4)
    script = by_text({"a": [*faults, GOOD]})
    with ScriptedLLM(script) as server, opened(server, tmp_path, machine=machine) as client:
        assert extract(client, ["a"]) == [["lbbb"]]
    assert pauses == expected


SECRET = "mrs smith has a rare finding"


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        (Status(500), "status 500"),
        (Status(429), "status 429"),
        (Fault.DISCONNECT, "APIConnectionError"),
        (Fault.NOT_JSON, "UnreadableError"),
        (Fault.PAGE, "UnreadableError"),
    ],
)
def test_giving_up_says_what_to_do_and_nothing_of_a_report(
    answer: Answer, last: str, tmp_path: Path
) -> None:
    script = by_text({"first": [Say('["a reply"]')], SECRET: [answer] * 3})
    machine = replace(MACHINE, concurrency=1, retries=2)
    with ScriptedLLM(script) as server, pytest.raises(LLMError) as raised:  # noqa: SIM117
        with opened(server, tmp_path, machine=machine) as client:
            extract(client, ["first", SECRET, "never asked"])
    message = str(raised.value)
    assert f"{server.base_url} gave no answer to a question of kind extract in 3 tries" in message
    assert f"(last: {last}); 1 answers are kept" in message
    assert texts_asked(server) == ["first", SECRET, SECRET, SECRET]
    for said in (message, *traceback.format_exception(raised.value)):
        assert "smith" not in said
        assert "a reply" not in said
    assert len((tmp_path / "answers.jsonl").read_bytes().splitlines()) == 1


def test_a_server_that_is_gone_is_an_error_after_all_tries(tmp_path: Path) -> None:
    with ScriptedLLM(always(GOOD)) as server:
        pass
    with pytest.raises(LLMError, match="in 4 tries"), opened(server, tmp_path) as client:
        extract(client, ["a"])
    assert client.retries == 3


def test_a_server_known_to_have_stopped_is_not_asked_again(tmp_path: Path) -> None:
    def alive() -> None:
        raise LLMError("the server stopped")

    script = by_text({"good": [GOOD], "bad": [Status(500)]})
    with ScriptedLLM(script) as server, pytest.raises(LLMError, match="server stopped"):  # noqa: SIM117
        with opened(server, tmp_path, alive=alive) as client:
            assert extract(client, ["good"]) == [["lbbb"]]
            extract(client, ["bad"])
    assert texts_asked(server) == ["good", "bad"]


@pytest.mark.parametrize("code", [401, 403, 404, 307])
def test_a_server_that_refuses_to_serve_ends_the_run_at_once(code: int, tmp_path: Path) -> None:
    with ScriptedLLM(always(GOOD)) as other:
        answer = Status(code, {"Location": f"{other.base_url}/chat/completions"})
        script = by_text({"first": [GOOD], SECRET: [answer]})
        machine = replace(MACHINE, concurrency=1)
        with ScriptedLLM(script) as server, pytest.raises(LLMError) as raised:  # noqa: SIM117
            with opened(server, tmp_path, machine=machine) as client:
                extract(client, ["first", SECRET, "never asked"])
    assert texts_asked(server) == ["first", SECRET]
    assert other.bodies == []
    message = str(raised.value)
    assert f"answered {code}" in message
    assert "KMERL_LLM_API_KEY" in message
    assert MODEL in message
    assert "smith" not in "".join(traceback.format_exception(raised.value))


def test_what_a_server_rejected_is_asked_again_in_the_next_run(tmp_path: Path) -> None:
    script = by_text({"good": [GOOD], "too long": [Status(400), GOOD]})
    with ScriptedLLM(script) as server:
        with opened(server, tmp_path) as client:
            assert extract(client, ["good", "too long"]) == [["lbbb"], None]
        with opened(server, tmp_path) as client:
            assert extract(client, ["good", "too long"]) == [["lbbb"], ["lbbb"]]
    assert Counter(texts_asked(server)) == {"good": 1, "too long": 2}


# ---------------------------------------------------------------- answers kept

SERIES: dict[str, list[Answer]] = {
    "a": [GOOD],
    "b": [Say("prose"), GOOD],
    "c": [Say("prose"), Say("more prose")],
    "d": [Say('["förmaksflimmer", "a\u2028b"]')],
}


def test_a_second_run_asks_nothing_and_counts_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with ScriptedLLM(by_text(SERIES)) as server, opened(server, tmp_path) as client:
        found = extract(client, list(SERIES))
        client.tell("extract")
    with opened(server, tmp_path) as second:
        assert extract(second, list(SERIES)) == found
        second.tell("extract")
    assert second.counts() == client.counts()
    assert second.unresolved == client.unresolved
    assert (client.asked, second.asked) == (6, 0)
    assert capfd.readouterr().err.splitlines() == [
        "extract: 4 questions, 6 replies asked for, 0 tried again, 1 unresolved",
        "extract: 4 questions, 0 replies asked for, 0 tried again, 1 unresolved",
    ]


def test_an_answer_is_on_disk_before_the_next_question(tmp_path: Path) -> None:
    lines = []

    def script(body: dict[str, Any], nth: int) -> Answer:
        lines.append(len((tmp_path / "journal.jsonl").read_bytes().splitlines()))
        return GOOD

    machine = replace(MACHINE, concurrency=1)
    with ScriptedLLM(script) as server, opened(server, tmp_path, machine=machine) as client:
        extract(client, ["a", "b", "c"])
    assert lines == [0, 1, 2]


def test_a_question_that_was_in_the_last_torn_line_is_asked_again_alone(tmp_path: Path) -> None:
    machine = replace(MACHINE, concurrency=1)
    journal = tmp_path / "journal.jsonl"
    texts = ["a", "b", "c"]
    with ScriptedLLM(always(GOOD)) as server:
        answers = Answers(tmp_path)
        extract(Client(SETTINGS, machine, answers, server.base_url), texts)
        answers.file.close()  # as a kill does, without a fold
        whole = journal.read_bytes()
        journal.write_bytes(whole[:-10])
        with opened(server, tmp_path, machine=machine) as client:
            assert journal.read_bytes() == b"".join(whole.splitlines(keepends=True)[:2])
            assert extract(client, texts) == [["lbbb"]] * 3
    assert texts_asked(server) == ["a", "b", "c", "c"]
    assert not journal.exists()
    assert len((tmp_path / "answers.jsonl").read_bytes().splitlines()) == 3


@pytest.mark.parametrize("line", [b"{", b"[]", b"17", b'"key"', b"", b"\xff", b'{"key": "a"}'])
@pytest.mark.parametrize("name", ["journal.jsonl", "answers.jsonl"])
def test_a_corrupt_line_is_named(name: str, line: bytes, tmp_path: Path) -> None:
    answers = Answers(tmp_path)
    for key in ("a", "b"):
        answers.put(key, Reply("text", "stop", 1, 1))
    answers.close()
    first, last = (tmp_path / "answers.jsonl").read_bytes().splitlines()
    (tmp_path / name).write_bytes(b"\n".join([first, line, last, b""]))
    with pytest.raises(ValueError, match=rf"{name}, line 2 is no answer; remove that line"):
        Answers(tmp_path)


def test_answers_are_the_same_bytes_whatever_came_first(tmp_path: Path) -> None:
    texts = list(SERIES)
    orders = {"forth": [0, 1, 2, 3], "back": [3, 2, 1, 0], "twice": [1, 3]}
    for name, order in orders.items():
        machine = replace(MACHINE, concurrency=1 + len(name) % 2)
        with ScriptedLLM(by_text(SERIES)) as server:
            with opened(server, tmp_path / name, machine=machine) as client:
                extract(client, texts, order)
            with opened(server, tmp_path / name, machine=machine) as client:
                extract(client, texts)
    kept = {(tmp_path / name / "answers.jsonl").read_bytes() for name in orders}
    assert len(kept) == 1
    assert len(kept.pop().decode().split("\n")) == 6 + 1
    assert [path.name for path in (tmp_path / "forth").iterdir()] == ["answers.jsonl"]


def test_no_text_of_a_question_is_kept(tmp_path: Path) -> None:
    with ScriptedLLM(always(GOOD)) as server, opened(server, tmp_path) as client:
        extract(client, [SECRET])
    assert "smith" not in (tmp_path / "answers.jsonl").read_text(encoding="utf-8")


OTHER: dict[str, Any] = {
    "model": "another/model",
    "revision": "0123abc",
    "seed": 1,
    "temperature": 0.1,
    "max_tokens": 100,
    "structured": False,
    "system": "You are a cardiologist.",
    "examples": (Example("sinus rhythm", ("sinus rhythm",)),),
}


@pytest.mark.parametrize("name", [*OTHER, "prompts", "text"])
def test_what_decides_an_answer_is_part_of_its_key(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedLLM(always(GOOD)) as server:
        with opened(server, tmp_path) as client:
            extract(client, ["a"])
        if name == "prompts":
            newer = {**prompts.prompts(), "version": 2}
            monkeypatch.setattr(prompts, "prompts", lambda: newer)
        changed = replace(SETTINGS, **{name: OTHER[name]}) if name in OTHER else SETTINGS
        with opened(server, tmp_path, changed) as client:
            extract(client, ["b" if name == "text" else "a"])
        assert len(server.bodies) == 2
        with opened(server, tmp_path, changed) as client:
            extract(client, ["b" if name == "text" else "a"])
        assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("price", Price(1.0, 1.0)), ("allow_remote", True), ("base_url", "http://localhost/v1")],
)
def test_what_does_not_decide_an_answer_is_not(name: str, value: Any, tmp_path: Path) -> None:
    with ScriptedLLM(always(GOOD)) as server:
        for settings in (SETTINGS, replace(SETTINGS, **{name: value})):
            with opened(server, tmp_path, settings) as client:
                extract(client, ["a"])
    assert len(server.bodies) == 1


# ---------------------------------------------------------------- keys and proxies


def test_the_api_key_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedLLM(always(GOOD)) as server:
        for text, key in (("a", "from-environment"), ("b", None)):
            if key:
                monkeypatch.setenv("KMERL_LLM_API_KEY", key)
            else:
                monkeypatch.delenv("KMERL_LLM_API_KEY")
                monkeypatch.setenv("OPENAI_API_KEY", "of-another-service")
            with opened(server, tmp_path) as client:
                extract(client, [text])
        monkeypatch.setenv("KMERL_LLM_API_KEY", "from-environment")
        with opened(server, tmp_path, api_key="of-our-own-server") as client:
            extract(client, ["c"])
    expected = ["from-environment", "none", "of-our-own-server"]
    assert server.keys == [f"Bearer {key}" for key in expected]


def test_proxies_of_the_environment_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedLLM(always(GOOD)) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.base_url.removesuffix("/v1"))
            monkeypatch.setenv(name.upper(), proxy.base_url.removesuffix("/v1"))
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with ScriptedLLM(always(GOOD)) as server, opened(server, tmp_path) as client:
            assert extract(client, ["a"]) == [["lbbb"]]
    assert (len(proxy.bodies), len(server.bodies)) == (0, 1)
