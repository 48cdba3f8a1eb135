"""What simulated hearts are worth, alone and to who has real ones: zero-shot, probed, fine-tuned.

    python -m benchmarks.worth run OUT --real RUN --simulated SIM --both BOTH --ptb-xl ROOT
    python -m benchmarks.worth probe OUT --real RUN --kind simulated-16k --kind real-100
    python -m benchmarks.worth lines OUT > worth.jsonl
    python -m benchmarks.worth table worth.jsonl

`dvc repro splits embed_text` ran in RUN with params/ptbxl.yaml, in SIM with params/simulated.yaml,
and in BOTH with that and `pretrain.corpus: [mimic-iv-ecg, ptb-xl]`; `{seed}` in a folder's name is
replaced, as a seed draws other simulated patients. `signal`, `encoder` and `text_encoder` are to be
the same in all. OUT/<method>-<kind>-s<seed> is a training; `KINDS` says what it trains on.

Every training shows a simulated heart 15,636 times in all, `simulated-64k` (that is
params/simulated.yaml) four and `simulated-128k` eight times as often; and one of 2,331, 233 or 23
real pairs 18,648, 7,456 or 2,208 times, `both-10` one of the 233 pairs 1,864 times, in its eight
epochs.
Each is asked by `benchmarks.simulated` about PTB-XL's folds 9 and 10, which chose nothing: the last
epoch is kept. Probes and fine-tuning are the chain's own: fold 9 chooses the epoch, fold 10 is
tested on. What is there is not done again; each run takes one thread.
"""

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
import yaml

from kmerl import params
from kmerl.evaluation import encode as encoding
from kmerl.files import fresh_directory, read_json, rounded
from kmerl.leads import parse_leads
from kmerl.store import PairStores
from kmerl.store.index import sha256
from kmerl.tasks.classes import tasks_of
from kmerl.training.data import load_pairs
from kmerl.training.model import WEIGHTS

ROOT = Path(__file__).parents[1]
CORPUS, SIMULATED = "ptb-xl", "mimic-iv-ecg"
TASKS = tasks_of(CORPUS)


@dataclass(frozen=True)
class Kind:
    """What a training is shown. `share`: % of the real pairs, or of the simulated ones where there
    is no other; `beside`: % of the simulated ones beside the real; `rate`: peak learning rate."""

    data: str
    share: float
    epochs: int
    fresh: bool = False
    begins: str = ""
    beside: float = 0
    rate: float = 0.001


