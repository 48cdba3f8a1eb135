"""The chain at the size of MIMIC-IV-ECG, up to the first step of pretraining: seconds and memory.

    python -m benchmarks.scale FOLDER --as after       # writes docs/scale.jsonl and docs/scale.md
    python -m benchmarks.scale FOLDER --as try --records 20000 --shards 2 --kept try.jsonl

FOLDER gets a simulated corpus (`benchmarks.scale_corpus`: 3 GB with the ingested part of the store
and what the stages write; with 800,035 records ten minutes), kept for the next run. Each stage is a
process of its own: processor seconds and the peak of its largest process are what the system says
of it when it has ended. What would take hours on processors is done in part, and told as the whole.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from kmerl import params
from kmerl.files import rounded, write_text

HERE = Path(__file__).parents[1]
KEPT, PAGE = HERE / "docs/scale.jsonl", HERE / "docs/scale.md"
CORPUS = "mimic-iv-ecg"
RECORDS = 800_035
BEGIN, END = "<!-- python -m benchmarks.scale -->\n", "<!-- end -->\n"
MINING = ("reports", "extract", "verify", "merge", "aggregate", "label_matrix")
STAGES = ("tasks", "pairs", *MINING, "embed_text")

ORDER = ("read_listing", "ingest", *STAGES, "minilm", "start", "epoch")
MEASURED = ("CPU s", "wall s", "peak GiB")
TOLD = {
    "read_listing": "`read_listing`, the first thing `ingest` does",
    "ingest": "`ingest`",
    "embed_text": "`embed_text` without its model",
    "minilm": "its model (MiniLM)",
    "start": "start of pretraining, a process",
    "epoch": "an epoch of the reader, one thread",
}

Row = dict[str, Any]


def main(
    folder: Annotated[Path, typer.Argument(help="Where the corpus and all stages' outputs go.")],
    name: Annotated[str, typer.Option("--as", help="The run's name in the table.")],
    records: Annotated[int, typer.Option(help="Of the corpus.")] = RECORDS,
    shards: Annotated[int, typer.Option(help="Of the store, that have recordings.")] = 4,
    only: Annotated[list[str] | None, typer.Option(help="Measure this stage, not all.")] = None,
    kept: Annotated[Path, typer.Option(help="Lines of runs; one of this name is replaced.")] = KEPT,
) -> None:
    """Make what is not there yet, measure every stage, keep the run and print the table."""
    whole, sampled = (folder.absolute() / one for one in ("whole", "sampled"))
    model = folder.absolute() / "text-encoder"
    values = _values(model)
    part = min(shards * values["ingest"]["shard"], records)
    for place in (whole, sampled):
        place.mkdir(parents=True, exist_ok=True)
        (place / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        shutil.copy(HERE / "overrides.yaml", place)
    run: dict[str, Any] = {"name": name, "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    run |= {"records": records, "machine": _step(whole, "machine")["machine"], "stages": {}}

    def measure(stage: str, measured: Callable[[], Row]) -> None:
        if not only or stage in only:
            run["stages"][stage] = measured()
            _keep(kept, run)

    _once(whole, "tables", records)
    measure("read_listing", lambda: _step(whole, "listing"))
    _once(sampled, "sample", whole, part)
    measure("ingest", lambda: _stage(sampled, "ingest", CORPUS) | {"done": part, "of": records})
    _store(whole, sampled, values["ingest"])
    _once(whole, "empty_text_encoder", model)
    for stage in STAGES:
        measure(stage, partial(_stage, whole, stage))
    run["counts"] = _counts(whole)
    for step in ("minilm", "start", "epoch"):
        measure(step, partial(_step, whole, step))
    print(table(read(kept)))


def _keep(kept: Path, run: Mapping[str, Any]) -> None:
    """A run, over what was kept of one of its name; the page where it is the page's."""
    runs = {one["name"]: one for one in read(kept)}
    before = runs.get(run["name"], {}).get("stages", {})
    runs[run["name"]] = rounded({**run, "stages": before | run["stages"]})
    write_text(kept, "".join(f"{json.dumps(one)}\n" for one in runs.values()))
    if kept == KEPT:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        write_text(PAGE, before + BEGIN + table(read(kept)) + END + rest.partition(END)[2])


