"""What simulated hearts are worth to who has real ones: real alone against simulated, then real.

    python -m benchmarks.worth run OUT --real RUN --simulated SIM_0/models --simulated SIM_1/models
    python -m benchmarks.worth table OUT/worth.jsonl

RUN is where `dvc repro splits embed_text` ran with params/ptbxl.yaml. Each simulated model begins
the runs of one seed, in their order; of method kmerl and of method merl there may be as many. By
method and seed these are measured:

- `simulated`: the simulated model as it is, which no real pair trained;
- `real-1`, `real-10`, `real-100`: trained on that share (%) of the real pairs;
- `then-1`, `then-10`, `then-100`: the same, beginning with the simulated weights.

Each is asked zero-shot, probed and fine-tuned by the chain's own stages in OUT/<run>; what an
untrained encoder has stands beside the probe and the fine-tuning. A run whose line is there is not
repeated, one that was killed goes on where its stages left it. Each takes one thread.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import typer
import yaml

from kmerl import params
from kmerl.files import read_json, rounded
from kmerl.store.index import sha256
from kmerl.tasks.classes import tasks_of
from kmerl.training.model import CONFIG, WEIGHTS

ROOT = Path(__file__).parents[1]
CORPUS, SHARES = "ptb-xl", (1, 10, 100)
READ = ("ecg", "splits", "labels", "text", "asked", "reports")
"""Folders of the chain's data/ that a run reads and does not write."""
STAGES = ("encode", "zero_shot", "linear_probe", "fine_tune")
COLUMNS = ("zero_shot", *(f"{kind}-{share}" for kind in ("probe", "tune") for share in SHARES))
LEADS = ("12", "I+II")
app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Run:
    """One training and all that is measured of it."""

    method: str
    seed: int
    share: int
    begins: Path | None

    @property
    def name(self) -> str:
        kind = "then" if self.begins else "real"
        return f"{self.method}-{f'{kind}-{self.share}' if self.share else 'simulated'}-s{self.seed}"


def plan(methods: Sequence[str], seeds: int, simulated: Sequence[Path]) -> Iterator[Run]:
    """The quickest first; without a simulated model of a method and seed, those that need it are
    left out."""
    models: dict[str, list[Path]] = {}
    for folder in simulated:
        models.setdefault(str(read_json(folder / CONFIG)["method"]), []).append(folder)
    for share in (0, *SHARES):
        for method in methods:
            given = dict(enumerate(models.get(method, [])))
            for seed in range(seeds):
                if share:
                    yield Run(method, seed, share, None)
                if seed in given:
                    yield Run(method, seed, share, given[seed])


@app.command()
def run(
    out: Annotated[Path, typer.Argument(help="Where the runs and worth.jsonl go.")],
    real: Annotated[Path, typer.Option(help="A run of params/ptbxl.yaml up to embed_text.")],
    simulated: Annotated[list[Path], typer.Option(help="Models trained on simulated hearts.")],
    method: Annotated[list[str] | None, typer.Option(help="By default kmerl and merl.")] = None,
    seeds: Annotated[int, typer.Option(help="Seeds of training, from 0.")] = 3,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, all runs.")] = None,
    at_once: Annotated[int, typer.Option(help="Runs at a time, a thread each.")] = 2,
) -> None:
    """Do what is not yet in worth.jsonl."""
    out.mkdir(parents=True, exist_ok=True)
    lines = out / "worth.jsonl"
    lines.touch()
    known = {json.loads(line)["run"] for line in lines.read_text(encoding="utf-8").splitlines()}
    every = plan(method or ["kmerl", "merl"], seeds, simulated)
    wanted = [one for one in every if one.name not in known]
    writing = threading.Lock()

    def work(one: Run) -> None:
        line = measured(one, out / one.name, real.resolve(), set_ or [])
        with writing, lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rounded(line)) + "\n")
        print(one.name, file=sys.stderr, flush=True)

    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(work, one) for one in wanted]:
            done.result()


def measured(one: Run, folder: Path, real: Path, changes: Sequence[str]) -> dict[str, Any]:
    """Train and measure in `folder`, and keep of it the model and the metrics."""
    prepare(one, folder, real, changes)
    if one.share:
        _stage("pretrain", folder)
    else:
        assert one.begins
        shutil.copytree(one.begins, folder / "models", dirs_exist_ok=True)
    for stage in STAGES:
        _stage(stage, folder)
    digest = sha256(folder / "models" / WEIGHTS)
    begins = sha256(one.begins / WEIGHTS)[:12] if one.begins else ""
    found = {"run": one.name, "method": one.method, "seed": one.seed, "share": one.share}
    found |= {"begins": begins, "weights": digest[:12], "changes": list(changes)}
    found |= {name: read_json(folder / f"metrics/{name}.json") for name in STAGES[1:]}
    shutil.rmtree(folder / "data")
    return found | few(found)


