"""One process a device: torchrun's environment, one process a visible GPU, or this process."""

import os
import shlex
import socket
import subprocess
from collections.abc import Callable
from datetime import timedelta

import torch
from torch import multiprocessing

from kmerl import distributed
from kmerl.errors import clear_errors
from kmerl.runtime import Runtime, device

PATIENCE = timedelta(days=30)
"""How long a process waits for one that has more to do. Whoever dies ends the others at once."""


def run(
    worker: Callable[[str], None], runtime: Runtime, module: str, *, apart: bool = False
) -> None:
    """Call `worker(device)` in every process of a stage.

    Under torchrun this process is one of them. Otherwise `runtime.launcher` is started, its
    variables of the environment filled in, with `-m module`, which must come here again. Without
    one, a process is started for each of several GPUs; on a CPU or a single GPU the worker runs
    here.

    Args:
        apart: processes do not compute in step, they deal out pieces (`evaluation.pieces`): they
            meet seldom, on the CPU; several may share a GPU, and `device` has its number.

    Raises:
        SystemExit: the launcher failed; its own messages are above.
    """
    if runtime.launcher and "WORLD_SIZE" not in os.environ:
        command = [*shlex.split(os.path.expandvars(runtime.launcher)), "-m", module]
        status = subprocess.run(command, check=False).returncode
        if status:
            raise SystemExit(status if status > 0 else 128 - status)
        return
    cuda = device(runtime) == "cuda"
    gpus = torch.cuda.device_count() if cuda else 0
    if "WORLD_SIZE" in os.environ or gpus <= 1:
        _work(worker, cuda, runtime.threads, apart)
        return
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(_free_port()))
    stage = module.rpartition(".")[2]
    arguments = gpus, stage, worker, runtime.threads, apart
    try:
        multiprocessing.spawn(_spawned, args=arguments, nprocs=gpus)
    except multiprocessing.ProcessExitedException as error:
        if error.signal_name is None:  # it has said why
            raise SystemExit(error.exit_code) from None
        raise ChildProcessError(f"a process of {stage} was ended by {error.signal_name}") from None


def _spawned(
    rank: int, gpus: int, stage: str, worker: Callable[[str], None], threads: int, apart: bool
) -> None:
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(gpus), LOCAL_WORLD_SIZE=str(gpus)
    )
    with clear_errors(f"{stage}, process {rank}"):
        _work(worker, True, threads, apart)


def _work(worker: Callable[[str], None], cuda: bool, threads: int, apart: bool) -> None:
    device = "cpu"
    if threads:
        torch.set_num_threads(threads)
    if cuda:
        number = int(os.environ.get("LOCAL_RANK", "0"))
        number = number % torch.cuda.device_count() if apart else number
        torch.cuda.set_device(number)
        device = f"cuda:{number}" if apart else "cuda"  # whatever thread works there
    if apart:
        distributed.join("cpu", PATIENCE)
    else:
        distributed.join(device)
    try:
        worker(device)
    finally:
        distributed.leave()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
