"""Which server is asked, and that one which a stage started ends with it, however it ends."""

import contextlib
import gzip
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from kmerl import params
from kmerl.files import read_yaml
from kmerl.knowledge.vllm import client as client_module
from kmerl.knowledge.vllm import prompts
from kmerl.knowledge.vllm import server as server_module
from kmerl.knowledge.vllm.answers import Answers
from kmerl.knowledge.vllm.client import Client, LLMError
from kmerl.knowledge.vllm.connection import Running
from kmerl.knowledge.vllm.server import LOG, check_address, check_model, command, serving
from kmerl.knowledge.vllm.settings import LLM
from tests.mining import MACHINE, PARAMS, ROOT, SETTINGS
from tests.scripted_llm import MODEL, Say, ScriptedLLM

ADDRESSES = read_yaml(Path(__file__).parent / "cases" / "addresses.yaml")
PATIENCE = 20.0  # seconds a process has to appear or to go on a busy machine


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A directory of its own for the log, no key, and a look every 50 ms at a starting server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv(client_module.API_KEY, raising=False)
    waiting = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: time.sleep(0.05))
    monkeypatch.setattr(server_module, "time", waiting)


@pytest.mark.parametrize("host", ADDRESSES["here"])
def test_this_machine_may_be_asked(host):
    check_address(f"http://{host}:8000/v1", allow_remote=False)
    check_address(f"https://{host}/v1", allow_remote=False)


def test_an_address_may_be_variables_of_the_environment(monkeypatch):
    """As a job's script knows the nodes that it was given (docs/slurm/mining.sbatch)."""
    monkeypatch.setenv("SERVERS", "http://n1:8000/v1 http://n2:8000/v1/")
    llm = params.read(PARAMS)["llm"]
    found = params.build(LLM, {**llm, "base_url": "$SERVERS"}, "llm")
    assert found.base_url == ("http://n1:8000/v1", "http://n2:8000/v1")


@pytest.mark.parametrize("host", ADDRESSES["elsewhere"])
def test_another_machine_is_asked_only_where_that_is_allowed(host):
    with pytest.raises(LLMError) as raised:
        check_address(f"http://{host}/v1", allow_remote=False)
    why = "which is not this machine: the text of every report would leave it. Set llm.allow_remote"
    assert f"llm.base_url is on {urlsplit(f'http://{host}').hostname}, {why}" in str(raised.value)
    check_address(f"http://{host}/v1", allow_remote=True)


@pytest.mark.parametrize("url", ADDRESSES["no_address"])
def test_what_is_no_address_is_an_error_that_shows_one(url):
    for allow_remote in (True, False):
        with pytest.raises(LLMError, match=r"it must look like http://127\.0\.0\.1:8000/v1"):
            check_address(url, allow_remote)


@pytest.mark.parametrize("url", ADDRESSES["secret"])
def test_a_secret_in_an_address_is_refused_and_not_shown(url):
    for allow_remote in (True, False):
        with pytest.raises(
            LLMError, match=r"put the server's key into KMERL_LLM_API_KEY"
        ) as raised:
            check_address(url, allow_remote)
        assert "hunter2" not in str(raised.value)


def used(machine=MACHINE, **changes):
    with serving(replace(SETTINGS, **changes), machine):
        pytest.fail("it was used")


def test_a_running_server_is_used_as_it_is_with_its_key_and_its_models(monkeypatch):
    monkeypatch.setenv(client_module.API_KEY, "a-key")
    with ScriptedLLM(lambda *_: Say("YES"), [MODEL, "gemma"], "a-key") as llm:
        with serving(replace(SETTINGS, base_url=f"{llm.base_url}/"), MACHINE) as [running]:
            assert (running.base_url, running.api_key) == (llm.base_url, "a-key")
            running.alive()
        check_model(running, MODEL)  # it still runs after the context
        with pytest.raises(LLMError) as raised:
            used(base_url=llm.base_url, model="llama")
        for where, code in (
            (replace(running, api_key="a-guess"), 401),
            (replace(running, base_url=llm.base_url.removesuffix("/v1")), 404),
        ):
            with pytest.raises(LLMError, match=rf"/models answered {code};.*KMERL_LLM_API_KEY"):
                check_model(where, MODEL)
    assert str(raised.value) == f"llm.model is 'llama', but {llm.base_url} serves {MODEL}, gemma"
    assert not LOG.exists()