def prepare(one: Run, folder: Path, real: Path, changes: Sequence[str]) -> None:
    """params.yaml, and links to what the chain made."""
    values = params.read(real / "params.yaml")
    for change in changes:
        key, _, text = change.partition("=")
        section, _, name = key.rpartition(".")
        (values[section] if section else values)[name] = yaml.safe_load(text)
    values["method"], values["seed"] = one.method, one.seed
    if one.share:
        values["pretrain"]["share"] = float(one.share)
    if one.begins and one.share:
        begins = f"{one.begins.resolve()}@{sha256(one.begins / WEIGHTS)[:12]}"
        values["pretrain"]["start_from"] = begins
    values["fine_tune"]["ratios"] = list(SHARES)
    values["runtime"] |= {"threads": 1, "workers": 1}
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    links = {f"data/{name}": real / "data" / name for name in READ}
    links["metrics/ingest"] = real / "metrics/ingest"
    for name, target in links.items():
        if not (folder / name).exists():
            (folder / name).symlink_to(target, target_is_directory=True)


def _stage(name: str, folder: Path) -> None:
    """A stage of the chain in `folder`, unless it has been done there."""
    done = folder / f"{name}.done"
    if done.exists():
        return
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / f"{name}.log").open("w") as log:
        command = [sys.executable, "-m", f"stages.{name}"]
        ended = subprocess.call(command, cwd=folder, env=environment, stdout=log, stderr=log)
    if ended:
        raise SystemExit(f"{folder.name}: stage {name} failed; see {folder / name}.log")
    done.touch()


def few(found: Mapping[str, Any]) -> dict[str, Any]:
    """In place of all metrics: AUROC over PTB-XL's classes with enough positives, by protocol,
    task and leads, and what the untrained encoder has."""
    tasks = tasks_of(CORPUS)
    zero, probe, tune = (found[name] for name in STAGES[1:])
    kept: dict[str, Any] = {"zero_shot": _of(zero, tasks, "auroc_common")}
    kept["linear_probe"], kept["fine_tune"] = {}, {}
    for share in map(str, SHARES):
        for name, table in (("linear_probe", probe), ("fine_tune", tune)):
            here = {task: table[task][share] for task in tasks}
            beside = "random_auroc" if name == "linear_probe" else "scratch_auroc"
            both = _of(here, tasks, "auroc"), _of(here, tasks, beside)
            kept[name][share] = {"trained": both[0], "untrained": both[1]}
    return kept


def _of(table: Mapping[str, Any], tasks: Sequence[str], key: str) -> dict[str, dict[str, Any]]:
    return {
        task: {
            leads: [row.get(f"{key}{end}") for end in ("", "_lo", "_hi")]
            for leads, row in table[task].items()
            if leads in LEADS and row.get(key) is not None
        }
        for task in tasks
    }


@app.command()
def table(lines: Path, leads: str = "12") -> None:
    """Means over PTB-XL's tasks, then over seeds (± their deviation), in Markdown."""
    by_run: dict[str, list[list[float | None]]] = {}
    untrained: list[list[float | None]] = []
    for line in map(json.loads, lines.read_text(encoding="utf-8").splitlines()):
        by_run.setdefault(line["run"].rpartition("-s")[0], []).append(_row(line, "trained", leads))
        untrained.append([None, *_row(line, "untrained", leads)[1:]])
    by_run["untrained"] = untrained
    typer.echo(f"| run | seeds | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 2)}")
    for name, rows in by_run.items():
        columns = [
            [value for value in column if value is not None] for column in zip(*rows, strict=True)
        ]
        typer.echo(f"| {name} | {len(rows)} | {' | '.join(map(_cell, columns))} |")


def _row(line: Mapping[str, Any], which: str, leads: str) -> list[float | None]:
    of = [line["zero_shot"]]
    of += [line[name][str(s)][which] for name in ("linear_probe", "fine_tune") for s in SHARES]
    return [_mean([task[leads][0] for task in one.values() if leads in task]) for one in of]


def _mean(values: Sequence[float]) -> float | None:
    return mean(values) if values else None


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{mean(values):.3f}" + (f" ±{stdev(values):.3f}" if len(values) > 1 else "")


if __name__ == "__main__":
    app()
