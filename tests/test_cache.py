"""The decoded copy of a store: the same batches, made once, whole or not there."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from kmerl import cli
from kmerl.files import DamagedError
from kmerl.store import NAME, StoreError, read_index
from kmerl.training import cache
from tests.cohorts import SAMPLES, write_store
from tests.import_closure import ROOT
from tests.official_layouts import signal
from tests.test_training import train, values

SHARDS = (70, 0, 33)
ROWS = sum(SHARDS)
SIGNALS = np.stack([signal(row, SAMPLES) for row in range(ROWS)])


@pytest.fixture
def store(tmp_path):
    columns = {name: [f"{name} {row}" for row in range(ROWS)] for name in ("record", "patient")}
    columns["split"] = ["train"] * ROWS
    return write_store(tmp_path / "csn", SIGNALS, columns, shards=SHARDS)


def whole_copy(folder):
    (path,) = folder.glob("*.int16")
    return path


def test_it_holds_the_signals_and_is_made_once(store, tmp_path):
    folder = tmp_path / "cache" / "of" / "mine"
    found = cache.decoded(folder, read_index(store), threads=3)
    assert (found.dtype, found.flags.writeable) == (np.int16, False)
    np.testing.assert_array_equal(found, SIGNALS)
    made = whole_copy(folder).stat()
    np.testing.assert_array_equal(cache.decoded(folder, read_index(store), 1), SIGNALS)
    assert whole_copy(folder).stat().st_mtime_ns == made.st_mtime_ns
    moved = shutil.copytree(store, tmp_path / "elsewhere" / "csn")  # other times, same content
    cache.decoded(folder, read_index(moved), 1)
    assert len(cache.copies(folder)) == 1
    other = write_store(tmp_path / "other" / "csn", SIGNALS[::-1], empty_columns(), shards=SHARDS)
    np.testing.assert_array_equal(cache.decoded(folder, read_index(other), 1), SIGNALS[::-1])
    assert len(cache.copies(folder)) == 2


def empty_columns():
    return {name: [""] * ROWS for name in ("record", "patient", "split")}


def test_one_of_another_size_is_made_anew(store, tmp_path, capsys):
    cache.decoded(tmp_path, read_index(store), 1)
    path = whole_copy(tmp_path)
    os.truncate(path, path.stat().st_size - 2)
    np.testing.assert_array_equal(cache.decoded(tmp_path, read_index(store), 1), SIGNALS)
    assert f"{path} has not the" in capsys.readouterr().err


def no_index(store, monkeypatch):
    (store / "index.parquet").unlink()


def other_bytes(store, monkeypatch):
    path = store / NAME.format(0)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def little_room(store, monkeypatch):
    usage = shutil.disk_usage(store)._replace(free=1000)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (no_index, r"csn has no index\.parquet.*dvc repro ingest@csn.*runtime\.cache empty"),
        (other_bytes, r"signals-00000\.parquet is damaged.*dvc repro ingest"),
        (little_room, r"runtime\.cache: .* has 1,000 bytes free.* take 1,236,000; make room"),
    ],
)
def test_what_cannot_be_made_is_told_and_leaves_nothing(store, tmp_path, monkeypatch, fault, said):
    fault(store, monkeypatch)
    with pytest.raises((StoreError, DamagedError), match=said):
        cache.decoded(tmp_path / "cache", read_index(store), 2)
    assert not cache.copies(tmp_path / "cache")


BUILDER = """
import sys, time
from pathlib import Path
from kmerl.store import read_index
from kmerl.training import cache
def slowly(*_):
    print("begun", flush=True)
    time.sleep(60)
cache._copy = slowly
cache.decoded(Path(sys.argv[1]), read_index(sys.argv[2]), 1)
"""


def test_one_builds_and_where_it_is_killed_one_of_those_that_wait(store, tmp_path, monkeypatch):
    folder, real, shards, waits = tmp_path / "cache", cache._copy, [], Semaphore(0)

    def counted(path, index, shard):
        shards.append(shard)
        real(path, index, shard)

    monkeypatch.setattr(cache, "_copy", counted)
    monkeypatch.setattr(cache, "print", lambda *_, **__: waits.release(), raising=False)
    command = [sys.executable, "-c", BUILDER, folder, store]
    with (
        ThreadPoolExecutor() as threads,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as builder,
    ):
        try:
            assert builder.stdout.readline() == b"begun\n"
            assert not list(folder.glob("*.int16"))
            with pytest.raises(StoreError, match="a copy is being written"):
                cache.clear(folder)
            waiting = [threads.submit(cache.decoded, folder, read_index(store), 1) for _ in "ab"]
            for _ in waiting:  # each says so
                assert waits.acquire(timeout=60)
        finally:
            builder.kill()
        for each in waiting:
            np.testing.assert_array_equal(each.result(), SIGNALS)
    assert shards == [0, 1, 2]  # one of the two wrote it all
    assert len(cache.copies(folder)) == 1


def test_a_training_from_it_gives_the_same_bytes_and_one_command_removes_it(here, monkeypatch):
    weights, _ = train(here)
    monkeypatch.setenv("SCRATCH", "scratch")
    again, _ = train(here, runtime__cache="$SCRATCH/kmerl")
    assert all(torch.equal(one, again[name]) for name, one in weights.items())
    (copy,) = (here / "scratch" / "kmerl").glob("mimic-iv-ecg-*.int16")
    assert copy.stat().st_size == 2 * 40 * 12 * SAMPLES
    (here / "params.yaml").write_text(yaml.safe_dump(values(runtime__cache="$SCRATCH/kmerl")))
    for options, said in (([], copy.name), (["--clear"], "1 decoded copies removed")):
        found = CliRunner().invoke(cli.app, ["data", "cache", *options])
        assert (found.exit_code, said in found.output) == (0, True)
    assert not copy.exists()