def page(body, length=None):
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length or len(body)}\r\n\r\n"
    return head.encode() + body


NO_ANSWERS = {
    "nobody": None,
    "no web server": b"SSH-2.0-OpenSSH_9.2\r\n",
    "silence": b"",
    "half a page": page(b"{", length=9),
    **{body: page(body.encode()) for body in ("[]", "{}", '{"data": [3]}', '{"data": [{}]}', "no")},
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_a_server_out_of_reach_or_of_another_kind_is_an_error(answer, monkeypatch):
    monkeypatch.setattr(server_module, "PATIENCE", 2.0)

    def speak():
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        thread = threading.Thread(target=speak if answer is not None else listening.close)
        thread.start()
        with pytest.raises(LLMError) as raised:
            check_model(Running(url, None), MODEL)
        thread.join(PATIENCE)
    assert f"no OpenAI-compatible server answers at llm.base_url {url} (" in str(raised.value)
    assert "or set base_url to null" in str(raised.value)


ENDLESS = {  # a reply that drips: its head at once or not, and what comes again and again
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n", b" "),
    "head": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "line": (b"", b"H"),
    "flood": (b"HTTP/1.1 200 OK\r\n\r\n", b" " * 2**20),
    "packed": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b" " * 2**20)),
}


@pytest.mark.parametrize("reply", ENDLESS)
def test_an_endless_reply_ends_at_a_deadline_or_a_size(reply, monkeypatch):
    monkeypatch.setattr(server_module, "PATIENCE", 0.5)
    head, again = ENDLESS[reply]
    over = threading.Event()

    def speak():
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(head)
            while not over.wait(0 if len(again) > 9 else 0.02):
                connection.sendall(again)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        thread = threading.Thread(target=speak)
        thread.start()
        start = time.monotonic()
        with pytest.raises(LLMError, match=r"no OpenAI-compatible server answers"):
            check_model(Running(url, None), MODEL)
        assert time.monotonic() - start < 15
        over.set()
        thread.join(PATIENCE)


def test_no_redirect_is_followed_with_the_key():
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, self.headers["Authorization"]))
            self.send_response(307)
            self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/other")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        with pytest.raises(LLMError, match=r"/models answered 307, a redirect, .* not followed"):
            check_model(Running(url, "a-key"), MODEL)
        server.shutdown()
    assert seen == [("/v1/models", "Bearer a-key")]


def test_the_command_of_our_own_server(tmp_path):
    machine = replace(MACHINE, tensor_parallel=2, data_parallel=3, arguments=("--dtype", "half"))
    settings = replace(SETTINGS, revision="0123abc", seed=5, max_model_len=4096)
    module = "'other env/bin/python' -m vllm.entrypoints.openai.api_server"
    for start, model, expected in (
        ("vllm serve", MODEL, f"vllm serve {MODEL} --revision 0123abc"),
        ("vllm serve", str(tmp_path), f"vllm serve {tmp_path}"),  # a folder has no revision
        (module, MODEL, f"{module} --model {MODEL} --revision 0123abc"),
    ):
        given = replace(settings, model=model), replace(machine, command=start)
        assert shlex.join(command(*given, 8123)) == (
            f"{expected} --host 127.0.0.1 --port 8123 --max-model-len 4096 "
            "--tensor-parallel-size 2 --data-parallel-size 3 --seed 5 --dtype half"
        )


@pytest.mark.parametrize("start", ["no-such-program serve", "/no/such/python -m vllm", ""])
def test_a_missing_command_is_an_error_that_says_what_to_install(start):
    with pytest.raises(LLMError, match=r"runtime\.llm\.command .* not installed here") as raised:
        used(replace(MACHINE, command=start))
    assert "set llm.base_url to a running server" in str(raised.value)
    assert not LOG.exists()


FAKE = """
import os, signal, subprocess, sys, threading
from pathlib import Path
from tests.scripted_llm import Say, ScriptedLLM, asked

def script(body, nth):
    if asked(body)[1]["text"] == "crash":
        print("CUDA out of memory", flush=True)
        os._exit(1)
    return Say('["lbbb"]')

if "--stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path("pids.new").write_text(f"{os.getpid()} {child.pid}")
Path("pids.new").rename("pids")
print(sys.argv, flush=True)
key = os.environ.get("VLLM_API_KEY")
with ScriptedLLM(script, api_key=key, port=int(sys.argv[sys.argv.index("--port") + 1])):
    threading.Event().wait(600)
"""


