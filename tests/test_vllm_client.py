"""Questions to a scripted server: no answer is lost, none is asked for twice, all is counted."""

import asyncio
import json
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kmerl.knowledge.backend import Unresolved
from kmerl.knowledge.vllm import client as client_module
from kmerl.knowledge.vllm import prompts, replies
from kmerl.knowledge.vllm.answers import Answers
from kmerl.knowledge.vllm.client import Client, LLMError
from kmerl.knowledge.vllm.replies import Reply
from kmerl.knowledge.vllm.settings import Example, Price
from tests.mining import MACHINE, SETTINGS, hurry
from tests.scripted_llm import MODEL, Answer, Fault, Say, ScriptedLLM, Status, asked, is_repair

GOOD = Say('["lbbb"]')
quick_and_alone = pytest.fixture(autouse=True)(hurry)


@contextmanager
def opened(
    server: ScriptedLLM, folder: Path, settings: Any = SETTINGS, given: Any = None, **machine: Any
) -> Iterator[Client]:
    """A client of the server with the answers of a folder; `machine` beside `MACHINE`."""
    answers = Answers(folder)
    try:
        of = replace(MACHINE, **machine)
        yield Client(settings, of, answers, server.base_url, **(given or {}))
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


def always(answer: Answer = GOOD) -> Callable[[dict[str, Any], int], Answer]:
    return lambda body, nth: answer


def asked_for(
    script: Any, texts: Sequence[str], folder: Path, settings: Any = SETTINGS, **machine: Any
) -> tuple[list[list[str] | None], Client, ScriptedLLM]:
    """What a new client makes of a server's answers to `texts`."""
    with ScriptedLLM(script) as server, opened(server, folder, settings, **machine) as client:
        return extract(client, texts), client, server


def texts_asked(server: ScriptedLLM) -> list[str]:
    return [asked(body)[1]["text"] for body in server.bodies]


LBBB = ["lbbb"]
REJECTED = ("rejected by the server", "")
REPLIES: dict[str, tuple[Any, ...]] = {  # what is made of the answers (or why nothing), and they
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


def test_a_malformed_reply_is_asked_for_once_more_and_shown(tmp_path):
    script = by_text({"a": [Say('Here: ["lbbb"]'), Say("no json")]})
    _, _, server = asked_for(script, ["a"], tmp_path)
    first, again = server.bodies
    assert [is_repair(first), is_repair(again)] == [False, True]
    assert again["messages"][:-2] == first["messages"]
    assert again["messages"][-2] == {"role": "assistant", "content": 'Here: ["lbbb"]'}
    assert "(prose around json)" in again["messages"][-1]["content"]
    assert {**again, "messages": []} == {**first, "messages": []}


def test_what_can_be_read_of_unusable_replies_stands(tmp_path):
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


def test_the_questions_carry_what_params_yaml_says(tmp_path):
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


@pytest.mark.parametrize("concurrency", [1, 5])
def test_concurrency_is_reached_never_passed_and_results_keep_their_order(concurrency, tmp_path):
    together = threading.Barrier(concurrency)

    def script(body: dict[str, Any], nth: int) -> Answer:
        text = asked(body)[1]["text"]
        together.wait(20)  # breaks if fewer than that are ever on their way
        time.sleep(
            0.01 * (concurrency - int(text.split()[1]) % concurrency)
        )  # the last comes first
        return Say(json.dumps([text]))

    texts = [f"finding {number}" for number in range(3 * concurrency)]
    found, _, server = asked_for(script, texts, tmp_path, concurrency=concurrency)
    assert found == [[text] for text in texts]
    assert server.most_in_flight == concurrency


def test_a_server_that_hangs_or_drips_is_asked_again(tmp_path):
    faults = {"hangs": Fault.HANG, "drips": Fault.DRIP}

    def script(body: dict[str, Any], nth: int) -> Answer:
        return faults[asked(body)[1]["text"]] if nth == 1 else GOOD

    start = time.monotonic()
    found, client, _ = asked_for(script, list(faults), tmp_path, timeout=0.5)
    assert found == [["lbbb"], ["lbbb"]]
    assert time.monotonic() - start >= 0.5
    assert client.retries >= 2  # more where this machine is too busy for half a second


def wait(seconds: str) -> Status:
    return Status(429, {"Retry-After": seconds})


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ([Status(500)] * 4, [4.0, 8.0, 16.0, 20.0]),
        ([wait("7")], [7.0]),
        ([Status(503, {"Retry-After": "5.5"}), Status(500)], [5.5, 8.0]),
        ([wait("1")], [4.0]),
        ([wait("86400")], [60.0]),
        ([wait("Wed, 21 Oct 2065 07:28:00 GMT")], [4.0]),
    ],
)
def test_pauses_grow_and_are_as_long_as_the_server_wants(faults, expected, tmp_path, monkeypatch):
    pauses, sleep = [], asyncio.sleep

    async def no_sleep(seconds: float, result: Any = None) -> Any:
        pauses.extend([seconds] if seconds else [])
        return await sleep(0, result)

    monkeypatch.setattr(asyncio, "sleep", no_sleep)
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 4.0)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE", 20.0)
    found, _, _ = asked_for(by_text({"a": [*faults, GOOD]}), ["a"], tmp_path, retries=4)
    assert (found, pauses) == ([["lbbb"]], expected)


