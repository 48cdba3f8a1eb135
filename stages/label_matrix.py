"""Stage label_matrix: entities x records, 0/1, and what mining found in numbers."""

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
from kmerl.simulated import simulated

OUT = "data/labels"


def main() -> None:
    reports = pq.read_table("data/reports/reports.parquet", columns=["record", "statements"])
    verified = pq.read_table("data/verify/entities.parquet").to_pylist()
    merged = files.read_json("data/merge/merged.json")
    labels = label_matrix(
        {row["record"]: row["statements"] for row in reports.to_pylist()},
        [(row["statement"], row["entity"]) for row in verified if row["kept"]],
        merged,
        files.read_json("data/aggregate/superclasses.json"),
        params.load("label_matrix", LabelMatrix).min_records,
    )
    out = files.fresh_directory(OUT)
    with files.atomic(out / "labels.parquet") as path:
        pq.write_table(labels.table(), path, compression="zstd")
    text = yaml.safe_dump(readable(labels, merged), sort_keys=False, allow_unicode=True)
    files.write_text(out / "entities.yaml", text)
    counts = files.read_json("data/reports/counts.json")
    counts |= files.read_json("data/extract/counts.json")
    counts |= summary(labels, (row["verdict"] for row in verified), merged)
    counts["merges_refused"] = len(files.read_json("data/merge/refused.json"))
    files.write_json("metrics/mining.json", counts | _quality(labels))


def _quality(labels: Labels) -> dict[str, Any]:
    """Mined entities against what the synthetic reports truly state; nothing for real reports."""
    values = params.read()
    corpus = values["pretrain"]["corpus"]
    if corpus not in simulated(values["corpora"]):
        return {}
    found = quality.against_truth(
        Path("data/truth") / f"{corpus}.csv",
        labels.stated(),
        open_backend(params.load("extract", Extract).backend),
        params.load("verify", Verify).hedged,
        set(labels.records),
    )
    return {"truth": {**found["micro"], "macro_f1": found["macro_f1"], "records": found["records"]}}


if __name__ == "__main__":
    main()
