"""What mining costs apart from the LLM: 3,127 statements and a list of 341 entities, scripted.

    python -m benchmarks.mining_chain --statements CSV

A scripted server in a process of its own answers at once and perfectly, so what is measured is the
client: questions, parsing, keeping answers, string check, merging. The statements of the CSV
(MIMIC-IV-ECG's, `statement` column) come first; pairs of them joined by "with" fill up to 3,127,
as many as MIMIC-IV-ECG has. One JSON document last; `again` is a second run over kept answers.
"""

import csv
import dataclasses
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import typer

from kmerl import params, runtime
from kmerl.files import rounded
from kmerl.knowledge.lexicon.backend import lexicon
from kmerl.knowledge.merge import guarded
from kmerl.knowledge.verify import Verify, verify
from kmerl.knowledge.vllm.answers import Answers
from kmerl.knowledge.vllm.backend import VllmBackend
from kmerl.knowledge.vllm.client import Client
from kmerl.knowledge.vllm.connection import Running
from kmerl.knowledge.vllm.settings import LLM
from tests.scripted_llm import MODEL, PerfectLLM, ScriptedLLM

STATEMENTS = 3127  # distinct ones of MIMIC-IV-ECG's 800,035 reports
NAMES = 341  # expressions before merging (Sec. 3.4)


def main(statements: Annotated[Path, typer.Option(help="CSV with a column `statement`")]) -> None:
    """Two runs, the second over the answers that the first kept."""
    with statements.open(encoding="utf-8", newline="") as file:
        given = sorted({" ".join(row["statement"].lower().split()) for row in csv.DictReader(file)})
    pairs = [f"{one} with {other}" for one, other in zip(given * 3, given[7:] * 3, strict=False)]
    texts = list(dict.fromkeys([*given, *pairs]))[:STATEMENTS]
    truth = dict(zip(texts, lexicon().extract(texts), strict=True))
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(there, truth))
    server.start()
    base_url = here.recv()
    with tempfile.TemporaryDirectory() as folder:
        first, again = (_run(texts, base_url, Path(folder)) for _ in range(2))
    here.send("done")
    server.join()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"statements": len(texts), "first": first, "again": again, "peak_memory_mib": memory}
    print(json.dumps(rounded(result), indent=1))


def _run(texts: list[str], base_url: str, folder: Path) -> dict[str, Any]:
    settings = dataclasses.replace(params.load("llm", LLM), model=MODEL, base_url=(base_url,))
    answers = Answers(folder)
    client = Client(settings, runtime.load().llm, answers, [Running(base_url, None)])
    backend = VllmBackend(client)
    seconds: dict[str, dict[str, float]] = {}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        wall, own = time.monotonic(), time.process_time()
        found = work()
        seconds[step] = {"wall_s": time.monotonic() - wall, "own_s": time.process_time() - own}
        return found

    found = timed("extract", lambda: backend.extract(texts))
    verified = timed("verify", lambda: verify(texts, found, backend, Verify("both", "positive")))
    names = _names()
    merged = timed("merge", lambda: guarded(backend.merge(names)))
    entities = sorted(set(merged.entity.values()))
    superclasses = timed("aggregate", lambda: backend.aggregate(entities))
    answers.close()
    return {
        **seconds,
        "asked": client.asked,
        "questions": client.counts()["questions"],
        "verified": len(verified),
        "names": len(names),
        "entities": len(entities),
        "superclasses": len(superclasses),
        "unresolved": len(client.unresolved),
    }


def _names() -> list[str]:
    """As many of the lexicon's wordings as the paper had expressions."""
    terms = lexicon().vocabulary.terms.items()
    return sorted(" ".join(tokens) for tokens, term in terms if term.kind == "entity")[:NAMES]


def _serve(pipe: Connection, truth: dict[str, list[str]]) -> None:
    with ScriptedLLM(PerfectLLM(truth)) as server:
        pipe.send(server.base_url)
        pipe.recv()


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