SECRET = "mrs smith has a rare finding"
TRIES = "gave no answer to a question of kind extract in 3 tries (last: {}); 1 answers are kept"
REFUSED = "answered {}; 401 and 403: set KMERL_LLM_API_KEY, 404: is 'scripted/model' what"


@pytest.mark.parametrize(
    ("answer", "tries", "message"),
    [
        *((Status(code), 3, TRIES.format(f"status {code}")) for code in (500, 429)),
        (Fault.DISCONNECT, 3, TRIES.format("APIConnectionError")),
        *((fault, 3, TRIES.format("UnreadableError")) for fault in (Fault.NOT_JSON, Fault.PAGE)),
        *((Status(code), 1, REFUSED.format(code)) for code in (401, 403, 404)),
        ("elsewhere", 1, REFUSED.format(307)),
    ],
)
def test_giving_up_says_what_to_do_and_nothing_of_a_report(answer, tries, message, tmp_path):
    with ScriptedLLM(always()) as other:
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


def test_a_server_that_is_gone_is_an_error_after_all_tries_of_any_question(tmp_path):
    with ScriptedLLM(always()) as server:
        pass
    with pytest.raises(LLMError, match="in 4 tries"), opened(server, tmp_path) as client:
        assert extract(client, []) == []
        extract(client, ["a"])
    assert client.retries == 3


def test_a_server_known_to_have_stopped_is_not_asked_again(tmp_path):
    def alive() -> None:
        raise LLMError("the server stopped")

    script = by_text({"good": [GOOD], "bad": [Status(500)]})
    with ScriptedLLM(script) as server, pytest.raises(LLMError, match="server stopped"):  # noqa: SIM117
        with opened(server, tmp_path, given={"alive": alive}) as client:
            assert extract(client, ["good"]) == [["lbbb"]]
            extract(client, ["bad"])
    assert texts_asked(server) == ["good", "bad"]


def test_what_a_server_rejected_is_asked_again_in_the_next_run(tmp_path):
    script = by_text({"good": [GOOD], "too long": [Status(400), GOOD]})
    with ScriptedLLM(script) as server:
        with opened(server, tmp_path) as client:
            assert extract(client, ["good", "too long"]) == [["lbbb"], None]
        with opened(server, tmp_path) as client:
            assert extract(client, ["good", "too long"]) == [["lbbb"], ["lbbb"]]
    assert Counter(texts_asked(server)) == {"good": 1, "too long": 2}


SERIES: dict[str, list[Answer]] = {
    "a": [GOOD],
    "b": [Say("prose"), GOOD],
    "c": [Say("prose"), Say("more prose")],
    "d": [Say('["förmaksflimmer", "a\u2028b"]')],
}


