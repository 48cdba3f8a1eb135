"""Stage extract: the entity expressions of each distinct statement."""

import pyarrow as pa
import pyarrow.parquet as pq

from kmerl import files
from kmerl.errors import clear_errors
from kmerl.knowledge.extract import extract, recognised
from kmerl.knowledge.mining import mining


def main() -> None:
    statements = files.read_table("data/reports/statements.parquet")
    texts = statements["text"].to_pylist()
    with mining("extract") as work:
        found = extract(texts, work.backend)
        pairs = [
            (number, name)
            for number, names in zip(statements["statement"].to_pylist(), found, strict=True)
            for name in names
        ]
        table = pa.table(
            {
                "statement": pa.array([number for number, _ in pairs], pa.int32()),
                "entity": pa.array([name for _, name in pairs], pa.string()),
            }
        )
        with files.atomic(work.out / "entities.parquet") as path:
            pq.write_table(table, path, compression="zstd")
        known = recognised(texts, statements["records"].to_pylist(), work.backend)
        work.counts |= {"extracted": len(pairs), **known}


if __name__ == "__main__":
    with clear_errors("extract"):
        main()
