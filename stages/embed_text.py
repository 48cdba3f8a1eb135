"""Stage embed_text: the frozen text tower over reports, entities and what classes are asked by."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from kmerl import files, params, runtime
from kmerl.errors import clear_errors
from kmerl.tasks import of_run, prompts
from kmerl.tasks.classes import TASKS, official
from kmerl.text import TextEncoderParams, TextTower

OUT, ASKED = "data/text", "data/asked"
BEGUN = Path(".checkpoints")


def main() -> None:
    devices = runtime.devices(runtime.load())
    tower = TextTower(params.load("text_encoder", TextEncoderParams), devices)
    tasks = of_run.read(Path("data/tasks.json"))
    by_name = prompts.by_name(tasks)
    ckepe = Path(params.value(params.read(), "splits.merl", str)) / prompts.CKEPE
    by_ckepe = prompts.by_ckepe(ckepe, tasks)
    out = files.fresh_directory(OUT)
    entities = pq.read_schema("data/labels/labels.parquet").names[1:]
    with files.atomic(out / "names.safetensors") as path:
        save_file({"entities": tower.embed(entities)}, path)
    files.write_text(out / "names.json", json.dumps({"entities": entities}, indent=1))
    asked = files.fresh_directory(ASKED)
    # Apart from one's own, whose company would move their last bits.
    names = sorted(set(prompts.by_name(map(official, TASKS)).values()))
    vectors = tower.embed(names)
    more = sorted(set(by_name.values()) - set(names))
    if more:
        names, vectors = [*names, *more], np.concatenate([vectors, tower.embed(more)])
    rows = [names.index(name) for name in by_name.values()]
    table = "kmerl/tasks/classes.csv"
    prompts.Asked(table, by_name, vectors[rows]).write(asked, "names")
    others = tower.embed(list(by_ckepe.values()))
    prompts.Asked(str(ckepe), by_ckepe, others).write(asked, "ckepe")
    write_reports(tower, out)


def write_reports(tower: TextTower, out: Path) -> None:
    """Each distinct report once, and which vector is a record's."""
    reports = files.read_table("data/reports/reports.parquet", columns=["record", "text"])
    texts = sorted(set(reports["text"].to_pylist()))
    with files.atomic(out / "reports.safetensors") as path:
        save_file({"reports": tower.embed(texts, BEGUN)}, path)
    place = {text: row for row, text in enumerate(texts)}
    rows = np.array([place[text] for text in reports["text"].to_pylist()], np.int32)
    table = pa.table({"record": reports["record"], "vector": pa.array(rows)})
    with files.atomic(out / "reports.parquet") as path:
        pq.write_table(table, path)


if __name__ == "__main__":
    with clear_errors("embed_text"):
        main()