EPOCHS = {1: 96, 10: 32, 100: 8}
"""Of so many per cent of the real pairs."""
KINDS = {
    "simulated-1k": Kind("simulated", 12.5, 16),
    "simulated-4k": Kind("simulated", 50, 4),
    "simulated-16k": Kind("simulated", 100, 2, fresh=True),
    "simulated-64k": Kind("simulated", 100, 8, fresh=True),
    "simulated-128k": Kind("simulated", 100, 16, fresh=True),
    **{f"real-{share}": Kind("real", share, n) for share, n in EPOCHS.items()},
    **{f"then-{s}": Kind("real", s, n, begins="simulated-16k") for s, n in EPOCHS.items()},
    **{f"slow-{s}": Kind("real", s, EPOCHS[s], begins="simulated-16k", rate=1e-4) for s in (1, 10)},
    **{f"both-{s}": Kind("both", s, 8, fresh=True, beside=25) for s in (10, 100)},
}
METHODS: dict[str, dict[str, Any]] = {
    "kmerl": {"method": "kmerl", "options": {}},
    "merl": {"method": "merl", "options": {}},
    "merl_vit": {"method": "merl", "options": {"backbone": "vit"}},
}
PROBES = ("linear_probe", "fine_tune")
SETS = ("I+II", "12")
"""Leads that are encoded here, for all counts would cost seven times as much; fine-tuning takes the
first alone."""
LINKED = ("ecg", "splits", "asked", "tasks.json")
"""Of a run's data/: what the stages that probe read beside the model."""
SHARES = ("1", "10", "100")
Work = Callable[[str, int, str], None]
"""Of a kind, a seed and a method."""
app = typer.Typer(add_completion=False)
Out = Annotated[Path, typer.Argument(help="Where the runs lie.")]
Real = Annotated[Path, typer.Option(help="A run of params/ptbxl.yaml up to embed_text.")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Some of KINDS, by default all.")]
Seeds = Annotated[int, typer.Option(help="Seeds, from 0.")]
Methods = Annotated[
    list[str] | None, typer.Option("--method", help="Some of METHODS, by default kmerl.")
]
AtOnce = Annotated[int, typer.Option(help="Runs at a time, a thread each.")]


@app.command()
def run(
    out: Out,
    real: Real,
    simulated: Annotated[str, typer.Option(help="Runs of params/simulated.yaml, by {seed}.")],
    both: Annotated[str, typer.Option(help="Runs of both corpora, by {seed}.")],
    ptb_xl: Annotated[Path, typer.Option(help="Real PTB-XL in its official layout.")],
    kind: Kinds = None,
    seeds: Seeds = 3,
    method: Methods = None,
    at_once: AtOnce = 1,
) -> None:
    """Train and ask zero-shot, in the order of KINDS: what is begun with comes first."""
    data = {"simulated": simulated, "both": both, "real": str(real)}

    def work(name: str, seed: int, one: str) -> None:
        folder = out / f"{one}-{name}-s{seed}"
        if not (folder / "models").exists():
            prepare(KINDS[name], one, seed, folder, Path(data[KINDS[name].data].format(seed=seed)))
            call("stages.pretrain", folder)
        if not (folder / "zero_shot.jsonl").exists():
            given = [str(folder.resolve()), "--real", str(ptb_xl), "--version", name]
            given += ["--stores", str((out / "stores").resolve())]
            lines = call("benchmarks.simulated", ROOT, *given)
            (folder / "zero_shot.jsonl").write_text(lines, encoding="utf-8")

    side_by_side(work, product(kind or KINDS, range(seeds), method or ["kmerl"]), at_once)


@app.command()
def probe(
    out: Out,
    real: Real,
    kind: Kinds = None,
    seeds: Seeds = 3,
    method: Methods = None,
    ratios: Annotated[str, typer.Option(help="% of the labels for fine-tuning.")] = "1,10,100",
    at_once: AtOnce = 1,
) -> None:
    """Probe what `run` trained on all leads and on I and II, and fine-tune it on I and II.

    Beside `simulated-16k` the same network is trained from random weights.
    """

    def work(name: str, seed: int, one: str) -> None:
        folder = out / f"{one}-{name}-s{seed}/probed"
        kept = folder / "metrics/fine_tune.json"
        if kept.exists():
            return
        fresh_directory(folder / "data")
        values = params.read(real / "params.yaml") | METHODS[one] | {"seed": seed}
        values["encode"] |= {"sets": [], "random": list(SETS)}
        values["linear_probe"] |= {"seeds": 1, "weight_decays": []}
        values["fine_tune"] |= {"ratios": [int(one) for one in ratios.split(",")]}
        scratch = name == KINDS["then-1"].begins
        values["fine_tune"] |= {"leads": SETS[:1], "from_scratch": scratch}
        written(values, folder)
        for linked in LINKED:
            (folder / "data" / linked).symlink_to(real.resolve() / "data" / linked)
        shutil.copytree(folder.parent / "models", folder / "models", dirs_exist_ok=True)
        call("benchmarks.worth", folder, "encode")
        for stage in PROBES:
            call(f"stages.{stage}", folder)
        shutil.rmtree(folder / "data")

    side_by_side(work, product(kind or KINDS, range(seeds), method or ["kmerl"]), at_once)


@app.command()
def encode() -> None:
    """Stage encode on `SETS`, in the folder of a run; `probe` calls it."""
    encoding.lead_sets = lambda params: {key: parse_leads(key) for key in SETS}
    runpy.run_module("stages.encode", run_name="__main__")


def side_by_side(work: Work, wanted: Iterable[tuple[str, int, str]], at_once: int) -> None:
    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(work, kind, seed, one) for kind, seed, one in wanted]:
            done.result()


def prepare(kind: Kind, method: str, seed: int, folder: Path, source: Path) -> None:
    """params.yaml, and the data of a run: links, but for the list of pairs where it is cut."""
    values = params.read(source / "params.yaml") | METHODS[method] | {"seed": seed}
    changes = {"epochs": kind.epochs, "fresh": kind.fresh, "keep": "last", "warmup_epochs": 1.0}
    changes |= {"learning_rate": kind.rate}
    values["pretrain"] |= changes | {"share": 100.0 if kind.beside else float(kind.share)}
    if kind.begins:
        models = folder.with_name(f"{method}-{kind.begins}-s{seed}") / "models"
        digest = sha256(models / WEIGHTS)[:12]
        values["pretrain"]["start_from"] = f"{models.resolve()}@{digest}"
    written(values, folder)
    fresh_directory(folder / "data")
    for name in ("ecg", "labels", "pairs.json"):
        (folder / "data" / name).symlink_to(source.resolve() / "data" / name)
    shutil.copytree(source / "data/text", folder / "data/text")
    shares = {"": 100.0}
    if kind.beside:
        shares = {f"{CORPUS}/": kind.share, f"{SIMULATED}/": kind.beside}
    cut(folder / "data", shares, seed)


