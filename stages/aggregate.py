"""Stage aggregate: entities under their superclasses."""

from kmerl import files, params
from kmerl.errors import clear_errors
from kmerl.knowledge import overrides
from kmerl.knowledge.aggregate import Aggregate, aggregate, check
from kmerl.knowledge.mining import mining


def main() -> None:
    merged = files.read_json("data/merge/merged.json")
    wanted = params.load("aggregate", Aggregate).superclasses
    with mining("aggregate") as work:
        ours = overrides.read()
        entities = sorted(set(merged.values()))
        found = aggregate(entities, work.backend, wanted)
        if wanted:
            found = overrides.hierarchy(found, entities, ours)
            check(found, entities)
        files.write_json(work.out / "superclasses.json", found)
        work.counts["children_unused_by_hand"] = overrides.unused_children(ours, entities)


if __name__ == "__main__":
    with clear_errors("aggregate"):
        main()
