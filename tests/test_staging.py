"""A store on its way: what a kill, a bad corpus or a blind worker leaves, and what goes on."""

import dataclasses
import os
from pathlib import Path
from signal import SIGKILL

import pytest

from kmerl import engines
from kmerl.corpora import ingest as ingest_module
from kmerl.corpora import shards
from kmerl.corpora.records import CorpusError
from kmerl.corpora.staging import Written
from tests import official_layouts as layouts
from tests.official_layouts import run


def killed(shard, form, staged):
    if shard.name == "signals-00001.parquet":
        os.kill(os.getpid(), SIGKILL)
    return shards.write_shard(shard, form, staged)


def staged_by(tmp_path):
    return sorted(tmp_path.glob(".store-*"))


def test_a_shard_that_kills_its_workers_is_named_and_the_others_are_kept(tmp_path, monkeypatch):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 4)
    monkeypatch.setattr(ingest_module, "write_shard", killed)
    monkeypatch.setattr(engines, "TIMES", 2)
    with pytest.raises(
        CorpusError, match=r"signals-00001.parquet, records \d to \d .*lower runtime"
    ):
        run("ptb-xl", root, tmp_path, workers=2, shard=1)
    (folder,) = staged_by(tmp_path)
    assert "signals-00001.parquet" not in {path.name for path in (folder / "store").iterdir()}
    assert not (tmp_path / "store").exists()


def contents(out):
    return {path.name: path.read_bytes() for path in (out / "store").iterdir()}


def test_ingest_goes_on_after_a_kill(tmp_path, monkeypatch):
    """Finished shards are taken as they are, but those of which a recording changed meanwhile."""
    root = layouts.ptbxl(tmp_path / "ptb-xl", 6)
    run("ptb-xl", root, tmp_path, shard=2)
    run("ptb-xl", root, tmp_path / "calm", shard=1)
    before, read = contents(tmp_path), []
    read_record = shards.read_record

    def ended(entry, form):
        if len(read) == ends_after:
            raise KeyboardInterrupt
        read.append(entry.record)
        return read_record(entry, form)

    monkeypatch.setattr(shards, "read_record", ended)
    ends_after = 4
    with pytest.raises(KeyboardInterrupt):
        run("ptb-xl", root, tmp_path, shard=1)
    assert contents(tmp_path) == before
    changed, ends_after = read[1], -1
    os.utime(root / f"records500/00000/{int(changed):05d}_hr.dat")
    first, read[:] = list(read), []
    run("ptb-xl", root, tmp_path, shard=1)
    assert contents(tmp_path) == contents(tmp_path / "calm")
    assert set(read) == {changed} | ({str(number) for number in range(1, 7)} - set(first))
    assert not staged_by(tmp_path)


def test_what_another_ingest_left_is_removed_and_the_store_it_had_taken_away_is_back(tmp_path):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 2)
    run("ptb-xl", root, tmp_path)
    before = contents(tmp_path)
    stale = tmp_path / f".store-{'0' * 16}"
    stale.mkdir()
    (tmp_path / "store").rename(stale / "before")
    with pytest.raises(CorpusError, match="none of 2"):
        run("ptb-xl", root, tmp_path, seconds=20, pad="reject")
    assert contents(tmp_path) == before
    assert stale not in staged_by(tmp_path)


def test_a_corpus_of_which_nothing_can_be_used_leaves_the_store_as_it_was(tmp_path):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 3)
    run("ptb-xl", root, tmp_path)
    before, metrics = contents(tmp_path), (tmp_path / "metrics.json").read_bytes()
    (root / "records500").rename(root / "elsewhere")
    said = r"none of 3 records can be used, 3 for missing_header, such as \d \(0000\d_hr.hea\); all"
    with pytest.raises(CorpusError, match=said):
        run("ptb-xl", root, tmp_path)
    assert contents(tmp_path) == before
    assert (tmp_path / "metrics.json").read_bytes() == metrics
    (root / "elsewhere").rename(root / "records500")
    run("ptb-xl", root, tmp_path)  # what was kept of the failure is not taken for an answer
    assert contents(tmp_path) == before


def test_a_worker_that_does_not_see_the_folders_ends_the_ingest(tmp_path, monkeypatch):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 1)
    monkeypatch.setattr(ingest_module, "write_shard", elsewhere)
    with pytest.raises(CorpusError, match="does not see /nowhere; all workers need the same disk"):
        run("ptb-xl", root, tmp_path)
    monkeypatch.setattr(ingest_module, "write_shard", lambda *_, **__: Written({"records": 1}, []))
    with pytest.raises(CorpusError, match=r"1 of 1 shards are not in .*signals-00000"):
        run("ptb-xl", root, tmp_path)


def elsewhere(shard, form, staged):
    return shards.write_shard(shard, dataclasses.replace(form, root=Path("/nowhere")), staged)
