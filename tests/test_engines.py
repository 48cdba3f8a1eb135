"""Handing out work: order, how far ahead, lost workers, errors, and what is said of an engine."""

import os
import time
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from signal import SIGKILL

import pytest

from kmerl import engines
from kmerl.engines import HERE, Engine, EngineError, LostError, Workers
from kmerl.errors import ended

TWO = Engine(workers=2)


def doubled(item):
    time.sleep(0.2 * (item == 0))
    return 2 * item


def run(engine, work, items, **how):
    with engine.open() as workers:
        return list(workers.run(work, items, **how))


@pytest.mark.parametrize("engine", [HERE, TWO])
def test_every_item_is_done_and_ordered_where_that_is_asked(engine):
    assert run(engine, doubled, range(9), ordered=True) == [2 * item for item in range(9)]
    assert sorted(run(engine, doubled, range(9))) == [2 * item for item in range(9)]
    assert run(engine, doubled, []) == []


@pytest.mark.parametrize("ordered", [True, False])
def test_items_are_taken_as_they_are_needed(ordered):
    taken = []
    with HERE.open() as workers:
        done = workers.run(
            doubled, (taken.append(item) or item for item in range(99)), ordered=ordered
        )
        for _ in range(5):
            next(done)
    assert len(taken) <= 7


def killed_once(folder, item):
    """Kills its process at the first try of two items, and always of the item 99."""
    (folder / str(item)).open("a").write("x")
    if item == 99 or (item in (3, 4) and (folder / str(item)).stat().st_size == 1):
        os.kill(os.getpid(), SIGKILL)
    return item


def test_a_lost_piece_is_done_again_and_one_that_kills_is_named(tmp_path):
    assert sorted(run(TWO, partial(killed_once, tmp_path), range(8))) == list(range(8))
    with pytest.raises(LostError, match="killed or crashed, each time that piece 1 was") as lost:
        run(TWO, partial(killed_once, tmp_path), [5, 99, 6, 7])
    assert lost.value.item == 99
    assert (tmp_path / "99").stat().st_size == engines.TIMES


def failing(item):
    if item == 2:
        raise KeyError("sinus" + " rhythm")
    if item == 3:
        raise EngineError("our own")
    return item


@pytest.mark.parametrize("engine", [HERE, TWO])
def test_an_error_of_the_work_is_raised_once_with_its_place_and_is_not_ours(
    engine, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyError) as error:
        run(engine, failing, [1, 2])
    ended(error.value, "a stage")
    assert "sinus" not in capsys.readouterr().err
    kept = Path(".kmerl/a-stage.txt").read_text()
    assert "in failing" in kept
    assert "sinus rhythm" not in kept
    with pytest.raises(EngineError, match="our own") as error:
        run(engine, failing, [3])


class _UnpicklableError(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def unpicklable(item):
    raise _UnpicklableError("sinus", "rhythm")


def test_an_error_that_does_not_travel_has_its_kind():
    with pytest.raises(RuntimeError, match=r"^_UnpicklableError$"):
        run(TWO, unpicklable, [1])


def test_a_worker_of_other_code_is_refused(monkeypatch):
    monkeypatch.setattr(engines, "code", iter(["here", "there"]).__next__)
    with pytest.raises(EngineError, match="has other code of kmerl"):
        run(HERE, doubled, [1])


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (Engine("dask"), r"runtime\.address is empty: it or DASK_SCHEDULER_ADDRESS names"),
        (
            Engine("ray", address="$NOWHERE:1"),
            r"runtime\.address is '\$NOWHERE:1', where a variable has no value",
        ),
    ],
)
def test_no_address_is_said(engine, said, monkeypatch):
    monkeypatch.setattr(engines.importlib, "import_module", lambda name: None)
    for name in ("DASK_SCHEDULER_ADDRESS", "RAY_ADDRESS", "NOWHERE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EngineError, match=said):
        engine.open()


@pytest.mark.parametrize(("backend", "name"), [("dask", "distributed"), ("ray", "ray")])
def test_a_library_that_is_not_installed_is_said(backend, name, monkeypatch):
    def missing(module):
        raise ModuleNotFoundError(module)

    monkeypatch.setattr(engines.importlib, "import_module", missing)
    with pytest.raises(
        EngineError, match=rf"{name} is not installed: pip install 'kmerl\[{backend}\]'"
    ):
        Engine(backend, address="host:1").open()


def test_an_engine_that_goes_away_is_said():
    def submit(*_):
        future = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future

    with pytest.raises(EngineError, match=r"Dask: its scheduler went away \(its"):
        list(Workers("Dask", submit, lambda: 1, (), 1).run(doubled, [1]))
