"""Statements or reports as the unit of mining: the same labels, and how many questions.

    python -m benchmarks.mining_units

Reads data/ecg as `dvc repro reports` leaves it. A scripted LLM that reads each statement as the
lexicon does answers both; one JSON document last.
"""

import dataclasses
import json
import tempfile
from collections import Counter
from pathlib import Path

from kmerl import params, runtime
from kmerl.files import rounded
from kmerl.knowledge.aggregate import aggregate
from kmerl.knowledge.extract import extract
from kmerl.knowledge.labels import Labels, label_matrix
from kmerl.knowledge.lexicon.backend import lexicon
from kmerl.knowledge.merge import merge
from kmerl.knowledge.reports import COLUMNS, Corpus, gather
from kmerl.knowledge.statements import ReportsParams
from kmerl.knowledge.verify import Verify, kept, verify
from kmerl.knowledge.vllm.answers import Answers
from kmerl.knowledge.vllm.backend import VllmBackend
from kmerl.knowledge.vllm.client import Client
from kmerl.knowledge.vllm.connection import Running
from kmerl.knowledge.vllm.settings import LLM
from kmerl.store import PairStores
from tests.scripted_llm import MODEL, PerfectLLM, ScriptedLLM


def main() -> None:
    store = PairStores.read(Path("data")).table(COLUMNS)
    given = params.load("reports", ReportsParams)
    statements = gather(store, "report", dataclasses.replace(given, unit="statement"))
    reports = gather(store, "report", dataclasses.replace(given, unit="report"))
    texts = statements.statements["text"].to_pylist()
    truth = _read(texts)
    for row in statements.reports.to_pylist():  # a whole report states what its statements do
        truth[row["text"]] = [name for i in row["statements"] for name in truth[texts[i]]]
    by_statement, asked_statements = _mine(statements, truth)
    by_report, asked_reports = _mine(reports, truth)
    same = by_statement.columns == by_report.columns
    result = {
        "reports": statements.reports.num_rows,
        "distinct_reports": reports.statements.num_rows,
        "distinct_statements": statements.statements.num_rows,
        "same_labels": same and bool((by_statement.values == by_report.values).all()),
        "columns": len(by_statement.columns),
        "questions_by_statement": asked_statements,
        "questions_by_report": asked_reports,
        "twice_the_reports": 2 * statements.reports.num_rows,
    }
    print(json.dumps(rounded(result), indent=1))


def _read(texts: list[str]) -> dict[str, list[str]]:
    """What each statement states, hedged or not."""
    miner = lexicon()
    names = miner.extract(texts)
    return {
        text: [name for name, how in zip(found, verdicts, strict=True) if kept(how, "positive")]
        for text, found, verdicts in zip(texts, names, miner.verify(texts, names), strict=True)
    }


def _mine(corpus: Corpus, truth: dict[str, list[str]]) -> tuple[Labels, dict[str, int]]:
    """The four steps and the label matrix, through the client."""
    texts = corpus.statements["text"].to_pylist()
    llm = PerfectLLM(truth)
    with ScriptedLLM(llm) as server, tempfile.TemporaryDirectory() as folder:
        settings = dataclasses.replace(
            params.load("llm", LLM), model=MODEL, base_url=(server.base_url,)
        )
        servers = [Running(server.base_url, None)]
        client = Client(settings, runtime.load().llm, Answers(Path(folder)), servers)
        backend = VllmBackend(client)
        names = extract(texts, backend)
        found = verify(texts, names, backend, Verify("backend", "positive"))
        merged = merge((one.entity for one in found if one.kept), backend)
        above = aggregate(merged.entity.values(), backend)
        client.answers.close()
    labels = label_matrix(
        {row["record"]: row["statements"] for row in corpus.reports.to_pylist()},
        [(one.statement, one.entity) for one in found if one.kept],
        merged.entity,
        above,
    )
    return labels, dict(sorted(Counter(llm.asked).items())) | {"all": llm.asked.total()}


if __name__ == "__main__":
    main()