def cut(data: Path, shares: Mapping[str, float], seed: int) -> None:
    """Leave that share of the training pairs whose records' names begin so, as `pretrain.share`
    draws them, and no other pairs: none need be validated on where the last epoch is kept."""
    pairs = load_pairs(PairStores.read(data).index(), data / "labels", data / "text")
    records, kept = np.array(pairs.index.records.to_pylist()), []
    for before, share in shares.items():
        named = np.char.startswith(records, before)
        alone = replace(pairs, vector=np.where(named, pairs.vector, -1))
        kept.append(records[alone.shared(share, seed).rows("train")])
    path = data / "text/reports.parquet"
    table = pq.read_table(path)
    wanted = pc.is_in(table["record"], value_set=pa.array(np.concatenate(kept)))
    pq.write_table(table.filter(wanted), path)


def written(values: dict[str, Any], folder: Path) -> None:
    values["runtime"] |= {"threads": 1, "workers": 1}
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(values, sort_keys=False)
    (folder / "params.yaml").write_text(text, encoding="utf-8")


def call(module: str, folder: Path, *given: str) -> str:
    """What a module writes to its output in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, *given]
    done = subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{folder}: {module} failed\n{done.stderr[-2000:]}")
    return done.stdout


@app.command()
def lines(out: Out) -> None:
    """A JSON line a run, to be kept: zero-shot AUROC with intervals, probes, fine-tuning."""
    for folder in sorted(out.glob("*-s*")):
        method, _, rest = folder.name.partition("-")
        kind, _, seed = rest.rpartition("-s")
        if kind not in KINDS or not (folder / "zero_shot.jsonl").exists():
            continue
        line: dict[str, Any] = {"method": method, "kind": kind, "seed": int(seed)}
        line["weights"] = sha256(folder / "models" / WEIGHTS)[:12]
        text = (folder / "zero_shot.jsonl").read_text(encoding="utf-8")
        rows = [json.loads(one) for one in text.splitlines()]
        line["zero_shot"] = {
            task: {
                row["leads"]: [row["auroc"], row["low"], row["high"]]
                for row in rows
                if row["task"] == task
            }
            for task in TASKS
        }
        for name in PROBES:
            path = folder / f"probed/metrics/{name}.json"
            if path.exists():
                line[name] = probed(read_json(path), name)
        typer.echo(json.dumps(rounded(line)))


def probed(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    """AUROC by task, share and leads, and of the untrained encoder."""
    beside = "random_auroc" if name == "linear_probe" else "scratch_auroc"
    return {
        task: {
            share: {
                leads: {
                    "trained": [row.get(f"auroc{end}") for end in ("", "_lo", "_hi")],
                    "untrained": row.get(beside),
                }
                for leads, row in table[task][share].items()
                if leads in SETS
            }
            for share in SHARES
            if share in table[task]
        }
        for task in TASKS
    }


@app.command()
def table(kept: Annotated[Path, typer.Argument(help="What `lines` wrote.")]) -> None:
    """Means over seeds (± their deviation), in Markdown."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in map(json.loads, kept.read_text(encoding="utf-8").splitlines()):
        rows.setdefault((line["method"], line["kind"]), []).append(line)
    typer.echo("| method | trained on | seeds | leads | super | sub | form | rhythm |")
    typer.echo("|---|---|---|---|---|---|---|---|")
    for (method, kind), runs in rows.items():
        for leads in ("12", "I+II", "I"):
            of_task = [[one["zero_shot"][task][leads][0] for one in runs] for task in TASKS]
            cells = [method, kind, str(len(runs)), leads, *map(cell, of_task)]
            typer.echo(f"| {' | '.join(cells)} |")
    typer.echo("\n| method | trained on | seeds | protocol | super | sub | form | rhythm |")
    typer.echo("|---|---|---|---|---|---|---|---|")
    asked = product(rows.items(), PROBES, SETS, SHARES, ("trained", "untrained"))
    for ((method, kind), runs), name, leads, share, which in asked:
        of_runs = [
            [one.get(name, {}).get(task, {}).get(share, {}).get(leads) for task in TASKS]
            for one in runs
        ]
        having = [[found[which] for found in one] for one in of_runs if all(one)]
        values = [
            [v[0] if isinstance(v, list) else v for v in one] for one in zip(*having, strict=True)
        ]
        if any(value is not None for one in values for value in one):
            title = kind if which == "trained" else f"untrained, beside {kind}"
            told = f"{name.replace('_', ' ')}, {share} %, {leads}"
            cells = [method, title, str(len(having)), told, *map(cell, values)]
            typer.echo(f"| {' | '.join(cells)} |")


def cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    return f"{mean(known):.3f}" + (f" ±{stdev(known):.3f}" if len(known) > 1 else "")


if __name__ == "__main__":
    app()