def test_counts_and_bytes_are_the_same_in_any_order_and_in_a_second_run(tmp_path, capfd):
    """Answers are sorted by key, so what came first does not show."""
    texts, made = list(SERIES), []
    for number, order in enumerate([[0, 1, 2, 3], [3, 2, 1, 0], [1, 3]]):
        folder = tmp_path / str(number)
        with ScriptedLLM(by_text(SERIES)) as server:
            with opened(server, folder, concurrency=1 + number % 2) as client:
                extract(client, texts, order)
            with opened(server, folder) as second:
                extract(second, texts)
            assert client.asked + second.asked == len(server.bodies) == 6
        with opened(server, folder) as third:
            found = extract(third, texts)
            third.tell("extract")
        assert third.asked == 0
        assert [path.name for path in folder.iterdir()] == ["answers.jsonl"]
        counts = (third.counts(), third.unresolved)
        assert counts == (second.counts(), second.unresolved)
        made.append((found, counts, (folder / "answers.jsonl").read_text(encoding="utf-8")))
    assert made[0] == made[1] == made[2]
    assert len(made[0][2].split("\n")) == 6 + 1
    told = "extract: 4 questions, 0 replies asked for, 0 tried again, 1 unresolved"
    assert capfd.readouterr().err.splitlines() == [told] * 3


def test_an_answer_is_on_disk_before_the_next_question_which_is_not(tmp_path):
    lines = []

    def script(body: dict[str, Any], nth: int) -> Answer:
        lines.append(len((tmp_path / "journal.jsonl").read_bytes().splitlines()))
        return GOOD

    asked_for(script, ["a", SECRET, "c"], tmp_path, concurrency=1)
    assert lines == [0, 1, 2]
    assert "smith" not in (tmp_path / "answers.jsonl").read_text(encoding="utf-8")


def test_a_question_that_was_in_the_last_torn_line_is_asked_again_alone(tmp_path):
    journal = tmp_path / "journal.jsonl"
    texts = ["a", "b", "c"]
    with ScriptedLLM(always()) as server:
        answers = Answers(tmp_path)
        extract(Client(SETTINGS, replace(MACHINE, concurrency=1), answers, server.base_url), texts)
        answers.file.close()  # as a kill does, without a fold
        whole = journal.read_bytes()
        journal.write_bytes(whole[:-10])
        with opened(server, tmp_path) as client:
            assert journal.read_bytes() == b"".join(whole.splitlines(keepends=True)[:2])
            assert extract(client, texts) == [["lbbb"]] * 3
    assert texts_asked(server) == ["a", "b", "c", "c"]
    assert not journal.exists()
    assert len((tmp_path / "answers.jsonl").read_bytes().splitlines()) == 3


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


def test_what_decides_an_answer_is_part_of_its_key_and_nothing_else(tmp_path, monkeypatch):
    beside = {"price": Price(1.0, 1.0), "allow_remote": True, "base_url": "http://localhost/v1"}

    def questions(settings: Any = SETTINGS, text: str = "a") -> int:
        """How often the server was asked until this has been asked twice."""
        for _ in range(2):
            with opened(server, tmp_path, settings) as client:
                extract(client, [text])
        return len(server.bodies)

    with ScriptedLLM(always()) as server:
        assert questions() == 1
        for name, value in beside.items():
            assert questions(replace(SETTINGS, **{name: value})) == 1, name
        for number, (name, value) in enumerate(OTHER.items(), 2):
            assert questions(replace(SETTINGS, **{name: value})) == number, name
        assert questions(text="b") == len(OTHER) + 2
        newer = {**prompts.prompts(), "version": 2}
        monkeypatch.setattr(prompts, "prompts", lambda: newer)
        assert questions() == len(OTHER) + 3


def test_the_api_key_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "of-another-service")
    with ScriptedLLM(always()) as server:
        for text, given in (("a", {}), ("b", {"api_key": "of-our-own-server"})):
            monkeypatch.setenv("KMERL_LLM_API_KEY", "from-environment")
            with opened(server, tmp_path, given=given) as client:
                extract(client, [text])
        monkeypatch.delenv("KMERL_LLM_API_KEY")
        with opened(server, tmp_path) as client:
            extract(client, ["c"])
    expected = ["from-environment", "of-our-own-server", "none"]
    assert server.keys == [f"Bearer {key}" for key in expected]


def test_proxies_of_the_environment_are_not_used(tmp_path, monkeypatch):
    with ScriptedLLM(always()) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.base_url.removesuffix("/v1"))
            monkeypatch.setenv(name.upper(), proxy.base_url.removesuffix("/v1"))
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with ScriptedLLM(always()) as server, opened(server, tmp_path) as client:
            assert extract(client, ["a"]) == [["lbbb"]]
    assert (len(proxy.bodies), len(server.bodies)) == (0, 1)
