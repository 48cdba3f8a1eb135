"""Stage embed_text: the frozen text tower over reports, entity names and class names, once."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from kmerl import files, params
from kmerl.corpora.classes import TASKS, classes
from kmerl.text import TextEncoderParams, TextTower

OUT = "data/text"


def main() -> None:
    tower = TextTower(params.load("text_encoder", TextEncoderParams))
    out = files.fresh_directory(OUT)
    entities = pq.read_schema("data/labels/labels.parquet").names[1:]
    names = sorted({c.name for task in TASKS for c in classes(task)})
    with files.atomic(out / "names.safetensors") as path:
        save_file({"entities": tower.embed(entities), "classes": tower.embed(names)}, path)
    (out / "names.json").write_text(json.dumps({"entities": entities, "classes": names}, indent=1))
    reports = pq.read_table("data/reports/reports.parquet", columns=["record", "text"])
    texts = sorted(set(reports["text"].to_pylist()))
    with files.atomic(out / "reports.safetensors") as path:
        save_file({"reports": tower.embed(texts)}, path)
    place = {text: row for row, text in enumerate(texts)}
    rows = np.array([place[text] for text in reports["text"].to_pylist()], np.int32)
    table = pa.table({"record": reports["record"], "vector": pa.array(rows)})
    with files.atomic(out / "reports.parquet") as path:
        pq.write_table(table, path)


if __name__ == "__main__":
    main()
