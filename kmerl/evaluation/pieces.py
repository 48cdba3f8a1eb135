"""A stage's work in pieces, dealt out to its processes, and kept until all of them are done.

Processes need not share a disk: each keeps the pieces it made, and the first gets all of them over
the network. Started again, also in another number, they make what nobody kept.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from kmerl import distributed, files
from kmerl.training.checkpoint import fingerprint, root

Arrays = dict[str, np.ndarray]
Work = Callable[[Sequence[str]], Iterable[tuple[str, Arrays]]]
"""Makes the named pieces, in any order."""


@contextmanager
def dealt(
    stage: str, settings: Any, inputs: Iterable[Path], sizes: Mapping[str, float], work: Work
) -> Iterator[dict[str, Arrays] | None]:
    """Every piece of `sizes` by name, in its order, on the first process; None on the others.

    When the block ends without an error, what was kept is removed.

    Args:
        settings, inputs: what decides the pieces, beside the code: with others nothing is taken up.
            Inputs are files, and folders with all in them.
        sizes: of each piece, by name: how much work it is beside the others.

    Raises:
        ValueError: on every process, if these are not the same on all of them.
    """
    name = fingerprint([settings, sizes], [file for path in inputs for file in _files(path)])
    distributed.check_same(name, "cpu", "params.yaml, data/ or the code")
    folder = root(Path.cwd()) / f"{stage}-{name}"
    made = _kept(folder, list(sizes))
    known = {piece for one in distributed.of_each(list(made)) for piece in one}
    missing = {piece: size for piece, size in sizes.items() if piece not in known}
    mine = deal(missing, distributed.world_size())[distributed.rank()]
    with distributed.alone():
        for piece, arrays in work(mine) if mine else ():
            _keep(folder / piece, arrays)
            made[piece] = arrays
    found = dict(distributed.to_first(list(made.items())))
    yield {piece: found[piece] for piece in sizes} if distributed.is_main() else None
    distributed.wait()
    shutil.rmtree(folder, ignore_errors=True)


def deal(sizes: Mapping[str, float], processes: int) -> list[list[str]]:
    """The names of each process: the largest first, each to whoever has least to do."""
    loads: list[float] = [0.0] * processes
    given: list[list[str]] = [[] for _ in loads]
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        least = loads.index(min(loads))
        loads[least] += sizes[name]
        given[least].append(name)
    return given


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _kept(folder: Path, names: Sequence[str]) -> dict[str, Arrays]:
    """Of what whole files hold, this process's share: those that are on its own disk alone, and its
    part of those that others find there, too."""
    there = [name for name in names if (folder / name).exists()]
    holders = distributed.of_each(there)
    found: dict[str, Arrays] = {}
    for number, name in enumerate(names):
        ranks = [rank for rank, one in enumerate(holders) if name in one]
        if ranks and ranks[number % len(ranks)] == distributed.rank():
            arrays = _read(folder / name)
            found |= {} if arrays is None else {name: arrays}
    return found


def _keep(path: Path, arrays: Arrays) -> None:
    """By a name of this process's own: two queued experiments may share this work."""
    own = path.with_name(f"{path.name}.{distributed.rank()}-{os.getpid()}")
    with files.atomic(own, sum(value.nbytes for value in arrays.values())) as partial:
        save_file(arrays, partial, {"sha256": _digest(path.name, arrays)})
    own.replace(path)


def _read(path: Path) -> Arrays | None:
    """None where the file is damaged or gone: the piece is made again."""
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            digest = (file.metadata() or {}).get("sha256")
    except Exception:  # whatever the bytes made the library raise
        return None
    return arrays if digest == _digest(path.name, arrays) else None


def _digest(name: str, arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(arrays.items()):
        digest.update(json.dumps([name, key, value.dtype.str, value.shape]).encode())
        digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()
