"""Whole runs of the chain, small, each in a clone of the last commit, and how two are compared."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from kmerl.experiments.stages import Pipeline, read
from kmerl.files import read_yaml
from tests.import_closure import ROOT

SMALL = {
    "synthesize.records": {"mimic-iv-ecg": 48, "ptb-xl": 80, "cpsc2018": 24, "csn": 24},
    "ingest.shard": 16, "pretrain.epochs": 4, "pretrain.batch": 8,
    "query_network.width": 16, "query_network.layers": 1, "query_network.mlp": 16,
    "encode.orders": ["paper"], "encode.sets": ["I+II"], "encode.random": ["12"],
    "linear_probe.epochs": 2, "linear_probe.warmup_epochs": 1, "linear_probe.seeds": 1,
    "linear_probe.weight_decays": [], "fine_tune.epochs": 1, "fine_tune.from_scratch": False,
    "statistics.replicates": 10, "statistics.min_positives": 1,
    "runtime.workers": 2, "runtime.threads": 1,
}  # fmt: skip
COMPARED = ("metrics", "plots", "models")
OUTPUTS = (
    *COMPARED,
    "dvc.lock",
    "raw",
    "data",
    "report",
    "live",
    ".checkpoints",
    ".dvc/cache",
    ".dvc/tmp",
)


class BrokenError(Exception):
    """Something did not hold."""


def clone(to: Path) -> Path:
    """The last commit, with parameters small enough for minutes."""
    shutil.rmtree(to, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(to)], check=True)
    values = read_yaml(to / "params.yaml")
    for key, value in SMALL.items():
        section, name = key.split(".")
        values[section][name] = value
    (to / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    clear(to)
    return to


def clear(run: Path) -> None:
    """All outputs gone, as in a run that has not begun."""
    for name in OUTPUTS:
        if (run / name).is_dir():
            shutil.rmtree(run / name)
        else:
            (run / name).unlink(missing_ok=True)


def log_of(run: Path) -> Path:
    """Outside of the run, which may lie on a full disk."""
    return Path(tempfile.gettempdir()) / f"chaos-{os.getpid()}-{run.name}.log"


def printed(run: Path) -> str:
    return log_of(run).read_text(encoding="utf-8", errors="replace")


def start(run: Path, *command: str) -> subprocess.Popen[str]:
    """A command in a process group of its own, what it prints kept in `log_of`."""
    environment = os.environ | {
        "PYTHONPATH": str(run), "PYTHONDONTWRITEBYTECODE": "1", "DVC_NO_ANALYTICS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    with open(log_of(run), "w", encoding="utf-8") as log:
        return subprocess.Popen(
            command, cwd=run, env=environment, stdout=log, stderr=log, text=True,
            start_new_session=True,
        )  # fmt: skip


def finish(run: Path, *command: str) -> tuple[int, str]:
    """Exit status and what was printed."""
    status = start(run, *command).wait()
    return status, printed(run)


def whole(run: Path) -> None:
    status, said = finish(run, "dvc", "repro", "--quiet")
    if status:
        raise BrokenError(f"{run.name}: dvc repro ended with {status}: {said[-2000:]}")


def undisturbed(work: Path) -> Path:
    """A whole run of this commit; one that is there is taken."""
    run, done = work / "undisturbed", work / "undisturbed.commit"
    commit = subprocess.check_output(["git", "-C", ROOT, "rev-parse", "HEAD"], text=True)
    if not (done.exists() and done.read_text() == commit):
        whole(clone(run))
        done.write_text(commit)
    return run


def differing(run: Path, reference: Path) -> list[str]:
    """Files of `COMPARED` that are not the same bytes in both, and stages of dvc.lock."""
    names = {
        path.relative_to(side).as_posix()
        for side in (run, reference)
        for name in COMPARED
        for path in [side / name, *(side / name).rglob("*")]
        if path.is_file()
    }
    one, other = locked(run), locked(reference)
    stages = [f"dvc.lock: {address}" for address in one if one[address] != other[address]]
    return stages + sorted(
        name
        for name in names
        if not ((run / name).exists() and (reference / name).exists())
        or (run / name).read_bytes() != (reference / name).read_bytes()
    )


def locked(run: Path) -> dict[str, object]:
    """What dvc.lock says of each stage; a mended one may keep stages that are no more."""
    stages = read_yaml(run / "dvc.lock")["stages"]
    return {address: stages.get(address) for address in chain(run).order}


def chain(run: Path) -> Pipeline:
    return read(read_yaml(run / "params.yaml"), run / "dvc.yaml")


def leftovers(run: Path) -> list[str]:
    """Unfinished files and checkpoints in a run that is done."""
    data = [path for name in ("data", "models", "report") for path in (run / name).rglob(".*")]
    found = [*run.rglob("*.partial"), *data, *(run / ".checkpoints").glob("*")]
    return [path.relative_to(run).as_posix() for path in found if ".git" not in path.parts]


def living(run: Path) -> list[int]:
    """Processes that work in the run's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = (process / "cwd").readlink()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if here == run and state != "Z":
            found.append(int(process.name))
    return found


def check(run: Path, reference: Path) -> None:
    wrong = {"differ": differing(run, reference), "left": leftovers(run), "live": living(run)}
    if any(wrong.values()):
        raise BrokenError(f"{run.name}: {wrong}")
