"""One process a device: torchrun's environment, one process a visible GPU, or this process."""

import os
import shlex
import socket
import subprocess
from collections.abc import Callable

import torch
from torch import multiprocessing

from kmerl import distributed
from kmerl.errors import clear_errors
from kmerl.runtime import Runtime, device


def run(worker: Callable[[str], None], runtime: Runtime, module: str) -> None:
    """Call `worker(device)` in every process of the training.

    Under torchrun this process is one of them. Otherwise `runtime.launcher` is started, its
    variables of the environment filled in, with `-m module`, which must come here again. Without
    one, a process is started for each of several GPUs; on a CPU or a single GPU the worker runs
    here.

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
        _work(worker, cuda, runtime.threads)
        return
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(_free_port()))
    try:
        multiprocessing.spawn(_spawned, args=(gpus, worker, runtime.threads), nprocs=gpus)
    except multiprocessing.ProcessExitedException as error:
        if error.signal_name is None:  # it has said why
            raise SystemExit(error.exit_code) from None
        raise ChildProcessError(f"a training process was ended by {error.signal_name}") from None


def _spawned(rank: int, gpus: int, worker: Callable[[str], None], threads: int) -> None:
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(gpus), LOCAL_WORLD_SIZE=str(gpus)
    )
    with clear_errors(f"pretrain, process {rank}"):
        _work(worker, True, threads)


def _work(worker: Callable[[str], None], cuda: bool, threads: int) -> None:
    device = "cpu"
    if threads:
        torch.set_num_threads(threads)
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        device = "cuda"
    distributed.join(device)
    try:
        worker(device)
    finally:
        distributed.leave()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
