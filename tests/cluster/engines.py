"""Ingest by a Dask scheduler with two workers and by two Ray nodes, on this machine, in working
folders of their own; one worker is killed midway.

    python -m pytest --numprocesses=0 tests/cluster/engines.py
"""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from kmerl.engines import Engine, EngineError
from tests import official_layouts as layouts
from tests.import_closure import ROOT
from tests.official_layouts import run
from tests.test_staging import contents

RECORDS, SHARD = 240, 4
RAY = ("--block", "--num-cpus=1", "--disable-usage-stats", "--object-store-memory=80000000")


@pytest.fixture
def start(tmp_path):
    """Starts `python -m` what it is given, in a folder of its own; ended with its children."""
    begun = []

    def start(*command):
        here = tmp_path / f"node-{len(begun)}"
        here.mkdir()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with open(here / "log", "w") as log:
            told = {"stdout": log, "stderr": subprocess.STDOUT, "cwd": here, "env": environment}
            begun.append(psutil.Popen([sys.executable, *command], **told))
        begun[-1].log = here / "log"
        return begun[-1]

    yield start
    for process in begun:
        every = [*process.children(recursive=True), process] if process.is_running() else []
        for one in every:
            one.kill()
        process.wait()
    assert "sinus rhythm" not in "".join(path.read_text() for path in tmp_path.glob("node-*/log"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(found, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s")


def dask(start):
    pytest.importorskip("distributed", reason="distributed is not installed: make setup-dev")
    address = f"127.0.0.1:{free_port()}"
    host, port = address.split(":")
    quiet = ("--no-dashboard",)
    start("-m", "distributed.cli.dask_scheduler", "--host", host, "--port", port, *quiet)
    worker = ("-m", "distributed.cli.dask_worker", address, "--nthreads", "1", *quiet)
    return Engine("dask", address=address), [start(*worker), start(*worker)]


def ray(start):
    pytest.importorskip("ray", reason="ray is not installed: make setup-dev")
    port, script = free_port(), ("-m", "ray.scripts.scripts", "start")
    head = start(*script, "--head", f"--port={port}", "--include-dashboard=false", *RAY)
    address = until(lambda: re.findall("--address='(.+)'", said(head)))[0]
    second = start(*script, f"--address={address}", *RAY)
    until(lambda: "runtime started" in said(second))
    return Engine("ray", address=address), [head, second]


def said(node):
    assert node.is_running() and node.status() != psutil.STATUS_ZOMBIE, node.log.read_text()
    return node.log.read_text()


def working(node):
    """The processes of a node that do pieces."""
    marks = ("ray::_call", "spawn_main")
    return [
        child
        for child in node.children(recursive=True)
        if any(mark in " ".join(child.cmdline()) for mark in marks)
    ]


@contextmanager
def killed_midway(node, notes):
    """A worker of `node` is killed when a quarter of the shards are done."""
    killed = []

    def kill():
        until(lambda: len([*notes()]) >= RECORDS // SHARD // 4)
        victim = until(lambda: working(node))[0]
        victim.kill()
        killed.append(len([*notes()]))

    thread = threading.Thread(target=kill)
    thread.start()
    yield killed
    thread.join()


@pytest.mark.parametrize("cluster", [dask, ray])
def test_a_cluster_writes_the_same_store_though_a_worker_is_killed(tmp_path, start, cluster):
    root = layouts.ptbxl(tmp_path / "ptb-xl", RECORDS)
    wanted, _ = run("ptb-xl", root, tmp_path / "here", workers=2, shard=SHARD)
    engine, nodes = cluster(start)
    with engine.open() as workers:
        until(lambda: workers.count() == 2)
        assert len(set(workers.run(place, [0.3] * 8))) == 2
    out = tmp_path / "there"
    with killed_midway(nodes[1], lambda: out.glob(".store-*/notes/*")) as killed:
        counts, rejected = run("ptb-xl", root, out, engine=engine, shard=SHARD)
    assert killed[0] < RECORDS // SHARD
    assert (counts, rejected) == (wanted, {})
    assert contents(out) == contents(tmp_path / "here")


def place(seconds):
    time.sleep(seconds)
    return Path.cwd()


@pytest.mark.parametrize("cluster", [dask, ray])
def test_an_error_of_the_work_says_the_same_as_here(start, cluster):
    engine, _ = cluster(start)
    with engine.open() as workers, pytest.raises(EngineError, match=r"^sinus$"):
        list(workers.run(failing, [1]))


def failing(item):
    raise EngineError("sinus")


def test_an_address_where_nobody_answers_is_said(monkeypatch):
    pytest.importorskip("distributed", reason="distributed is not installed: make setup-dev")
    monkeypatch.setattr("kmerl.engines.JOINING", 1)
    with (
        pytest.raises(EngineError, match=r"Dask at 127.0.0.1:1: no worker can be had there"),
        Engine("dask", address="127.0.0.1:1").open(),
    ):
        pass
