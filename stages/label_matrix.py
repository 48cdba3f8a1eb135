"""Stage label_matrix: entities x records, 0/1, and what mining found in numbers."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from kmerl import files, params
from kmerl.knowledge import quality
from kmerl.knowledge.backend import open_backend
from kmerl.knowledge.extract import Extract
from kmerl.knowledge.labels import LabelMatrix, Labels, label_matrix, readable, summary
from kmerl.knowledge.verify import Verify

OUT = "data/labels"
SIMULATED = Path("raw/synthetic")


def main() -> None:
    reports = pq.read_table("data/reports/reports.parquet", columns=["record", "statements"])
    verified = pq.read_table("data/verify/entities.parquet").to_pylist()
    merged = _json("data/merge/merged.json")
    labels = label_matrix(
        {row["record"]: row["statements"] for row in reports.to_pylist()},
        [(row["statement"], row["entity"]) for row in verified if row["kept"]],
        merged,
        _json("data/aggregate/superclasses.json"),
        params.load("label_matrix", LabelMatrix).min_records,
    )
    out = files.fresh_directory(OUT)
    with files.atomic(out / "labels.parquet") as path:
        pq.write_table(labels.table(), path, compression="zstd")
    entities = readable(labels, merged)
    files.write_text(
        out / "entities.yaml", yaml.safe_dump(entities, sort_keys=False, allow_unicode=True)
    )
    counts: dict[str, Any] = {
        **_json("data/reports/counts.json"),
        **_json("data/extract/counts.json"),
        **summary(labels, (row["verdict"] for row in verified), merged),
        "merges_refused": len(_json("data/merge/refused.json")),
        **_quality(labels),
    }
    files.write_json("metrics/mining.json", counts)


def _quality(labels: Labels) -> dict[str, Any]:
    """Mined entities against what the synthetic reports truly state; nothing for real reports."""
    values = params.read()
    corpus = values["pretrain"]["corpus"]
    if SIMULATED not in Path(values["corpora"][corpus]["root"]).parents:
        return {}
    backend = open_backend(params.load("extract", Extract).backend)
    hedged = params.load("verify", Verify).hedged
    pairs = labels.stated()
    truth = Path("data/truth") / f"{corpus}.csv"
    found = quality.against_truth(truth, pairs, backend, hedged, set(labels.records))
    return {"truth": {**found["micro"], "macro_f1": found["macro_f1"], "records": found["records"]}}


def _json(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
