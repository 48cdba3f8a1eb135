"""Stage label_matrix: entities x records, 0/1, and what mining found in numbers."""

from pathlib import Path

import pyarrow.parquet as pq
import yaml

from kmerl import files, params
from kmerl.errors import clear_errors
from kmerl.knowledge.labels import LabelMatrix, label_matrix, readable
from kmerl.knowledge.metrics import counted, measured
from kmerl.knowledge.verify import Verify
from kmerl.store import PairStores

OUT = "data/labels"
DATA = Path("data")


def main() -> None:
    columns = ["record", "text", "codes", "statements"]
    reports = files.read_table(DATA / "reports/reports.parquet", columns=columns)
    statements = (reports[name].to_pylist() for name in ("record", "statements"))
    verified = files.read_table(DATA / "verify/entities.parquet").to_pylist()
    entity = files.read_json(DATA / "merge/merged.json")
    labels = label_matrix(
        dict(zip(*statements, strict=True)),
        [(row["statement"], row["entity"]) for row in verified if row["kept"]],
        entity,
        files.read_json(DATA / "aggregate/superclasses.json"),
        params.load("label_matrix", LabelMatrix).min_records,
    )
    out = files.fresh_directory(OUT)
    with files.atomic(out / "labels.parquet") as path:
        pq.write_table(labels.table(), path, compression="zstd")
    text = yaml.safe_dump(readable(labels, entity), sort_keys=False, allow_unicode=True)
    files.write_text(out / "entities.yaml", text)
    stores = PairStores.read(DATA)
    truth = {stores.own(name): DATA / f"truth/{name}.csv" for name in sorted(stores.simulated)}
    hedged = params.load("verify", Verify).hedged
    verdicts = [row["verdict"] for row in verified]
    found = measured(labels, reports, verdicts, entity, hedged, truth)
    files.write_json("metrics/mining.json", counted(DATA) | found)


if __name__ == "__main__":
    with clear_errors("label_matrix"):
        main()
