"""Stage extract: the entity expressions of each distinct statement."""

import pyarrow as pa
import pyarrow.parquet as pq

from kmerl import files, params
from kmerl.knowledge.backend import open_backend
from kmerl.knowledge.extract import Extract, extract, recognised

OUT = "data/extract"


def main() -> None:
    backend = open_backend(params.load("extract", Extract).backend)
    statements = pq.read_table("data/reports/statements.parquet")
    texts = statements["text"].to_pylist()
    found = extract(texts, backend)
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
    out = files.fresh_directory(OUT)
    with files.atomic(out / "entities.parquet") as path:
        pq.write_table(table, path, compression="zstd")
    known = recognised(texts, statements["records"].to_pylist(), backend)
    files.write_json(out / "counts.json", {"extracted": len(pairs), **known})


if __name__ == "__main__":
    main()
