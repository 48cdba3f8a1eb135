"""A scripted OpenAI-compatible server on loopback: it says what a test tells it to say."""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kmerl.knowledge.vllm import prompts

MODEL = "scripted/model"
KINDS = ("extract", "verify", "merge", "aggregate")


@dataclass(frozen=True)
class Say:
    """A completion as the server sends it."""

    text: str | None
    finish: str = "stop"
    prompt_tokens: int = 7
    completion_tokens: int = 3
    refusal: str | None = None


@dataclass(frozen=True)
class Status:
    """An HTTP error, whose message holds the question as careless servers do."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)


class Fault(Enum):
    """What else can come instead of a completion."""

    HANG = "no answer until the server closes"
    DRIP = "a byte now and then, without end"
    DISCONNECT = "the connection is lost within the body"
    NO_CHOICES = "a completion without choices"
    NOT_JSON = "JSON by its header alone"
    PAGE = "a web page"


Answer = Say | Status | Fault
Script = Callable[[dict[str, Any], int], Answer]


class ScriptedLLM(ThreadingHTTPServer):
    """The server; `script(body, nth)` decides its `nth` answer to a question, counted from 1.

    A repair of a question counts as that question. It answers while the context is open.

    Args:
        api_key: what must stand in the header of all but /health; None asks for nothing.
    """

    request_queue_size = 128
    daemon_threads = True

    def __init__(
        self,
        script: Script,
        models: Iterable[str] = (MODEL,),
        api_key: str | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.script, self.models, self.api_key = script, tuple(models), api_key
        self.base_url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.bodies: list[dict[str, Any]] = []  # of all completions asked for, in order
        self.keys: list[str] = []  # Authorization headers beside them
        self.most_in_flight = 0
        self.errors: list[Exception] = []  # of the script; raised when the context ends
        self.closed = threading.Event()
        self._in_flight = 0
        self._lock = threading.Lock()
        self._times: Counter[str] = Counter()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> "ScriptedLLM":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
        if self.errors:
            raise self.errors[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""

    def answer(self, body: dict[str, Any], key: str) -> Answer:
        """Record a question and run the script."""
        with self._lock:
            name = json.dumps(_without_repair(body["messages"]))
            self._times[name] += 1
            nth = self._times[name]
            self.bodies.append(body)
            self.keys.append(key)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            return self.script(body, nth)
        except Exception as error:
            self.errors.append(error)
            return Status(400)
        finally:
            with self._lock:
                self._in_flight -= 1


class PerfectLLM:
    """A script that knows the truth: which entities each statement states.

    A report of several statements states what they do. Names of one entity of the lexicon are
    merged into the first of them, and stand under its superclasses.
    """

    def __init__(self, truth: Mapping[str, Iterable[str]]) -> None:
        self.truth = {text: list(entities) for text, entities in truth.items()}
        self.asked: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any], nth: int) -> Answer:
        kind, given = asked(body)
        self.asked[kind] += 1
        if kind == "extract":
            return Say(json.dumps(self._states(given["text"])))
        if kind == "verify":
            return Say("YES" if given["entity"] in self._states(given["text"]) else "NO")
        names: list[str] = json.loads(given["names"])
        return Say(json.dumps(_merged(names) if kind == "merge" else _superclasses(names)))

    def _states(self, text: str) -> list[str]:
        whole = text in self.truth
        statements = [text] if whole else text.removesuffix(".").split(". ")
        return sorted({entity for one in statements for entity in self.truth[one]})


def asked(body: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The kind of a question and what it is asked of, read by the wording of prompts.yaml."""
    text = _without_repair(body["messages"])[-1]["content"]
    for kind in KINDS:
        if found := _wording(kind).fullmatch(text):
            return kind, found.groupdict()
    raise ValueError("a question of no known wording")


def is_repair(body: dict[str, Any]) -> bool:
    """Whether a request asks once more because of a reply that cannot be used."""
    return len(_without_repair(body["messages"])) < len(body["messages"])


