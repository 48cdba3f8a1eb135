"""`make chaos`: what may happen to a run is done to a small one; prints what was tried and held.

Kills (SIGKILL of the whole process group) at random times, a full disk at each stage, damaged
checkpoints and two runs at once, each in a clone of the last commit. What is compared is
an undisturbed run of the same clone: dvc.lock, metrics, plots and weights, byte for byte.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kmerl.experiments.after_kill import mend
from kmerl.experiments.stages import Stage
from tests.faults.small_runs import (
    BrokenError,
    chain,
    check,
    clear,
    clone,
    finish,
    leftovers,
    living,
    printed,
    start,
    undisturbed,
    whole,
)
from tests.import_closure import ROOT

MOMENT = 10  # seconds in which all processes of a killed group must be gone
PAUSE = 0.2
BEFORE, PATIENCE = "before the first stage", 2


def kills(work: Path, reference: Path, count: int, longest: float, seed: int) -> Iterator[str]:
    """Each run goes on where the killed one was; one that ends is compared and begun anew."""
    drawn, run = random.Random(seed), work / "killed"
    if not run.exists():
        clone(run)
    done = {"kills": 0, "whole runs": 0}
    mended: dict[str, int] = {}
    stages: dict[str, int] = {}
    again, last = 0, ""  # kills in a row at one stage, which gets more time with each
    while done["kills"] < count:
        process = start(run, "dvc", "repro")
        try:
            status = process.wait(drawn.uniform(0, longest * (1 + again / PATIENCE)))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            done["kills"] += 1
            said = printed(run)
            asked = re.findall(r"Running stage '([^']+)'", said)
            at = asked[-1].split("@")[0] if asked else BEFORE
            again = again + 1 if at in (last, BEFORE) else 0
            last = last if at == BEFORE else at
            stages[at] = stages.get(at, 0) + 1
            until = time.monotonic() + MOMENT
            while living(run) and time.monotonic() < until:
                time.sleep(PAUSE)
            if living(run):
                raise BrokenError(
                    f"after kill {done['kills']} these live on: {living(run)}"
                ) from None
            for line in mend(run):
                mended[line] = mended.get(line, 0) + 1
            print(f"  kill {done['kills']} at {at}, {mended}", flush=True)
            continue
        if status:
            said = printed(run)
            raise BrokenError(f"after kill {done['kills']}: {said[-3000:]}")
        check(run, reference)
        done["whole runs"] += 1
        clear(run)
    whole(run)
    check(run, reference)
    yield f"{done}, last stage begun before them: {stages}; {mended or 'nothing to mend'}"
    yield "dvc.lock, metrics, plots and weights are those of the undisturbed run; no process left"


@contextmanager
def small_disk(at: Path, size: int) -> Iterator[Path]:
    """A tmpfs of `size` bytes.

    Raises:
        PermissionError: this user may mount none.
    """
    at.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at)]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        raise PermissionError("no tmpfs may be mounted here (root alone may)")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def size_of(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def full_disks(work: Path, reference: Path) -> Iterator[str]:
    """Each stage once where a third of what it writes has room, and again when there is more."""
    pipeline = chain(reference)
    by_address = {stage.address: stage for stage in pipeline.stages}
    tree = size_of(reference) - size_of(reference / ".git") - size_of(reference / ".dvc")
    try:
        with small_disk(work / "disk", 2 * tree + (64 << 20)) as disk:
            run = disk / "full"
            ignored = shutil.ignore_patterns(".git", ".dvc")
            shutil.copytree(reference, run, ignore=ignored)
            for address in pipeline.order:
                yield _full_disk(run, reference, by_address[address])
    except PermissionError as error:
        yield f"left out: {error}"


def _full_disk(run: Path, reference: Path, stage: Stage) -> str:
    outs = [Path(out) for out in stage.outs]
    written = sum(size_of(reference / out) for out in outs)
    for out in outs:  # as DVC does before a stage
        shutil.rmtree(run / out) if (run / out).is_dir() else (run / out).unlink(missing_ok=True)
    ballast = run.parent / "ballast"
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(run).free - written // 3)
    command = stage.cmd.replace("python", sys.executable, 1).split()
    status, said = finish(run, *command)
    torn = [path.name for path in run.rglob("*.partial")]
    ballast.unlink()
    message = (said.strip().splitlines() or ["nothing said"])[-1][:200]
    if not status or torn:
        raise BrokenError(f"{stage.address} on a full disk: exit status {status}, torn {torn}")
    status, again = finish(run, *command)
    differ = [str(out) for out in outs if not same(run / out, reference / out)]
    if status or differ:
        raise BrokenError(f"{stage.address} with room again: {status}, {differ}, {again[-1500:]}")
    clear_said = "no space left on" in said.lower()
    return f"{stage.address}: {'clear' if clear_said else 'UNCLEAR'}, went on after ({message})"


def same(one: Path, other: Path) -> bool:
    files = [one] if one.is_file() else sorted(p for p in one.rglob("*") if p.is_file())
    twins = [other] if other.is_file() else sorted(p for p in other.rglob("*") if p.is_file())
    return [p.read_bytes() for p in files] == [p.read_bytes() for p in twins]


DAMAGES = {
    "a bit flipped": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 4])
    + data[len(data) // 2 + 1 :],
    "cut in half": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "another file": lambda data: b"PK\3\4 of something else",
}  # fmt: skip


def damaged_checkpoints(work: Path, reference: Path) -> Iterator[str]:
    """A training killed after its second epoch, its newest checkpoint damaged, and its two."""
    run = work / "checkpoints"
    for both in (False, True):
        for name, damage in list(DAMAGES.items())[: 1 if both else None]:
            shutil.rmtree(run, ignore_errors=True)
            shutil.copytree(reference, run, ignore=shutil.ignore_patterns(".git", ".dvc"))
            shutil.rmtree(run / "models")
            process = start(run, sys.executable, "-m", "stages.pretrain")
            while process.poll() is None and len(kept := sorted(run.glob(".checkpoints/*.pt"))) < 2:
                time.sleep(PAUSE / 10)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kept = sorted(run.glob(".checkpoints/*.pt"))
            for path in kept if both else kept[-1:]:
                path.write_bytes(damage(path.read_bytes()))
            status, said = finish(run, sys.executable, "-m", "stages.pretrain")
            if status or kept[-1].name not in said:
                raise BrokenError(f"checkpoint {name}: {status}, {said[-2000:]}")
            if not same(run / "models", reference / "models") or leftovers(run):
                raise BrokenError(f"checkpoint {name}: other weights, or {leftovers(run)}")
            yield f"{'both' if both else 'the newest'} {name}: named, the same weights after"


def two_at_once(work: Path, reference: Path) -> Iterator[str]:
    """Two `dvc repro` of one folder; one may be refused, and then a third has nothing to mend."""
    run = clone(work / "twice")
    both = [start(run, "dvc", "repro", "--quiet") for _ in range(2)]
    ends = [process.wait() for process in both]
    mend(run)
    whole(run)
    check(run, reference)
    yield f"two dvc repro at once ended with {ends}; after a third all is as undisturbed"


def redirects(_work: Path, _reference: Path) -> Iterator[str]:
    """Servers that answer with a redirect: the tests of the client that say so."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-k", "redirect", "tests"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode not in (0, 5):
        raise BrokenError(found.stdout[-2000:])
    yield found.stdout.strip().splitlines()[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all of them where none")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--longest", type=float, default=30.0, help="seconds until a kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="where clones are made and stay")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (chosen.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        reference = undisturbed(work)
        PARTS["kills"] = lambda *sides: kills(*sides, chosen.kills, chosen.longest, chosen.seed)
        broken = 0
        for name in chosen.parts or PARTS:
            begun = time.monotonic()
            try:
                for line in PARTS[name](work, reference):
                    print(f"{name}: {line}", flush=True)
            except BrokenError as error:
                broken += 1
                print(f"{name}: BROKEN {error}", flush=True)
            print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
    print("all held" if not broken else f"{broken} of them did not hold")
    return bool(broken)


PARTS = {
    "redirects": redirects,
    "checkpoints": damaged_checkpoints,
    "disks": full_disks,
    "twice": two_at_once,
    "kills": kills,
}

if __name__ == "__main__":
    raise SystemExit(main())
