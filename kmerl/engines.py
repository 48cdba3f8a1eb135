"""Pieces of work on this machine's cores, on a Dask cluster or on a Ray cluster: `Engine.open`.

Pieces are handed out as workers become free, some ahead of them and never all. One whose worker was
lost (killed, out of memory) is done again elsewhere; an error of the work itself ends the run.
Workers have working directories of their own: paths in a piece are absolute, on a disk all see.
"""

import hashlib
import importlib
import importlib.metadata
import logging
import os
import pickle
import socket
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Backend = Literal["loky", "dask", "ray"]

TIMES = 3  # that a piece may lose its process here; Dask and Ray have limits of their own
JOINING = 60  # seconds until an address answers and the first worker is there
DECIDING = ("numpy", "pyarrow", "scipy")
"""Libraries another version of which may write other bytes."""


class EngineError(ValueError):
    """Workers cannot be had, or do not do; the message names the parameter and what to do."""


class LostError(EngineError):
    """The workers of one piece were lost each time; `item` is the piece."""

    def __init__(self, said: str, item: object) -> None:
        super().__init__(said)
        self.item = item


@dataclass(frozen=True)
class Workers:
    """Open workers, by whichever engine.

    `count` says how many pieces can be done at a time just now, `lost` are the errors of a worker
    that is gone, `times` is how often a piece may meet one.
    """

    name: str
    submit: Callable[..., "Future[Any]"]
    count: Callable[[], int]
    lost: tuple[type[BaseException], ...]
    times: int

    def run(
        self, work: Callable[[Item], Result], items: Iterable[Item], *, ordered: bool = False
    ) -> Iterator[Result]:
        """`work` of each item, as they are done or in the order of the items.

        Raises:
            LostError: one of them lost its worker each time.
            EngineError: the engine itself is lost, or a worker has no `kmerl`, or another one.
        """
        fresh = enumerate(items)
        running: dict[Future[Any], tuple[int, Item, int]] = {}
        suspects: list[tuple[int, Item, int]] = []
        ready: dict[int, Result] = {}
        turn = 0
        while True:
            with self._reached():
                room = max(2 * self.count(), 2) - len(running) - len(ready)
            if suspects:  # one by one, so that a piece that kills its worker is known
                begun = [suspects.pop(0)] if not running else []
            else:
                begun = [(number, item, 0) for number, item in islice(fresh, max(room, 0))]
            for piece in begun:
                with self._reached():
                    running[self.submit(_call, work, piece[1], code())] = piece
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number, item, times = running.pop(future)
                try:
                    ready[number] = _value(self._result(future))
                except self.lost:
                    if times + 1 >= self.times:
                        said = f"{self.name}: a worker was killed or crashed, each time that"
                        raise LostError(f"{said} piece {number} was tried", item) from None
                    suspects.append((number, item, times + 1))
            while ready and (not ordered or turn in ready):
                yield ready.pop(turn if ordered else next(iter(ready)))
                turn += 1

    def _result(self, future: "Future[Any]") -> Any:
        try:
            return future.result()
        except self.lost:
            raise
        except CancelledError:
            raise self._gone("its pieces were given up") from None
        except Exception as error:  # before `_call` began, or after its end
            raise EngineError(
                f"{self.name}: a worker cannot run a piece ({_last_line(error)}); it needs this "
                "process's environment, kmerl included"
            ) from None

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise self._gone(_last_line(error)) from None

    def _gone(self, said: str) -> EngineError:
        return EngineError(f"{self.name}: its scheduler went away ({said}); run it again with one")


@dataclass(frozen=True)
class Engine:
    """What does the work: `workers` processes here, or the cluster at `address`, or at that of the
    engine's own environment variable."""

    backend: Backend = "loky"
    workers: int = 1
    address: str = ""

    def open(self) -> AbstractContextManager[Workers]:
        """Workers until the block ends.

        Raises:
            EngineError: the library is not installed, no address is known, nobody answers there.
        """
        if self.backend == "dask":
            return _dask(self._module("distributed"), self._address("DASK_SCHEDULER_ADDRESS"))
        if self.backend == "ray":
            return _ray(self._module("ray"), self._address("RAY_ADDRESS"))
        return _processes(self.workers) if self.workers > 1 else _here()

    def _module(self, name: str) -> Any:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            raise EngineError(
                f"runtime.backend is {self.backend}, and {name} is not installed: "
                f"pip install 'kmerl[{self.backend}]', or set runtime.backend: loky"
            ) from None

    def _address(self, variable: str) -> str:
        found = os.path.expandvars(self.address) or os.environ.get(variable, "")
        if not found or "$" in found:
            given = f"{found!r}, where a variable has no value" if found else "empty"
            raise EngineError(
                f"runtime.backend is {self.backend}, and runtime.address is {given}: it or "
                f"{variable} names the cluster; loky is for the cores of this machine"
            )
        return found