@pytest.fixture
def fake(tmp_path):
    """A runtime.llm whose command is a server and a child process of it, which cannot stay."""
    (tmp_path / "fake_vllm.py").write_text(FAKE, encoding="utf-8")
    yield replace(MACHINE, command=shlex.join([sys.executable, str(tmp_path / "fake_vllm.py")]))
    if Path("pids").exists():
        for pid in filter(runs, pids()):
            os.kill(pid, signal.SIGKILL)


def pids():
    """Of the fake server and of its child."""
    return [int(pid) for pid in Path("pids").read_text().split()]


def runs(pid):
    """Whether a process lives; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def soon(what):
    """Whether it becomes so."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def gone():
    """Whether the fake server and its child end; the last signal takes a moment to arrive."""
    return soon(lambda: not any(map(runs, pids())))


STOPPED = r"the vLLM server stopped by itself; \.checkpoints/vllm\.log says why"


def test_our_own_server_answers_us_alone_and_its_death_is_an_error(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.2)
    answers = Answers(tmp_path / "answers")
    asked = [prompts.extract(i, text, SETTINGS) for i, text in enumerate(("a", "crash", "b"))]
    with pytest.raises(LLMError, match=STOPPED), serving(SETTINGS, fake) as [running]:
        assert [runs(pid) for pid in pids()] == [True, True]
        running.alive()
        check_model(running, MODEL)
        with pytest.raises(LLMError, match="/models answered 401"):
            check_model(replace(running, api_key="a-guess"), MODEL)
        client = Client(SETTINGS, replace(MACHINE, concurrency=1), answers, [running])
        client.ask(asked, len(asked), lambda _, reply: reply, "extract")
    answers.close()
    assert [reply.text for reply in answers.known.values()] == ['["lbbb"]']
    assert gone()
    assert urlsplit(running.base_url).hostname == "127.0.0.1"
    told = LOG.read_text()
    assert "CUDA out of memory" in told and MODEL in told
    assert str(running.api_key) not in told
    with pytest.raises(LLMError, match=STOPPED):
        running.alive()


STAGE = """
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from kmerl import params, runtime
from kmerl.knowledge.vllm.server import serving
from kmerl.knowledge.vllm.settings import LLM
machine = params.load("runtime", runtime.Runtime, {file!r}).llm
with serving(params.load("llm", LLM, {file!r}), replace(machine, command={command!r})):
    Path("ready").touch()
    time.sleep(600)
"""


def test_a_server_ends_when_its_stage_is_killed(fake):
    code = STAGE.format(file=str(PARAMS), command=fake.command)
    stage = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        assert soon(Path("ready").exists)
        assert all(map(runs, pids()))
    finally:
        os.killpg(stage.pid, signal.SIGKILL)
        stage.wait()
    assert gone()


NEVER_READY = "import os, time; open('pids', 'w').write(str(os.getpid())); time.sleep(600)"


@pytest.mark.parametrize(
    ("code", "limit", "message"),
    [
        ("raise SystemExit('no GPU here')", 30.0, STOPPED),
        (NEVER_READY, 0.4, r"not ready within runtime\.llm\.start_timeout \(0\.4 s\)"),
    ],
)
def test_a_server_that_does_not_start_is_an_error_and_leaves_nothing(code, limit, message):
    line = shlex.join([sys.executable, "-c", code])
    with pytest.raises(LLMError, match=message):
        used(replace(MACHINE, command=line, start_timeout=limit))
    assert LOG.read_text() == ("no GPU here\n" if limit == 30.0 else "")
    assert not Path("pids").exists() or gone()


def test_what_does_not_stop_when_asked_to_is_killed(fake):
    server = shlex.split(f"{fake.command} --stubborn --port 0")
    code = "from kmerl.knowledge.vllm import keeper; keeper.PATIENCE = 0.2; keeper.main()"
    keeper = subprocess.Popen(
        [sys.executable, "-c", code, "log", *server], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        assert soon(Path("pids").exists)
        assert all(map(runs, pids()))
        keeper.stdin.close()
        keeper.wait(PATIENCE)
    finally:
        if keeper.poll() is None:
            os.killpg(keeper.pid, signal.SIGKILL)
            keeper.wait()
    assert gone()
