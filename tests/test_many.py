"""`kmerl predict` and `kmerl embed` for many: every form of a list, kills, bad files, windows."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kmerl
from kmerl.engines import Engine
from kmerl.predict import many, pieces
from kmerl.predict.finding import Said, find
from kmerl.predict.preparing import Cut
from kmerl.predict.printing import NOTICE
from kmerl.training.model import save
from tests.cohorts import RATE, SAMPLES
from tests.many_recordings import BAD, TWELVE, write
from tests.recordings_written import beats
from tests.test_cli import call, write_wfdb
from tests.test_encode import CLASSES, enlarged

NAMES = ",".join(CLASSES[:3])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    save(root, *enlarged())
    return root


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("mixed")
    return folder / "recordings", write(folder, 2 * len(TWELVE), len(BAD))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("FILES", 4), ("WINDOWS", 2), ("MOST", 6)):
        monkeypatch.setattr(pieces, name, size)
    monkeypatch.setattr(many, "PART", 5)


def predict(where, model, out, *more, status=0):
    asked = ("--model", model, "--classes", NAMES, "--workers", 1, "--out", out)
    return call("predict", where, *asked, *more, status=status)


@pytest.mark.usefixtures("few")
def test_a_killed_run_goes_on_and_gives_what_one_run_gives(mixed, model, tmp_path, monkeypatch):
    folder, bad = mixed
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    said = predict(folder, model, whole, "--leads", "I", status=3)
    assert f"20 rows of 20 recordings in {whole}" in said
    assert "10 could not be used" in said
    listed = pd.read_csv(whole.with_suffix(".bad.csv"))
    assert sorted(listed["record"]) == bad
    assert listed["reason"].str.len().min() > 5
    answer, answered = many._answer, []

    def dies(job, ready, name):
        if len(answered) == 3:
            raise KeyboardInterrupt
        answered.append(name)
        answer(job, ready, name)

    monkeypatch.setattr(many, "_answer", dies)
    predict(folder, model, out, "--leads", "I", status=130)
    assert not out.exists()
    monkeypatch.setattr(many, "_answer", lambda *told: answered.append(told[2]) or answer(*told))
    predict(folder, model, out, "--leads", "I", status=3)
    assert len(answered) == len(set(answered)) == 8  # 30 recordings, four a piece, each once
    frame = pd.read_parquet(whole)
    pd.testing.assert_frame_equal(pd.read_parquet(out), frame)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == [
        "out.bad.csv", "out.parquet", "whole.bad.csv", "whole.parquet",
    ]  # fmt: skip
    alone = kmerl.load(model).predict(frame["record"][5], CLASSES[:3], "I")
    for name in CLASSES[:3]:
        assert alone[name][0] == frame[name][5]  # bit for bit


def test_every_form_of_a_list_and_of_a_file(mixed, model, tmp_path):
    folder, _ = mixed
    edf = sorted(folder.glob("*/r*.edf"))
    rows = ["path,record,rate,unit,patient", f"{edf[0]},one,,,7", "a.csv,two,500,mV,8"]
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "a.csv").write_text("I,II\n" + "0.1,0.2\n0.3,0.1\n" * 300)
    out = predict(tmp_path / "list.csv", model, tmp_path / "a.jsonl")
    assert "columns of the list that are not used: patient" in out
    lines = pd.read_json(tmp_path / "a.jsonl", lines=True)
    assert list(lines["record"]) == ["one", "two"]
    assert list(lines["leads"]) == [" ".join(kmerl.read(edf[0]).leads), "I II"]
    predict(folder / "**" / "r*.edf", model, tmp_path / "b.csv", "--leads", "I,II")
    table = pd.read_csv(tmp_path / "b.csv")
    assert list(table["record"]) == [str(path) for path in edf]
    embed = "embed", folder / "01", "--model", model, "--workers", 1, "--out"
    call(*embed, tmp_path / "f.parquet", status=3)
    call(*embed, tmp_path / "f.csv", status=3)
    vectors = np.stack(pd.read_parquet(tmp_path / "f.parquet")["vector"])
    wide = pd.read_csv(tmp_path / "f.csv").filter(regex=r"^v\d+$")
    np.testing.assert_allclose(vectors, wide, rtol=1e-5)
    again = kmerl.load(model).embed(edf)
    assert np.array_equal(np.stack(again["vector"]), vectors)


def test_files_of_a_folder_are_recordings_once_and_others_are_counted(tmp_path):
    for name in ("a.hea", "a.dat", "b.hea", "b_0001.hea", "b_0001.dat", "c.EDF", "d.pdf", "e.dat"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "f.xml").write_bytes(b"x")
    found = find([str(tmp_path)], Said())
    assert [Path(one.path).name for one in found.wanted] == [
        "a.hea", "b.hea", "c.EDF", "e.dat", "f.xml",
    ]  # fmt: skip
    assert dict(found.not_tried) == {".pdf": 1}


@pytest.mark.usefixtures("few")
def test_windows_read_all_of_a_recording_and_a_part_without_electrode_is_listed(
    model, tmp_path, monkeypatch
):
    seconds = SAMPLES // RATE
    leads = {lead: np.tile(values.astype(float), 6) for lead, values in beats().items()}
    leads["II"][RATE * 3 * seconds : RATE * 5 * seconds] = np.nan
    for name, size in (("long", 20 * SAMPLES), ("short", 2 * SAMPLES)):
        cut = {lead: values[: size - 7] for lead, values in leads.items() if lead in ("I", "II")}
        write_wfdb(tmp_path, name, RATE, cut)
    out = tmp_path / "w.parquet"
    windows = "--window", seconds, "--step", seconds / 2
    predict(tmp_path / "*.hea", model, out, *windows, status=3)
    drawn = tmp_path / "t.svg"
    alone = tmp_path / "long.hea", model, tmp_path / "w.csv", *windows
    predict(*alone, "--timeline", drawn, status=3)
    shown = drawn.read_text()
    assert f"1: no answer 0:00:{3 * seconds} to 0:00:{9 * seconds // 2}: lead II has no" in shown
    assert all(said in shown for said in (*CLASSES[:3], "long, I, II", NOTICE))
    frame, listed = pd.read_parquet(out), pd.read_csv(out.with_suffix(".bad.csv"))
    long = frame[frame["record"].str.endswith("long")]
    assert list(listed["start"]) == [3 * seconds, 3.5 * seconds, 4 * seconds]
    assert len(long) == 39 - 3
    assert long["start"].is_monotonic_increasing
    assert long["start"].iloc[-1] == pytest.approx((20 * SAMPLES - 7) / RATE - seconds)
    only = kmerl.load(model).predict(tmp_path / "short", CLASSES[:3], window=float(seconds))
    assert list(only["start"]) == [0, pytest.approx((2 * SAMPLES - 7) / RATE - seconds)]
    assert "is longer" not in call("predict", tmp_path / "short", *windows, status=1)
    monkeypatch.setattr(many, "_long", None)
    with pytest.raises(TypeError):  # the long one does not pass through a worker
        question = pieces.Question(RATE, SAMPLES, None, Cut(0.0, seconds, seconds / 2))
        wanted = find([str(tmp_path / "long.hea")], Said()).wanted
        many.run(kmerl.load(model), wanted, tmp_path / "x.csv", question, None, Engine())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "give --out answers.parquet"),
        (("--out", "a.xlsx"), "answers are written as .parquet, .csv, .jsonl"),
        (("--out", "a.csv", "--leads", "IX"), "unknown lead 'IX'"),
        (("--out", "a.csv", "--window", 1e6), "the model reads"),
        (("--out", "a.csv", "--step", 5), "--step needs --window"),
        (("--out", "a.csv", "--window", 5, "--timeline", "a.svg"), "--timeline draws one"),
        (("--out", "a.csv", "--timeline", "a.gif"), "pictures are .svg, .png, .pdf"),
        (("--out", "a.csv", "--classes", "record"), "is the name of another column"),
    ],
)
def test_what_cannot_be_done_with_many_is_one_clear_line(more, message, mixed, model, tmp_path):
    more = [tmp_path / one if str(one).startswith("a.") else one for one in more]
    out = call("predict", mixed[0], "--model", model, "--workers", 1, *more, status=1)
    assert message in out
    assert out.count("\n") == 1
    assert not [*tmp_path.glob("a*")]


def test_workers_give_the_same_bytes(mixed, model, tmp_path):
    folder = tmp_path / "some"
    shutil.copytree(mixed[0] / "02", folder)
    for workers in (1, 2):
        out = tmp_path / f"{workers}.parquet"
        call("embed", folder, "--model", model, "--out", out, "--workers", workers, status=3)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
