"""Stage verify: which extracted expressions their statements really state."""

import pyarrow as pa
import pyarrow.parquet as pq

from kmerl import files, params
from kmerl.knowledge.backend import open_backend
from kmerl.knowledge.extract import Extract
from kmerl.knowledge.verify import Verify, verify

OUT = "data/verify"


def main() -> None:
    backend = open_backend(params.load("extract", Extract).backend)
    texts = pq.read_table("data/reports/statements.parquet")["text"].to_pylist()
    extracted = pq.read_table("data/extract/entities.parquet")
    names: list[list[str]] = [[] for _ in texts]
    for number, name in zip(*(column.to_pylist() for column in extracted.columns), strict=True):
        names[number].append(name)
    found = verify(texts, names, backend, params.load("verify", Verify).hedged)
    table = pa.table(
        {
            "statement": pa.array([one.statement for one in found], pa.int32()),
            "entity": pa.array([one.entity for one in found], pa.string()),
            "verdict": pa.array([one.verdict.value for one in found], pa.string()),
            "kept": pa.array([one.kept for one in found], pa.bool_()),
        }
    )
    out = files.fresh_directory(OUT)
    with files.atomic(out / "entities.parquet") as path:
        pq.write_table(table, path, compression="zstd")


if __name__ == "__main__":
    main()