def _without_repair(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    opening = str(prompts.prompts()["repair"]).split("(")[0]
    return messages[:-2] if messages[-1]["content"].startswith(opening) else messages


@lru_cache
def _wording(kind: str) -> re.Pattern[str]:
    prompt = prompts.prompts()[kind]
    text = re.escape("\n".join(part for part in (prompt["ask"], prompt["given"]) if part))
    for name in ("text", "entity", "names"):
        text = text.replace(re.escape("{" + name + "}"), f"(?P<{name}>.*)")
    return re.compile(text, re.DOTALL)


def _merged(names: list[str]) -> dict[str, str]:
    entity = _lexicon().merge(names)
    first = {entity[name]: name for name in sorted(names, reverse=True)}
    return {name: first[entity[name]] for name in names}


def _superclasses(names: list[str]) -> dict[str, list[str]]:
    entity = _lexicon().merge(names)
    above = _lexicon().aggregate(sorted(entity.values()))
    return {
        superclass: [name for name in names if entity[name] in children]
        for superclass, children in above.items()
        if superclass not in names
    }


def _lexicon() -> Any:
    from kmerl.knowledge.lexicon.backend import lexicon  # not where another process serves

    return lexicon()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    wbufsize = -1
    disable_nagle_algorithm = True
    server: ScriptedLLM

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        rows = [{"id": name, "object": "model"} for name in self.server.models]
        pages = {"/health": b"", "/v1/models": _bytes({"object": "list", "data": rows})}
        page = pages.get(self.path)
        if self.path != "/health" and (code := self._refusal(page is not None)):
            self._send(code, b"{}")
        else:
            self._send(200, page or b"")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if code := self._refusal(self.path == "/v1/chat/completions"):
            self._send(code, b"{}")
        else:
            self._answer(self.server.answer(body, self.headers.get("Authorization", "")), body)

    def _refusal(self, known: bool) -> int:
        """404 where there is nothing, 401 without the key, else 0."""
        wanted = self.server.api_key
        welcome = wanted is None or self.headers.get("Authorization") == f"Bearer {wanted}"
        return 404 if not known else 0 if welcome else 401

    def _answer(self, answer: Answer, body: dict[str, Any]) -> None:
        if isinstance(answer, Say):
            self._send(200, _bytes(_completion(answer)))
        elif isinstance(answer, Status):
            said = _bytes({"error": {"message": json.dumps(body), "type": "scripted"}})
            self._send(answer.code, said, **answer.headers)
        elif answer is Fault.NO_CHOICES:
            self._send(200, _bytes(_completion(Say("")) | {"choices": []}))
        elif answer is Fault.NOT_JSON:
            self._send(200, b'{"choices": [')
        elif answer is Fault.PAGE:
            self._send(200, b"<html>Welcome</html>", **{"Content-Type": "text/html"})
        else:
            self._fail(answer)

    def _fail(self, fault: Fault) -> None:
        if fault is not Fault.HANG:
            self._head(200, 1000, {})
            self.wfile.write(b'{"choices"')
            self.wfile.flush()
        if fault is Fault.DRIP:
            while not self.server.closed.wait(0.05):
                self.wfile.write(b" ")
                self.wfile.flush()
        elif fault is Fault.HANG:
            self.server.closed.wait()
        self.close_connection = True

    def _send(self, code: int, data: bytes, **headers: str) -> None:
        self._head(code, len(data), headers)
        self.wfile.write(data)

    def _head(self, code: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def _completion(say: Say) -> dict[str, Any]:
    message = {"role": "assistant", "content": say.text, "refusal": say.refusal}
    return {
        "id": "scripted",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": say.finish}],
        "usage": {
            "prompt_tokens": say.prompt_tokens,
            "completion_tokens": say.completion_tokens,
            "total_tokens": say.prompt_tokens + say.completion_tokens,
        },
    }


def _bytes(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()
