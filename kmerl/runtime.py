"""How this machine runs the chain: it changes results by rounding alone, so no stage lists it."""

import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

from kmerl import params
from kmerl.engines import Backend, Engine
from kmerl.errors import repository
from kmerl.params import Count, CountOrZero, Positive, checked

Item = TypeVar("Item")
Result = TypeVar("Result")


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
    backend: Backend
    address: str
    threads: CountOrZero
    device: Literal["auto", "cpu", "cuda"]
    launcher: str
    save_minutes: Positive
    cache: str
    chunk: CountOrZero
    compile: bool
    llm: Server

    @property
    def worker_count(self) -> int:
        """Processes to use; 0 in params.yaml means one a core."""
        return self.workers or len(os.sched_getaffinity(0))

    @property
    def engine(self) -> Engine:
        """Who does pieces of work side by side."""
        return Engine(self.backend, self.worker_count, self.address)

    @property
    def thread_count(self) -> int:
        """Threads of one process; 0 in params.yaml means one a core, which the processes that a
        launcher started on this machine share."""
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        return self.threads or max(1, len(os.sched_getaffinity(0)) // here)

    @property
    def cache_folder(self) -> Path | None:
        """Where decoded copies of stores lie, variables of the environment and ~ filled in; below
        the repository where it says no more, also for a queued experiment."""
        if not self.cache:
            return None
        return repository(Path.cwd()) / Path(os.path.expandvars(self.cache)).expanduser()


def load() -> Runtime:
    return params.load("runtime", Runtime)


def device(runtime: Runtime) -> str:
    """ "cuda" or "cpu", as `runtime.device` says; auto takes a GPU where there is one."""
    import torch  # slow to import, and not every stage needs it

    if runtime.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return runtime.device


def side_by_side(runtime: Runtime, device: str, on_gpu: int = 1) -> int:
    """How many pieces of work a device does at a time; sets torch's own threads to suit.

    On a CPU a thread a piece beats a thread a matrix, and the sums of a piece keep their order. On
    a GPU one piece has it all, or `on_gpu` share it where the CPU has much to do for each.
    """
    import torch

    if device != "cpu":
        return on_gpu
    torch.set_num_threads(1)
    return runtime.thread_count


def devices(runtime: Runtime) -> list[str]:
    """Where pieces of work run side by side: on each GPU one, on a CPU one a thread."""
    import torch

    if device(runtime) == "cuda":
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu"] * side_by_side(runtime, "cpu")


def in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    *,
    ahead: int | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Result]:
    """`work` of each item, in the order of `items`, by several threads.

    The first error to occur is raised. It ends what has not begun, as does leaving the loop early;
    what has begun ends too where `work` looks at `stop`.

    Args:
        ahead: how many items, and their results, are held beside the one asked for; None is all.
    """
    stop = stop or threading.Event()
    errors: list[BaseException] = []

    def watched(item: Item) -> Result:
        try:
            return work(item)
        except BaseException as error:
            errors.append(error)
            stop.set()
            raise

    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(contextvars.copy_context().run, watched, item))
            if ahead is not None and len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException as error:
        stop.set()
        if errors and isinstance(error, Exception):  # perhaps not the first, but stopped by it
            raise errors[0] from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)
