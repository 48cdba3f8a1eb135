"""Stage verify: which extracted expressions their statements really state."""

import pyarrow as pa
import pyarrow.parquet as pq

from kmerl import files, params
from kmerl.errors import clear_errors
from kmerl.knowledge.mining import mining
from kmerl.knowledge.verify import Verify, agreement, verify


def main() -> None:
    texts = files.read_table("data/reports/statements.parquet")["text"].to_pylist()
    extracted = files.read_table("data/extract/entities.parquet")
    names: list[list[str]] = [[] for _ in texts]
    for number, name in zip(*(column.to_pylist() for column in extracted.columns), strict=True):
        names[number].append(name)
    settings = params.load("verify", Verify)
    with mining("verify") as work:
        found = verify(texts, names, work.backend, settings)
        table = pa.table(
            {
                "statement": pa.array([one.statement for one in found], pa.int32()),
                "entity": pa.array([one.entity for one in found], pa.string()),
                "verdict": pa.array([one.verdict.value for one in found], pa.string()),
                "string": pa.array([one.string.value for one in found], pa.string()),
                "kept": pa.array([one.kept for one in found], pa.bool_()),
            }
        )
        with files.atomic(work.out / "entities.parquet") as path:
            pq.write_table(table, path, compression="zstd")
        work.counts["agreement"] = agreement(found)


if __name__ == "__main__":
    with clear_errors("verify"):
        main()
