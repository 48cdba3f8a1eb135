"""Stage merge: synonyms and abbreviations to one canonical entity."""

import pyarrow.compute as pc
import pyarrow.parquet as pq

from kmerl import files, params
from kmerl.knowledge.backend import open_backend
from kmerl.knowledge.extract import Extract
from kmerl.knowledge.merge import Merge, merge

OUT = "data/merge"


def main() -> None:
    backend = open_backend(params.load("extract", Extract).backend)
    verified = pq.read_table("data/verify/entities.parquet")
    kept = verified.filter(pc.field("kept"))["entity"].to_pylist()
    found = merge(kept, backend, params.load("merge", Merge).synonyms)
    out = files.fresh_directory(OUT)
    files.write_json(out / "merged.json", dict(found.entity))
    files.write_json(out / "refused.json", [list(one) for one in found.refused])


if __name__ == "__main__":
    main()
