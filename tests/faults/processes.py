"""Jobs in processes that may die or hang, of which each is then a result like any other."""

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

HUNG = 30.0  # seconds without an answer: a library loops, or waits for what never comes


class Death(NamedTuple):
    """How a process ended at a job: "died" with its exit code, or "hung" and was killed."""

    how: str
    code: int | None


class _Worker:
    """A process and the job that it is at; `make()` gives it what does a job."""

    def __init__(self, context: Any, make: Callable[[], Callable[[Any], Any]]) -> None:
        self.pipe, end = context.Pipe()
        self.process = context.Process(target=_work, args=(make, end), daemon=True)
        self.process.start()
        end.close()
        self.job: Any = None
        self.since = time.monotonic()

    def give(self, job: Any) -> None:
        self.job, self.since = job, time.monotonic()
        self.pipe.send(job)

    def answer(self) -> Any:
        try:
            found, trace = self.pipe.recv()
        except (EOFError, ConnectionError):
            return self.end("died")
        if trace:
            raise RuntimeError(f"the campaign itself has a fault at {self.job}:\n{trace}")
        return found

    def end(self, how: str) -> Death:
        if how == "hung":
            self.process.kill()
        self.process.join()
        if self.job is None:
            raise RuntimeError("a process of the campaign ended before its first input")
        return Death(how, self.process.exitcode)


def run(
    jobs: Iterable[Any],
    make: Callable[[], Callable[[Any], Any]],
    processes: int,
    preload: str = "",
    hung: float = HUNG,
) -> Iterator[tuple[Any, Any]]:
    """Each job, None being none, and what came of it or a `Death`; in the order in which they end.

    Args:
        make: called once in each process; gives what is called with each job.
        preload: a module that all processes share.
    """
    context, waiting = multiprocessing.get_context("forkserver"), iter(jobs)
    context.set_forkserver_preload([preload] if preload else [])
    workers = [_Worker(context, make) for _ in range(processes)]
    while workers:
        ready = wait([worker.pipe for worker in workers], timeout=min(hung, 1.0))
        for worker in list(workers):
            late = worker.job is not None and time.monotonic() - worker.since > hung
            if worker.pipe not in ready and not late:
                continue
            job, found = worker.job, worker.answer() if worker.pipe in ready else worker.end("hung")
            if job is not None:
                yield job, found
            if isinstance(found, Death):
                workers.remove(worker)
                workers.append(_Worker(context, make))
            elif (following := next(waiting, None)) is None:
                worker.give(None)
                workers.remove(worker)
                worker.process.join()
            else:
                worker.give(following)


def _work(make: Callable[[], Callable[[Any], Any]], pipe: Connection) -> None:
    """Jobs in, results out, until None comes; first of all a result of nothing: it is ready."""
    job, attempt = None, make()
    pipe.send((None, ""))
    while (job := pipe.recv()) is not None:
        try:
            pipe.send((attempt(job), ""))
        except BaseException:  # of the harness: an attempt catches all that a reader raises
            pipe.send((None, traceback.format_exc()))
