"""Work in pieces: who does what, and what is taken up after an error."""

from pathlib import Path

import numpy as np
import pytest

from kmerl import params
from kmerl.evaluation.pieces import deal, dealt
from kmerl.runtime import Runtime

SIZES = {"a": 1.0, "b": 5.0, "c": 4.0, "d": 3.0}


def run(fail_at=None, fail_in_block=False, settings=0, inputs=()):
    """What the first process gets, and the pieces that were made for it."""
    done = []

    def work(names):
        for name in names:
            if name == fail_at:
                raise OSError("no more")
            done.append(name)
            yield name, {"value": np.arange(ord(name)), "none": np.empty((0, 2), np.float32)}

    with dealt("stage", settings, inputs, SIZES, work) as made:
        assert not fail_in_block, "as if the disk were full"
    return made, done


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("processes", "expected"), [
    (1, [["b", "c", "d", "a"]]),
    (2, [["b", "a"], ["c", "d"]]),
    (6, [["b"], ["c"], ["d"], ["a"], [], []]),
])  # fmt: skip
def test_each_piece_has_one_maker_and_all_have_about_as_much_to_do(processes, expected):
    assert deal(SIZES, processes) == expected


def test_what_was_made_is_taken_up_and_what_is_damaged_made_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = tmp_path / "given"
    given.write_text("data")
    with pytest.raises(OSError, match="no more"):
        run("d", inputs=[tmp_path / "given"])
    with pytest.raises(AssertionError, match="full"):
        run(fail_in_block=True, inputs=[given])
    assert [path.name for path in files(tmp_path / ".checkpoints")] == ["a", "b", "c", "d"]
    assert run(settings=1, inputs=[given])[1] == ["b", "c", "d", "a"]  # not of this work
    whole, torn = (tmp_path / ".checkpoints").rglob("[ac]")
    whole.write_bytes(bytes(byte ^ (n == 200) for n, byte in enumerate(whole.read_bytes())))
    torn.write_bytes(torn.read_bytes()[:100])
    made, done = run(inputs=[given])
    assert sorted(done) == ["a", "c"]
    assert list(made) == list(SIZES)
    for name, arrays in made.items():
        assert arrays["value"].tolist() == list(range(ord(name)))
        assert arrays["none"].shape == (0, 2)
    assert files(tmp_path / ".checkpoints") == []
    given.write_text("other data")
    assert len(run(inputs=[given])[1]) == 4


def test_processes_of_a_node_share_its_cores(monkeypatch):
    machine = params.load("runtime", Runtime, Path("params/demo.yaml"))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert machine.thread_count == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert machine.thread_count == 2
