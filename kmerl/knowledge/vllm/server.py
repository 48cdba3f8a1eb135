"""The vLLM servers that answer: those that run already, or one that a stage starts and stops."""

import contextlib
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from kmerl.knowledge.vllm.client import API_KEY, KEY_IS_WRONG, LLMError
from kmerl.knowledge.vllm.connection import FAILED, Running, get, refused
from kmerl.knowledge.vllm.settings import LLM
from kmerl.progress import Meter
from kmerl.runtime import Server

LOG = Path(".checkpoints/vllm.log")
LOOPBACK = "127.0.0.1"
STOP_SECONDS = 60.0
LIKE = "http://127.0.0.1:8000/v1"
PATIENCE = 10.0  # seconds that an answer to whether it is there may take, all of it
OK = 200


class OutOfReachError(LLMError):
    """No OpenAI-compatible server answers at an address."""


@contextmanager
def serving(settings: LLM, machine: Server) -> Iterator[Sequence[Running]]:
    """The servers at `llm.base_url` that answer, or one of our own, which ends with the context.

    Raises:
        LLMError: all are out of reach, one does not serve the model or is not on this machine, or
            ours does not start; the message says what to do.
    """
    if settings.base_url is None:
        with _started(settings, machine) as running:
            yield [running]
    else:
        for address in settings.base_url:
            check_address(address, settings.allow_remote)
        yield _reached(settings.base_url, settings.model)


def _reached(addresses: Sequence[str], model: str) -> Sequence[Running]:
    """Those that serve; one that is out of reach is told and left out while there are others."""
    found, lost = [], []
    for address in addresses:
        running = Running(address, os.environ.get(API_KEY))
        try:
            check_model(running, model)
            found.append(running)
        except OutOfReachError as why:
            lost.append((address, why))
    if not found:
        raise lost[0][1]
    for address, _ in lost:
        print(f"{address} does not answer: left out of this step", file=sys.stderr)
    return found


def check_address(base_url: str, allow_remote: bool) -> None:
    """
    Raises:
        LLMError: `base_url` is none, or holds a secret, which no message shows; or it is another
            machine and that is not allowed.
    """
    if any(char in base_url for char in "@?#"):
        raise LLMError(
            "llm.base_url holds a user name, a password or a query that git keeps: leave out "
            f"what has @, ? or #, and put the server's key into {API_KEY}"
        )
    parts = _parts(base_url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise LLMError(f"llm.base_url is {base_url!r}; it must look like {LIKE}")
    if not allow_remote and not _loopback(parts.hostname):
        raise LLMError(
            f"llm.base_url is on {parts.hostname}, which is not this machine: the text of every "
            "report would leave it. Set llm.allow_remote: true if it may"
        )


def check_model(running: Running, model: str) -> None:
    """
    Raises:
        OutOfReachError: no server of the kind answers.
        LLMError: it does not serve `model`.
    """
    try:
        page = get(f"{running.base_url}/models", running.api_key, PATIENCE)
        status, rows = page.status, json.loads(page.body)["data"] if page.status == OK else []
        served = [str(row["id"]) for row in rows]
    except (*FAILED, ValueError, KeyError, TypeError, RecursionError) as error:
        raise OutOfReachError(
            f"no OpenAI-compatible server answers at llm.base_url {running.base_url} "
            f"({type(error).__name__}); start it, or set base_url to null to have one started"
        ) from None
    if status != OK:
        advice = KEY_IS_WRONG, f"404: llm.base_url must look like {LIKE}"
        raise LLMError(refused(f"{running.base_url}/models", status, *advice))
    if model not in served:
        known = ", ".join(name[:100] for name in served[:20])
        raise LLMError(f"llm.model is {model!r}, but {running.base_url} serves {known}")


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
        with contextlib.suppress(*FAILED):
            left = max(0.1, min(PATIENCE, end - time.monotonic()))
            if get(health, running.api_key, left).status == OK:
                meter.close()
                return
        time.sleep(1.0)
        meter.advance()
    raise LLMError(f"vLLM was not ready within runtime.llm.start_timeout ({limit:g} s); see {LOG}")


def _parts(address: str) -> SplitResult | None:
    """None of what is no address: half a pair of brackets, a port that is no number."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return int(found.getsockname()[1])


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
