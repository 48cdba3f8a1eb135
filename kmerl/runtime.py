"""How this machine runs the chain: nothing here changes a result, so no stage lists it."""

import os
from dataclasses import dataclass

from kmerl import params


@dataclass(frozen=True)
class Server:
    """The `runtime.llm` section: the LLM server that a stage starts, and how hard it is asked."""

    command: str
    arguments: tuple[str, ...]
    tensor_parallel: int
    data_parallel: int
    start_timeout: float
    concurrency: int
    timeout: float
    retries: int


@dataclass(frozen=True)
class Runtime:
    """The `runtime` section of params.yaml."""

    workers: int
    backend: str
    threads: int
    device: str
    llm: Server

    @property
    def worker_count(self) -> int:
        """Processes to use; 0 in params.yaml means one a core."""
        return self.workers or len(os.sched_getaffinity(0))

    @property
    def thread_count(self) -> int:
        """Threads of one process; 0 in params.yaml means one a core."""
        return self.threads or len(os.sched_getaffinity(0))


def load() -> Runtime:
    return params.load("runtime", Runtime)
