"""Stage merge: synonyms and abbreviations to one canonical entity."""

import pyarrow.compute as pc

from kmerl import files, params
from kmerl.errors import clear_errors
from kmerl.knowledge import overrides
from kmerl.knowledge.merge import Merge, merge
from kmerl.knowledge.mining import mining


def main() -> None:
    verified = files.read_table("data/verify/entities.parquet")
    kept = verified.filter(pc.field("kept"))["entity"].to_pylist()
    with mining("merge") as work:
        ours = overrides.read()
        found = merge(kept, work.backend, params.load("merge", Merge).synonyms)
        files.write_json(work.out / "merged.json", overrides.merged(found.entity, ours))
        files.write_json(work.out / "refused.json", [list(one) for one in found.refused])
        work.counts |= {
            "expressions_unused_by_hand": overrides.unused_expressions(ours, found.entity),
            "dropped_by_hand": len(set(ours.drop) & set(found.entity)),
            "merges_refused": len(found.refused),
        }


if __name__ == "__main__":
    with clear_errors("merge"):
        main()
