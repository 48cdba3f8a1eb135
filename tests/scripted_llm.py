"""A scripted OpenAI-compatible server on loopback: it says what a test tells it to say."""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kmerl.knowledge.vllm import prompts

MODEL = "scripted/model"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


@dataclass(frozen=True)
class Status:
    """An HTTP answer, as it is; of an error without a body the message holds the question."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    lost: bool = False  # the connection is, after the body, of which more was announced
    drips: bool = False  # a byte now and then instead, until the server closes


@dataclass(frozen=True)
class Say:
    """A completion as the server sends it."""

    text: str | None
    finish: str = "stop"
    refusal: str | None = None

    def status(self) -> Status:
        message = {"role": "assistant", "content": self.text, "refusal": self.refusal}
        choice = {"index": 0, "message": message, "finish_reason": self.finish}
        return Status(200, body=completion(choice))


def completion(*choices: dict[str, Any]) -> bytes:
    head = {"id": "scripted", "object": "chat.completion", "created": 0, "model": MODEL}
    return json.dumps({**head, "choices": choices, "usage": USAGE}).encode()


class Fault:
    """What else can come instead of a completion."""

    NO_CHOICES = Status(200, body=completion())
    NOT_JSON = Status(200, body=b'{"choices": [')
    PAGE = Status(200, {"Content-Type": "text/html"}, b"<html>Welcome</html>")
    DISCONNECT = Status(200, body=b'{"choices"', lost=True)
    DRIP = Status(200, body=b'{"choices"', lost=True, drips=True)


Answer = Say | Status
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
        self.script, self.models, self.api_key = script, models, api_key
        self.base_url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.bodies: list[dict[str, Any]] = []  # of all completions asked for, in order
        self.keys: list[str | None] = []  # Authorization headers beside them
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

    def answer(self, body: dict[str, Any], key: str | None) -> Answer:
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
    merged into the first of them, and stand under its superclasses. `instead` holds other answers,
    by kind and the text or entity (or None) that is asked for.
    """

    def __init__(self, truth: Mapping[str, Iterable[str]]) -> None:
        self.truth = {text: list(entities) for text, entities in truth.items()}
        self.instead: dict[tuple[str, str | None], Answer] = {}
        self.asked: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any], nth: int) -> Answer:
        kind, given = asked(body)
        other = self.instead.get((kind, given.get("entity") or given.get("text")))
        if other is not None:
            return other
        self.asked[kind] += 1
        if kind == "extract":
            return Say(json.dumps(self._states(given["text"])))
        if kind == "verify":
            return Say("YES" if given["entity"] in self._states(given["text"]) else "NO")
        from kmerl.knowledge.lexicon.backend import lexicon  # not where another process serves

        names: list[str] = json.loads(given["names"])
        if kind == "aggregate":
            return Say(json.dumps(lexicon().aggregate(names)))
        entity = lexicon().merge(names)
        first = {entity[name]: name for name in sorted(names, reverse=True)}
        return Say(json.dumps({name: first[entity[name]] for name in names}))

    def _states(self, text: str) -> list[str]:
        whole = text in self.truth
        statements = [text] if whole else text.removesuffix(".").split(". ")
        return sorted({entity for one in statements for entity in self.truth[one]})


def asked(body: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The kind of a question and what it is asked of, read by the wording of prompts.yaml."""
    text = _without_repair(body["messages"])[-1]["content"]
    for kind in ("extract", "verify", "merge", "aggregate"):
        if found := _wording(kind).fullmatch(text):
            return kind, found.groupdict()
    raise ValueError("a question of no known wording")


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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    wbufsize = -1
    disable_nagle_algorithm = True
    server: ScriptedLLM

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        rows = [{"id": name, "object": "model"} for name in self.server.models]
        page = Status(200, body=json.dumps({"object": "list", "data": rows}).encode())
        healthy = self.path == "/health"
        self._send(Status(200, body=b"") if healthy else self._refusal("/v1/models") or page)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self._refusal("/v1/chat/completions") or self.server.answer(
            body, self.headers.get("Authorization")
        )
        self._send(answer.status() if isinstance(answer, Say) else answer, body)

    def _refusal(self, path: str) -> Status | None:
        """404 but at `path`, and 401 without the key."""
        wanted = self.server.api_key
        welcome = wanted is None or self.headers.get("Authorization") == f"Bearer {wanted}"
        return Status(404) if self.path != path else None if welcome else Status(401)

    def _send(self, answer: Status, asked: Any = None) -> None:
        error = {"error": {"message": json.dumps(asked), "type": "scripted"}}
        data = json.dumps(error).encode() if answer.body is None else answer.body
        self.send_response(answer.code)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) + 1000 * answer.lost))
        self.end_headers()
        self.wfile.write(data)
        while answer.drips and not self.server.closed.wait(0.05):
            self.wfile.write(b" ")
            self.wfile.flush()
        self.close_connection |= answer.lost
