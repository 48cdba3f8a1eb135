"""The vLLM server that answers: one that runs already, or one that a stage starts and stops."""

import http.client
import ipaddress
import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from kmerl.knowledge.vllm.client import API_KEY, LLMError, Running
from kmerl.knowledge.vllm.settings import LLM
from kmerl.progress import Meter
from kmerl.runtime import Server

LOG = Path(".checkpoints/vllm.log")
LOOPBACK = "127.0.0.1"
STOP_SECONDS = 60.0
UNREACHABLE = (OSError, http.client.HTTPException)  # no server, or none of HTTP
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy


@contextmanager
def serving(settings: LLM, machine: Server) -> Iterator[Running]:
    """The server at `llm.base_url`, or one of our own, which ends with the context.

    Raises:
        LLMError: it is out of reach, does not serve the model, is not on this machine, or does not
            start; the message says what to do.
    """
    if settings.base_url is None:
        with _started(settings, machine) as running:
            yield running
    else:
        check_local(settings.base_url, settings.allow_remote)
        running = Running(settings.base_url.rstrip("/"), os.environ.get(API_KEY))
        check_model(running, settings.model)
        yield running


def check_local(base_url: str, allow_remote: bool) -> None:
    """Raises an LLMError where `base_url` is another machine and that is not allowed."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LLMError(f"llm.base_url is {base_url!r}; it must look like http://127.0.0.1:8000/v1")
    if not allow_remote and not _loopback(parts.hostname):
        raise LLMError(
            f"llm.base_url is on {parts.hostname}, which is not this machine: the text of every "
            "report would leave it. Set llm.allow_remote: true if it may"
        )


def check_model(running: Running, model: str) -> None:
    """Raises an LLMError where the server does not serve `model`."""
    try:
        served = [
            row["id"] for row in json.loads(_get(f"{running.base_url}/models", running))["data"]
        ]
    except urllib.error.HTTPError as error:
        raise LLMError(
            f"{running.base_url}/models answered {error.code}; 401 and 403: set {API_KEY}, "
            "404: llm.base_url must look like http://127.0.0.1:8000/v1"
        ) from None
    except (*UNREACHABLE, ValueError, KeyError, TypeError) as error:
        raise LLMError(
            f"no OpenAI-compatible server answers at llm.base_url {running.base_url} "
            f"({type(error).__name__}); start it, or set base_url to null to have one started"
        ) from None
    if model not in served:
        raise LLMError(f"llm.model is {model!r}, but {running.base_url} serves {', '.join(served)}")


def command(settings: LLM, machine: Server, port: int) -> list[str]:
    """The command line of our own server."""
    start = shlex.split(machine.command)
    model = [settings.model] if start[-1:] == ["serve"] else ["--model", settings.model]
    revision = [] if Path(settings.model).exists() else ["--revision", settings.revision]
    return [
        *start, *model, *revision,
        "--host", LOOPBACK, "--port", str(port),
        "--max-model-len", str(settings.max_model_len),
        "--tensor-parallel-size", str(machine.tensor_parallel),
        "--data-parallel-size", str(machine.data_parallel),
        "--seed", str(settings.seed),
        *machine.arguments,
    ]  # fmt: skip


@contextmanager
def _started(settings: LLM, machine: Server) -> Iterator[Running]:
    port = _free_port()
    line = command(settings, machine, port)
    if shutil.which(line[0]) is None:
        raise LLMError(
            f"runtime.llm.command starts with {line[0]!r}, which is not installed here; "
            "`pip install 'kmerl[llm]'` brings vLLM, or set llm.base_url to a running server"
        )
    LOG.parent.mkdir(exist_ok=True)
    api_key = secrets.token_hex(16)  # other users of this machine are not served
    keeper = subprocess.Popen(
        [sys.executable, "-m", "kmerl.knowledge.vllm.keeper", str(LOG), *line],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "VLLM_API_KEY": api_key, "DO_NOT_TRACK": "1"},
    )

    def alive() -> None:
        if keeper.poll() is not None:
            raise LLMError(f"the vLLM server stopped by itself; {LOG} says why; then run again")

    running = Running(f"http://{LOOPBACK}:{port}/v1", api_key, alive)
    try:
        _wait(f"http://{LOOPBACK}:{port}/health", running, machine.start_timeout)
        yield running
    finally:
        if keeper.stdin is not None:
            keeper.stdin.close()  # the keeper then stops the server and all it started
        keeper.wait(STOP_SECONDS)


def _wait(health: str, running: Running, limit: float) -> None:
    meter = Meter("starting vLLM", None, "checks")
    end = time.monotonic() + limit
    while time.monotonic() < end:
        running.alive()
        try:
            _get(health, running)
        except UNREACHABLE:
            time.sleep(1.0)
            meter.advance()
        else:
            meter.close()
            return
    raise LLMError(f"vLLM was not ready within runtime.llm.start_timeout ({limit:g} s); see {LOG}")


def _get(url: str, running: Running) -> bytes:
    headers = {"Authorization": f"Bearer {running.api_key}"} if running.api_key else {}
    try:
        with DIRECT.open(urllib.request.Request(url, headers=headers), timeout=10.0) as response:
            body: bytes = response.read()
    except urllib.error.HTTPError as error:
        error.close()
        raise
    return body


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return int(found.getsockname()[1])


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
