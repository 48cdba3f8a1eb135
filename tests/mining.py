"""What the tests of mining share: settings, a quick machine, a cohort as ingest leaves it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kmerl import params, runtime
from kmerl.files import read_yaml, write_csv
from kmerl.knowledge.vllm import client
from kmerl.knowledge.vllm.settings import LLM
from kmerl.store import pairs
from stages import aggregate, extract, label_matrix, merge, reports, verify
from tests import cohorts
from tests.scripted_llm import MODEL

ROOT = Path(__file__).parent.parent
PARAMS = ROOT / "params" / "demo.yaml"
SETTINGS = replace(params.load("llm", LLM, PARAMS), model=MODEL)
MACHINE = replace(
    params.load("runtime", runtime.Runtime, PARAMS).llm,
    concurrency=4, timeout=30.0, retries=3, start_timeout=30.0,
)  # fmt: skip
CHAIN = (reports, extract, verify, merge, aggregate, label_matrix)
BEFORE = ("synthesize", "ingest mimic-iv-ecg", "pairs", "reports")
MINING = ("extract", "verify", "merge", "aggregate")
STATED = read_yaml(Path(__file__).parent / "cases" / "statements.yaml")
DROPPED = {"500": [" "], "501": ["Normal ECG"]}


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, no key of the environment."""
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.01)
    monkeypatch.delenv(client.API_KEY, raising=False)


def run(*stages: object) -> None:
    for stage in stages or CHAIN:
        stage.main()


def cohort():
    """Thirty records of three or four statements each, no two reports the same."""
    texts = list(STATED)
    rhythms, findings, last = texts[:3], texts[3:8], texts[8:]
    return {
        f"4{number:02d}": [
            rhythms[number % 3].capitalize(),
            findings[number // 6],
            findings[(number // 6 + 1 + number % 2) % 5].upper(),
            *([last[number % 2]] if number % 4 else []),
        ]
        for number in range(30)
    }


def write_store(root: Path) -> None:
    """MIMIC-IV-ECG's store of the cohort and of what is dropped, and the truth of the cohort."""
    reports = cohort() | DROPPED
    columns = {
        **{name: list(reports) for name in ("record", "patient")},
        "split": ["train"] * len(reports),
        "report": list(reports.values()),
        "codes": [["IMI", "SR"]] * len(reports),
    }
    signals = np.zeros((len(reports), 12, cohorts.SAMPLES), np.int16)
    cohorts.write_store(root / "data" / "ecg" / "mimic-iv-ecg", signals, columns)
    pairs.choose(["mimic-iv-ecg"], ["mimic-iv-ecg"], root / "data")
    shutil.copy(ROOT / "overrides.yaml", root)
    truth = []
    for record, texts in cohort().items():
        said = [{"positive": STATED[one.lower()], "hedged": [], "negated": []} for one in texts]
        truth.append((record, record, "[]", json.dumps(said)))
    columns = ("record", "patient", "findings", "statements")
    write_csv(root / "data/truth/mimic-iv-ecg.csv", columns, truth)


def mined(root: Path) -> dict[str, bytes]:
    """Every file that mining wrote, with metrics/mining.json."""
    folders = [root / "data" / name for name in ("reports", *MINING, "labels", "answers")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files.append(root / "metrics" / "mining.json")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def labels(root: Path | str = ".") -> pa.Table:
    return pq.read_table(Path(root) / "data/labels/labels.parquet")
