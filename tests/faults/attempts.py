"""One damaged input and what came of it: the same for the same target and number, anywhere."""

import os
import resource
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from random import Random
from typing import Any

from kmerl import errors
from tests.faults.mutators import mutated
from tests.faults.targets import TARGETS

SECONDS, BYTES = 2.0, 500_000_000  # of processor and beyond what was held: more is a finding
LIBRARY = Path(__file__).parents[2] / "kmerl"
Files = dict[str, bytes]


@dataclass(frozen=True)
class Outcome:
    """`said` is "read", or the type of what was raised; `fault` is empty where nothing is wrong."""

    target: str
    number: int
    said: str
    fault: str = ""
    seconds: float = 0.0
    bytes: int = 0


class TooSlowError(BaseException):
    """No `except Exception` may hold this up."""


class Campaign:
    """The whole inputs of some targets, in memory, to be damaged one after another."""

    def __init__(self, names: tuple[str, ...] = tuple(TARGETS)) -> None:
        with tempfile.TemporaryDirectory() as root:
            self.whole = {name: _written(name, Path(root) / name) for name in names}

    def damaged(self, target: str, number: int) -> Files:
        """All files of one input, one of them changed."""
        random, inputs = Random(f"{target} {number}"), self.whole[target]
        files, other = random.choice(inputs), random.choice(inputs)
        wanted = TARGETS[target].damaged
        name = random.choice([n for n in files if any(PurePath(n).match(g) for g in wanted)])
        spliced = other.get(name) or files[name]
        return files | {name: mutated(name, files[name], spliced, random)}

    def attempt(self, target: str, number: int) -> Outcome:
        return tried(target, number, self.damaged(target, number))


def tried(target: str, number: int, files: Files) -> Outcome:
    """What the target's reader makes of an input, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write(files, Path(folder))
        said, fault = "read", ""
        held, began = _reset_peak(), time.process_time()
        try:
            with _limited(SECONDS), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.filterwarnings("error", module="kmerl")
                TARGETS[target].read(Path(folder))
        except (Exception, TooSlowError) as error:  # ours: what a person reads in words
            said = type(error).__name__
            fault = "" if errors._words(error) else place(error)
        seconds, grown = time.process_time() - began, max(_peak() - held, 0)
    if not fault and (seconds > SECONDS or grown > BYTES):
        fault = "too slow" if seconds > SECONDS else "too much memory"
    return Outcome(target, number, said, fault, seconds, grown)


def place(error: BaseException) -> str:
    """The type and the last line of ours that it went through; no text of the input."""
    frames = traceback.extract_tb(error.__traceback__)
    near = [f for f in frames if Path(f.filename).is_relative_to(LIBRARY)] or frames
    where = Path(near[-1].filename)
    return f"{type(error).__name__} at {where.parent.name}/{where.name}:{near[-1].lineno}"


def write(files: Files, folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def limit_memory(bytes_more: int) -> None:
    """Beyond what this process has of addresses now, an allocation fails: the machine lives on."""
    limit = _status("VmSize") + bytes_more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _written(name: str, root: Path) -> list[Files]:
    root.mkdir()
    TARGETS[name].write(root)
    return [
        {str(p.relative_to(one)): p.read_bytes() for p in sorted(one.rglob("*")) if p.is_file()}
        for one in sorted(root.iterdir())
    ]


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Of processor time, so that a busy machine is no fault; between two steps of the interpreter
    alone, so that a library which never comes back needs a parent that kills the process."""

    def stop(*_: Any) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds + 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _reset_peak() -> int:
    """Bytes that the process holds; from here on Linux measures the peak anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(key: str) -> int:
    with open(f"/proc/{os.getpid()}/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
