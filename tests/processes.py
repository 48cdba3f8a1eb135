"""Two gloo processes on this machine, for what must not depend on their number."""

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import multiprocessing

from kmerl import distributed


def in_two_processes(work: Callable[[int], Any]) -> list[Any]:
    """What `work(rank)` returns in each; a function of a module, which returns tensors."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(_run, args=(work, port, folder), nprocs=2)
        return [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


def _run(rank: int, work: Callable[[int], Any], port: int, folder: str) -> None:
    os.environ.update(
        RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    torch.set_num_threads(1)
    distributed.join("cpu")
    torch.save(work(rank), Path(folder) / f"{rank}.pt")
    distributed.leave()