HERE = Engine()


@contextmanager
def _here() -> Iterator[Workers]:
    """In this process, so that a single worker costs no start."""

    def submit(work: Callable[..., Any], *args: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(work(*args))
        return done

    yield Workers("this process", submit, lambda: 0, (), 1)


@contextmanager
def _processes(count: int) -> Iterator[Workers]:
    from joblib.externals.loky import ProcessPoolExecutor

    start = partial(ProcessPoolExecutor, count, env={"OMP_NUM_THREADS": "1"})
    pool = start()

    def submit(work: Callable[..., Any], *args: Any) -> Any:
        nonlocal pool
        with suppress(BrokenProcessPool):
            return pool.submit(work, *args)
        pool = start()
        return pool.submit(work, *args)

    try:
        yield Workers("runtime.backend loky", submit, lambda: count, (BrokenProcessPool,), TIMES)
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise
    pool.shutdown()


@contextmanager
def _dask(distributed: Any, address: str) -> Iterator[Workers]:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # errors are raised here
    name = f"Dask at {address}"
    with _joining(name):
        client = distributed.Client(address, timeout=JOINING, set_as_default=False)
    try:
        with _joining(name):
            client.wait_for_workers(1, timeout=JOINING)
        submit = client.get_executor(pure=False, retries=0).submit
        lost = (distributed.KilledWorker,)
        yield Workers(name, submit, lambda: sum(client.nthreads().values()), lost, 1)
    finally:
        client.close()


@contextmanager
def _ray(ray: Any, address: str) -> Iterator[Workers]:
    name = f"Ray at {address}"
    with _joining(name):
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    call = ray.remote(num_cpus=1, max_retries=TIMES, retry_exceptions=False)(_call)
    said = ray.exceptions
    lost = (said.WorkerCrashedError, said.NodeDiedError, said.OutOfMemoryError)

    def count() -> int:
        return int(ray.cluster_resources().get("CPU", 0))

    try:
        yield Workers(name, lambda _, *args: call.remote(*args).future(), count, lost, 1)
    finally:
        ray.shutdown()


@contextmanager
def _joining(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever stands behind an address that does not answer
        raise EngineError(
            f"{name}: no worker can be had there within {JOINING} s ({_last_line(error)}); is it "
            "running, and is runtime.address right?"
        ) from None


def _last_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[-1][:200]


@dataclass(frozen=True)
class _Failed:
    """An error of the work, and where it was raised, without its words."""

    error: Exception
    places: str


class _ElsewhereError(Exception): ...


def _call(work: Callable[[Item], Result], item: Item, wanted: str) -> Result | _Failed:
    """On a worker. An error is an answer: of a failing call, engines log what it was given."""
    try:
        if code() != wanted:
            raise EngineError(
                f"the worker on {socket.gethostname()} has other code of kmerl, or another version "
                f"of {', '.join(DECIDING)}; give all machines the same environment"
            )
        return work(item)
    except Exception as error:
        places = "".join(traceback.format_tb(error.__traceback__))
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            return _Failed(RuntimeError(type(error).__name__), places)
        return _Failed(error, places)


def _value(answer: Result | _Failed) -> Result:
    if not isinstance(answer, _Failed):
        return answer
    answer.error.__cause__ = _ElsewhereError(answer.places)
    failed: Future[Result] = Future()
    failed.set_exception(answer.error)
    return failed.result()  # not raised here: kmerl.errors would take its words for ours


@cache
def code() -> str:
    """A digest of this library's code and tables, and of the versions of `DECIDING`."""
    folder = Path(__file__).parent
    files = (path for path in folder.rglob("*") if path.suffix in (".py", ".csv", ".yaml"))
    digest = hashlib.sha256(repr([importlib.metadata.version(it) for it in DECIDING]).encode())
    for path in sorted(files):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
