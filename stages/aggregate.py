"""Stage aggregate: entities under their superclasses."""

from kmerl import files, params
from kmerl.knowledge.aggregate import Aggregate, aggregate
from kmerl.knowledge.backend import open_backend
from kmerl.knowledge.extract import Extract

OUT = "data/aggregate"


def main() -> None:
    backend = open_backend(params.load("extract", Extract).backend)
    merged = files.read_json("data/merge/merged.json")
    wanted = params.load("aggregate", Aggregate).superclasses
    hierarchy = aggregate(merged.values(), backend, wanted)
    files.write_json(files.fresh_directory(OUT) / "superclasses.json", hierarchy)


if __name__ == "__main__":
    main()
