"""Files that are torn, flipped or another's, and full disks: each is named."""

import json
import os
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from kmerl import cli, files
from kmerl.evaluation.scores import Scores, read_scores
from kmerl.knowledge.aggregate import HierarchyError, check
from kmerl.knowledge.backend import free_name
from kmerl.knowledge.labels import label_matrix
from kmerl.knowledge.overrides import Overrides, merged
from kmerl.store import read_index, read_signals, read_table
from kmerl.training.checkpoint import Checkpoint
from kmerl.training.checkpoint import root as checkpoints
from kmerl.training.data import load_pairs
from kmerl.training.model import CONFIG, WEIGHTS, load, save
from tests.methods import config, small

BITS = 150


def flipped(path: Path, draw: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# ---------------------------------------------------------------- checkpoints


def state(epoch: int) -> dict[str, object]:
    return {"model": {"weight": torch.full((50,), float(epoch))}, "rows": [{"epoch": epoch}]}


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A checkpoint of three epochs, of which two files are kept, the newest first."""
    monkeypatch.chdir(tmp_path)
    checkpoint = Checkpoint("training")
    for epoch in (1, 2, 3):
        checkpoint.save(state(epoch), epoch)
    newest, older = sorted(checkpoints(tmp_path).iterdir(), reverse=True)
    return checkpoint, newest, older


def test_of_150_flipped_bits_of_a_checkpoint_none_goes_unnoticed(saved, capsys):
    checkpoint, newest, _ = saved
    whole, draw = newest.read_bytes(), random.Random(0)
    assert checkpoint.load("cpu")["rows"] == [{"epoch": 3}]
    for _ in range(BITS):
        newest.write_bytes(whole)
        flipped(newest, draw)
        assert checkpoint.load("cpu")["rows"] == [{"epoch": 2}]
        assert f"{newest} is damaged" in capsys.readouterr().err


DAMAGES = {
    "cut": cut,
    "empty": lambda path: path.write_bytes(b""),
    "of an older version": lambda path: torch.save(state(9), path),
    "of another training": lambda path: path.write_bytes(other_training()),
}


def other_training() -> bytes:
    other = Checkpoint("other")
    other.save(state(9), 3)
    (path,) = other.folder.glob("other-*.pt")
    return path.read_bytes()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_the_last_whole_checkpoint_is_taken_up_and_none_blocks_a_training(saved, capsys, damage):
    checkpoint, newest, older = saved
    damage(newest)
    assert checkpoint.load("cpu")["rows"] == [{"epoch": 2}]
    checkpoint.save(state(3), 3)
    assert checkpoint.load("cpu")["rows"] == [{"epoch": 3}]
    for path in (newest, older):
        damage(path)
    capsys.readouterr()
    assert checkpoint.load("cpu") is None
    assert capsys.readouterr().err.count("is damaged") == 2


def test_what_killed_processes_left_goes_with_the_training_and_no_living_ones(saved):
    checkpoint, newest, _ = saved
    dead, living = (newest.with_suffix(f".0-{p}") for p in (999999999, os.getpid()))
    partial = newest.with_name(f".{dead.name}.partial")
    for path in (dead, partial, living):
        path.touch()
    checkpoint.remove()
    assert list(newest.parent.iterdir()) == [living]


# ---------------------------------------------------------------- models


def test_of_150_flipped_bits_of_a_model_none_goes_unnoticed(tmp_path):
    save(tmp_path, config("kmerl"), small("kmerl"))
    load(tmp_path)
    draw = random.Random(0)
    for number in range(BITS):
        path = tmp_path / (WEIGHTS, CONFIG)[number % 2]
        whole = path.read_bytes()
        flipped(path, draw)
        with pytest.raises(ValueError, match=path.name):
            load(tmp_path)
        path.write_bytes(whole)
    load(tmp_path)


def without_a_tensor(weights):
    del weights["encoder.tokenizer.project.weight"]


def of_another_shape(weights):
    weights["encoder.tokenizer.project.weight"] = torch.zeros(3)


def with_one_more(weights):
    weights["head"] = torch.zeros(3)


def of_other_values(weights):
    weights["encoder.tokenizer.project.weight"] += 1


FITS = r"model\.safetensors is damaged or of another kind .*"
PROJECT = r"tensor encoder\.tokenizer\.project\.weight has shape "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_a_tensor, rf"{PROJECT}none, the method needs \("),
        (of_another_shape, rf"{PROJECT}\(3,\), the method needs \("),
        (with_one_more, r"tensor head has shape \(3,\), the method needs no such tensor"),
        (of_other_values, r"not the weights that config\.json was written with"),
    ],
)
def test_weights_that_do_not_fit_are_named_with_their_file(tmp_path, change, message):
    save(tmp_path, config("kmerl"), small("kmerl"))
    weights = load_file(tmp_path / WEIGHTS)
    change(weights)
    save_file(weights, tmp_path / WEIGHTS)
    with pytest.raises(ValueError, match=FITS + message):
        load(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"sha256": 1}', "\0"])
def test_a_config_of_another_kind_is_named(tmp_path, text):
    save(tmp_path, config("kmerl"), small("kmerl"))
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(ValueError, match=r"config\.json is (damaged|no JSON)"):
        load(tmp_path)


# ---------------------------------------------------------------- other artifacts


def some_scores(folder: Path) -> Path:
    truth = np.array([[True], [False]] * 3)
    drawn = np.random.default_rng(0).normal(size=truth.shape).astype(np.float32)
    people = tuple(f"p{number}" for number in range(len(truth)))
    Scores(
        "csn", "csn", ("A",), ("a",), people, people, {"12": ("I",)}, truth,
        {"12": drawn}, {"12": np.zeros(1)},
    ).write(folder)  # fmt: skip
    return folder


@pytest.mark.parametrize("name", ["csn.json", "csn.safetensors"])
@pytest.mark.parametrize(
    "damage", [cut, lambda p: p.write_bytes(b""), lambda p: p.write_text("[]")]
)
def test_compare_names_the_file_that_is_torn(tmp_path, name, damage):
    folders = [some_scores(tmp_path / side) for side in ("a", "b")]
    command = ["compare", *map(str, folders), "--replicates", "10"]
    assert CliRunner().invoke(cli.app, command).exit_code == 0
    damage(folders[1] / name)
    ended = CliRunner().invoke(cli.app, command)
    assert (ended.exit_code, ended.output.count("\n")) == (1, 1)
    assert str(folders[1] / name) in ended.output


def test_scores_of_other_records_than_their_list_are_refused(tmp_path):
    path = some_scores(tmp_path) / "csn.json"
    index = json.loads(path.read_text())
    path.write_text(json.dumps(index | {"records": index["records"][1:]}))
    with pytest.raises(files.DamagedError, match=r"csn\.safetensors .*shape \(6, 1\), .* \(5, 1\)"):
        read_scores(tmp_path, "csn")


@pytest.mark.parametrize("name", ["reports.safetensors", "names.safetensors"])
def test_text_vectors_that_are_torn_are_named(here, name):
    cut(here / "data/text" / name)
    with pytest.raises(files.DamagedError, match=rf"{name} is damaged.*dvc repro embed_text"):
        load_pairs(
            read_index(here / "data/ecg/mimic-iv-ecg"), here / "data/labels", here / "data/text"
        )


def test_a_shard_that_is_torn_is_named(here):
    store = here / "data/ecg/mimic-iv-ecg"
    cut(store / "signals-00000.parquet")
    for look in (lambda: read_table(store, ["record"]), lambda: [*read_signals(store, ["I"], 4)]):
        with pytest.raises(files.DamagedError, match=r"signals-00000\.parquet is damaged"):
            look()


# ---------------------------------------------------------------- a full disk

WRITERS = {
    "text": lambda path: files.write_text(path, "x" * 9_000),
    "table": lambda path: _atomically(path, lambda part: pq.write_table(TABLE, part)),
    "tensors": lambda path: _atomically(path, _unless_full),
}
TABLE = pa.table({"x": np.random.default_rng(0).random(90_000)})


def _atomically(path, write):
    with files.atomic(path) as partial:
        write(partial)


def _unless_full(partial):
    """Safetensors puts its own file in the place of what stands for a full disk; so it says."""
    if partial.is_symlink():
        raise SafetensorError('Io(Os { code: 28, kind: StorageFull, message: "No space" })')
    save_file({"x": torch.ones(9_000)}, partial)


def fill(partial: Path) -> None:
    """Whoever writes to this path finds a full disk."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    partial.symlink_to("/dev/full")


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_is_said_in_one_line_and_the_old_file_stays(tmp_path, write):
    path = tmp_path / "out"
    path.write_text("old")
    fill(tmp_path / ".out.partial")
    with pytest.raises(
        files.NoSpaceError, match=rf"^no space left on {path}: [0-9,]+ bytes needed or more, "
    ):
        write(path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out", "old")]
    write(path)
    assert path.stat().st_size > 9_000 - 1


def test_a_full_disk_at_a_checkpoint_is_said_and_the_last_one_stays(saved):
    checkpoint, newest, older = saved
    own = newest.with_name(f"training-000000004.0-{os.getpid()}")
    fill(own.with_name(f".{own.name}.partial"))
    with pytest.raises(files.NoSpaceError, match=r"no space left on .*training-000000004"):
        checkpoint.save(state(4), 4)
    assert checkpoint.load("cpu")["rows"] == [{"epoch": 3}]
    assert {*newest.parent.iterdir()} == {newest, older}


def test_another_error_of_a_writer_stays_what_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="mine"), files.atomic(tmp_path / "out"):
        raise RuntimeError("mine")


# ---------------------------------------------------------------- names of the label table


@pytest.mark.parametrize("name", ["record", "__filename"])
def test_no_entity_takes_a_column_of_the_label_table(tmp_path, name):
    nothing = Overrides((), {}, (), {})
    entity = merged({"heart record": name, "lbbb": "lbbb"}, nothing)
    assert entity == {"heart record": f"any {name}", "lbbb": "lbbb"}
    labels = label_matrix({"r1": [0], "r2": [1]}, [(0, "heart record"), (1, "lbbb")], entity, {})
    pq.write_table(labels.table(), tmp_path / "labels.parquet")
    assert pq.read_table(tmp_path / "labels.parquet").to_pydict() == {
        "record": ["r1", "r2"], f"any {name}": [True, False], "lbbb": [False, True],
    }  # fmt: skip
    assert free_name(name, ()) == f"any {name}"
    with pytest.raises(HierarchyError, match=f"'{name}': the label table's own"):
        check({name: ["lbbb"]}, ["lbbb"])
    unnamed = label_matrix({"r1": [0]}, [(0, "a")], {"a": name}, {})
    with pytest.raises(ValueError, match=f"label '{name}' would be a second column"):
        unnamed.table()


@pytest.mark.parametrize("name", ["a.b", "a/b", "a\0b", "a\nb", "é", " ", "a`b"])
def test_a_label_may_have_any_characters(tmp_path, name):
    labels = label_matrix({"r1": [0]}, [(0, "x")], {"x": name}, {})
    pq.write_table(labels.table(), tmp_path / "labels.parquet")
    assert pq.read_table(tmp_path / "labels.parquet").column_names == ["record", name]