def _values(model: Path) -> dict[str, Any]:
    """The paper's parameters, but for the LLM, which is not measured here, and a text encoder
    without layers, which is measured apart."""
    values = params.read(HERE / "params/paper.yaml")
    values["corpora"] = {CORPUS: {"root": CORPUS, "manifest": "SHA256SUMS.txt"}}
    values["extract"]["backend"] = "lexicon"
    values["text_encoder"] |= {"model": str(model)}
    values["splits"]["merl"] = "merl"
    return values


def _store(whole: Path, sampled: Path, settings: Mapping[str, Any]) -> None:
    """The whole store, unless it is there; from the beginning where other settings made it."""
    mark, ingested = whole / "store.json", (sampled / "data/ecg" / CORPUS).iterdir()
    told = {"settings": settings, "ingested": {one.name: one.stat().st_ino for one in ingested}}
    known = json.loads(mark.read_text()) if mark.exists() else {}
    if known == told:
        return
    if known.get("settings") != settings:
        shutil.rmtree(whole / "data" / "ecg", ignore_errors=True)
    mark.write_text(json.dumps({"settings": settings}))
    _step(whole, "store", sampled)
    mark.write_text(json.dumps(told))


def _once(folder: Path, step: str, *words: object) -> None:
    """A step that makes something, unless it has made just that before."""
    mark, told = folder / f"{step}.json", json.dumps([str(word) for word in words])
    if mark.exists():
        if mark.read_text() != told:
            raise SystemExit(f"{folder} was made by other options; name another folder")
        return
    _step(folder, step, *words)
    mark.write_text(told)


def _step(folder: Path, step: str, *words: object) -> Row:
    return _measured(folder, "benchmarks.scale_steps", step, *words)


def _stage(folder: Path, stage: str, *words: object) -> Row:
    return _measured(folder, f"stages.{stage}", *words)


def _measured(folder: Path, module: str, *words: object) -> Row:
    """Run a module in a process of its own: its seconds and peak, and the object that it prints
    last, whose values hold where it says the same ones."""
    told = [module, *map(str, words)]
    print(" ".join(told), file=sys.stderr, flush=True)
    begin = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *told],
            cwd=folder,
            stdout=said,
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(told)} ended with {process.returncode}")
        said.seek(0)
        lines = said.read().decode().splitlines()
    row = {
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": time.monotonic() - begin,
        "peak_mib": usage.ru_maxrss / 1024,
    }
    return row | (json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {})


def _counts(whole: Path) -> Row:
    """How much there was of what, by which the numbers may be judged."""
    reports = json.loads((whole / "data/reports/counts.json").read_text())
    labels = json.loads((whole / "metrics/mining.json").read_text())
    names = ("reports", "distinct_reports", "statements")
    return {**{name: reports[name] for name in names}, "labels": labels["columns"]}


def read(path: Path) -> list[dict[str, Any]]:
    """The kept runs."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Runs side by side, in Markdown; a part stands for the whole."""
    head = ["stage", *(f"{run['name']}: {what}" for run in runs for what in MEASURED)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for stage in (stage for stage in ORDER if any(stage in run["stages"] for run in runs)):
        cells = [cell for run in runs for cell in _cells(run["stages"].get(stage))]
        lines.append(f"| {' | '.join([_label(stage, runs), *cells])} |")
    return "\n".join(lines) + "\n"


def _label(stage: str, runs: Sequence[Mapping[str, Any]]) -> str:
    row = next(run["stages"][stage] for run in reversed(runs) if stage in run["stages"])
    said = f", from {row['done']:,} of {row['of']:,}" if "done" in row else ""
    return f"{TOLD.get(stage, f'`{stage}`')}{said}"


def _cells(row: Row | None) -> list[str]:
    if row is None:
        return [""] * len(MEASURED)
    times = row["of"] / row["done"] if "done" in row else 1.0
    seconds = [f"{'≈ ' * (times > 1)}{row[key] * times:,.0f}" for key in ("cpu_s", "wall_s")]
    return [*seconds, f"{row['peak_mib'] / 1024:.2f}"]


if __name__ == "__main__":
    typer.run(main)
