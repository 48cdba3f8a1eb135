"""How this machine runs the chain: nothing here changes a result, so no stage lists it."""

import os
from typing import Literal

from kmerl import params
from kmerl.params import Count, CountOrZero, Positive, checked


@checked
class Server:
    """The `runtime.llm` section: the LLM server that a stage starts, and how hard it is asked."""

    command: str
    arguments: tuple[str, ...]
    tensor_parallel: Count
    data_parallel: Count
    start_timeout: Positive
    concurrency: Count
    timeout: Positive
    retries: CountOrZero


@checked
class Runtime:
    """The `runtime` section of params.yaml."""

    workers: CountOrZero
    backend: str
    threads: CountOrZero
    device: Literal["auto", "cpu", "cuda"]
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
