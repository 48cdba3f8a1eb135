"""What the tests of mining share: settings, a quick machine, a store as ingest leaves it."""

import json
import shutil
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import openai.resources.chat  # noqa: F401  # not within the time-out of a first question
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kmerl import params, runtime
from kmerl.knowledge.vllm import client
from kmerl.knowledge.vllm.settings import LLM
from stages import aggregate, extract, label_matrix, merge, reports, verify
from tests.official_layouts import write_rows
from tests.scripted_llm import MODEL

ROOT = Path(__file__).parent.parent
PARAMS = ROOT / "params" / "demo.yaml"
SETTINGS = replace(params.load("llm", LLM, PARAMS), model=MODEL)
MACHINE = replace(
    params.load("runtime", runtime.Runtime, PARAMS).llm,
    concurrency=4, timeout=30.0, retries=3, start_timeout=30.0,
)  # fmt: skip
CHAIN = (reports, extract, verify, merge, aggregate, label_matrix)
MINING = ("extract", "verify", "merge", "aggregate")


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, no certificates for loopback, no key of the environment."""
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_: None)
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.01)
    monkeypatch.delenv(client.API_KEY, raising=False)


def run(*stages: object) -> None:
    for stage in stages or CHAIN:
        stage.main()


def write_store(
    root: Path, reports: Mapping[str, Sequence[str]], stated: Mapping[str, Sequence[str]]
) -> None:
    """MIMIC-IV-ECG's store of `reports`, and the truth of records whose statements are `stated`."""
    table = pa.table(
        {
            **{name: list(reports) for name in ("record", "patient")},
            "split": ["train"] * len(reports),
            "report": pa.array(list(reports.values()), pa.list_(pa.string())),
            "codes": pa.array([["IMI", "SR"]] * len(reports), pa.list_(pa.string())),
        }
    )
    store = root / "data" / "ecg" / "mimic-iv-ecg"
    store.mkdir(parents=True)
    pq.write_table(table, store / "signals-00000.parquet")
    shutil.copy(ROOT / "overrides.yaml", root)
    truth = []
    for record, statements in reports.items():
        texts = [one.lower() for one in statements]
        if all(text in stated for text in texts):
            said = [{"positive": stated[text], "hedged": [], "negated": []} for text in texts]
            truth.append((record, record, "[]", json.dumps(said)))
    columns = ("record", "patient", "findings", "statements")
    write_rows(root / "data/truth/mimic-iv-ecg.csv", columns, truth)


def mined(root: Path) -> dict[str, bytes]:
    """Every file that mining wrote, with metrics/mining.json."""
    folders = [root / "data" / name for name in ("reports", *MINING, "labels", "answers")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files.append(root / "metrics" / "mining.json")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def labels(root: Path | str = ".") -> pa.Table:
    return pq.read_table(Path(root) / "data/labels/labels.parquet")
