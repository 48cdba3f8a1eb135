"""Stage reports: one cleaned text a record, and the distinct statements to be mined."""

from pathlib import Path

import pyarrow.parquet as pq

from kmerl import files, params
from kmerl.errors import about, clear_errors
from kmerl.knowledge.reports import COLUMNS, TextParams, gather
from kmerl.knowledge.statements import ReportsParams
from kmerl.store import PairStores

OUT = "data/reports"


def main() -> None:
    settings, stores = params.load("reports", ReportsParams), PairStores.read(Path("data"))
    with about(" and ".join(stores.directories)):
        found = gather(stores.table(COLUMNS), params.load("text", TextParams).source, settings)
    out = files.fresh_directory(OUT)
    for name, table in (("reports", found.reports), ("statements", found.statements)):
        with files.atomic(out / f"{name}.parquet") as path:
            pq.write_table(table, path, compression="zstd")
    files.write_csv(out / "dropped.csv", ("record", "reason"), found.dropped)
    files.write_json(out / "counts.json", found.counts())


if __name__ == "__main__":
    with clear_errors("reports"):
        main()
