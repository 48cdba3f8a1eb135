"""`kmerl predict` and `kmerl leads`: any recording, any leads, any names."""

import json
import os
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from typer.testing import CliRunner

from kmerl import cli, recordings
from kmerl.files import read_yaml
from kmerl.leads import LEADS, NAMED_SETS, parse_leads
from kmerl.predict import preparing, printing
from kmerl.signal import NAN
from kmerl.tasks.classes import classes
from tests.report_run import heartbeats, lawful

with warnings.catch_warnings():  # wfdb 4.3 calls what pandas 3 deprecates
    warnings.simplefilter("ignore")
    import wfdb

CANNOT = read_yaml(Path("tests/cases/predict.yaml"))


@pytest.fixture
def model(monkeypatch):
    """Remembers what it is asked; a name's probability falls with its place."""
    asked = []

    def score(signal, leads, names):
        asked.append((signal, tuple(leads), tuple(names)))
        return np.array([0.9 / (k + 1) for k in range(len(names))][::-1])

    config, entities = (
        SimpleNamespace(rate=500, samples=5000),
        ("sinus rhythm", "atrial fibrillation"),
    )
    fake = SimpleNamespace(config=config, seconds=10.0, entities=entities, asked=asked, score=score)
    fake.in_company = lambda *_: {}
    monkeypatch.setattr("kmerl.predict.model.load", lambda *_, **__: fake)
    monkeypatch.setattr("kmerl.predict.shipped.MODELS", ".")  # there is a folder
    return fake


@pytest.fixture(scope="module")
def beats() -> dict[str, np.ndarray]:
    return heartbeats(72, np.random.default_rng(3))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, beats: dict[str, np.ndarray]) -> Path:
    """The same ECG as WFDB: all leads in another order, two leads at 250 Hz, odd ones."""
    root = tmp_path_factory.mktemp("wfdb")
    broken = beats["II"].astype(float)
    broken[10:20] = np.nan
    halved = {lead: beats[lead][::2] for lead in ("I", "II")}
    for name, rate, leads in (
        ("twelve", 500, {lead: beats[lead] for lead in reversed(LEADS)}),
        ("two", 250, {"ii": halved["II"], "PLETH": halved["I"], "I": halved["I"]}),
        ("long", 500, {"I": np.tile(beats["I"], 3)}),
        ("short", 500, {"I": beats["I"][:1000]}),
        ("gaps", 500, {"I": np.full(5000, np.nan), "II": broken, "V1": np.zeros(5000)}),
        ("pleth", 500, {"PLETH": beats["I"]}),
        ("twice", 500, {"I": beats["I"], "i": beats["I"]}),
        ("truncated", 500, {"I": beats["I"]}),
    ):
        write_wfdb(root, name, rate, leads)
    os.truncate(root / "truncated.dat", 400)
    return root


def write_wfdb(root: Path, name: str, rate: int, leads: dict[str, np.ndarray]) -> None:
    """Format 16 at 1000 units a millivolt; NaN is written as the format has it."""
    values = np.stack(list(leads.values()), axis=1)
    np.where(np.isnan(values), NAN, values).astype("<i2").tofile(root / f"{name}.dat")
    lines = [f"{name}.dat 16 1000(0)/mV 16 0 0 0 0 {lead}" for lead in leads]
    head = f"{name} {len(leads)} {rate} {len(values)}"
    (root / f"{name}.hea").write_text("\n".join([head, *lines]) + "\n")


def call(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(cli.app, [str(one) for one in arguments])
    assert result.exit_code == status, result.output
    return result.output


def test_leads_and_names_reach_the_model_as_they_are_called(records, model, beats):
    """By default all leads there are, and the entities of the model."""
    out = call("predict", records / "twelve", "--classes", "Atrial  fibrillation, normal ecg")
    assert out.index("normal ecg") < out.index("atrial fibrillation")  # likeliest first
    assert "0.900" in out
    assert "Not a medical device" in out
    call("predict", records / "twelve.hea", "--leads", "II,I")
    out = call("predict", records / "twelve.dat", "--leads", "limb")
    assert "left out: V6, V5, V4, V3, V2, V1 (not asked for)\n" in out
    out = call("predict", records / "twelve", "--task", "ptbxl_super", "--top", 2)
    assert sum("#" in line for line in out.splitlines()) == 2
    wanted = [
        (LEADS, ("atrial fibrillation", "normal ecg")),
        (("I", "II"), model.entities),
        (LEADS[:6], model.entities),
        (LEADS, tuple(one.name for one in classes("ptbxl_super"))),
    ]
    assert [(leads, names) for _, leads, names in model.asked] == wanted
    for signal, leads, _ in model.asked:
        assert signal.dtype == np.int16
        np.testing.assert_array_equal(signal, np.stack([beats[lead] for lead in leads]))


def test_a_two_lead_record_at_another_rate(records, model, beats):
    answer = json.loads(call("predict", records / "two", "--json"))
    assert answer["leads"] == ["I", "II"]
    assert answer["notes"] == ["resampled from 250 to 500 Hz"]
    assert answer["left_out"] == {"PLETH": "its name is no lead's"}
    assert [one["name"] for one in answer["predictions"]] == ["atrial fibrillation", "sinus rhythm"]
    assert "Not a medical device" in answer["notice"]
    ((signal, _, _),) = model.asked
    assert signal.shape == (2, 5000)
    assert np.corrcoef(signal[0], beats["I"])[0, 1] > 0.97


def test_it_is_said_where_an_answer_depends_on_company(records, model):
    model.in_company = lambda *_: {
        "alone": np.array([0.45, 0.2]),
        "beside all": np.array([0.455] * 2),
    }
    notes = json.loads(call("predict", records / "long", "--json", "--classes", "a,b"))["notes"]
    assert any("'a' is no name that this model was trained" in one for one in notes)
    note = notes[-1]
    assert note.endswith(
        "(query_network.self_attention): b 0.900 here, 0.200 alone, 0.455 beside all"
    )


def test_what_is_cut_filled_and_repaired_is_said(records, model):
    assert "10 s from 0 s on are read, of 30 s" in call("predict", records / "long")
    assert "only 2 s; zeros fill it up to 10 s" in call("predict", records / "short")
    assert "outside" in call("predict", records / "long", "--start", 30, status=1)
    call("predict", records / "long", "--start", 2)
    out = call("predict", records / "gaps", "--leads", "II,V1")
    assert "lead II: 10 missing samples" in out
    assert "lead V1 is flat" in out
    long, short, later, gaps = (signal for signal, *_ in model.asked)
    assert not short[:, 1000:].any()
    np.testing.assert_array_equal(later[0, :4000], long[0, 1000:])
    assert (gaps != NAN).all()
    assert "only 5 s" in call("predict", records / "two", "--start", 5)  # at its own rate


def test_one_sample_and_figures_that_are_none_are_refused(tmp_path, model):
    path, mv = tmp_path / "a.csv", ("--unit", "mV")
    path.write_text("I,II\n1,2\n")
    write_wfdb(tmp_path, "one", 250, {"I": np.array([3])})
    for name in ("no.hea", "no.csv"):
        (tmp_path / name).write_bytes(b"")
    assert "has 1 samples from 0 s on" in call("predict", tmp_path / "one", status=1)
    assert "has 1 samples from 0 s on" in call("predict", path, *mv, "--rate", 250, status=1)
    for rate in ("nan", "inf", "-inf", "0", "1e-9", "1e9", "-500"):
        assert "a rate of" in call("predict", path, *mv, f"--rate={rate}", status=1)
    for start in ("nan", "inf", "-inf", "-1", "1e300"):
        where = "--rate=500", f"--start={start}"
        assert "is outside" in call("predict", path, *mv, *where, status=1)
    assert "no.hea: empty file" in call("predict", tmp_path / "no", status=1)
    assert "no.csv is empty" in call("predict", tmp_path / "no.csv", "--rate", 500, status=1)
    assert not model.asked


def test_what_speaks_against_a_recording_is_a_note(tmp_path, model, beats):
    beats = lawful(beats) | {"V6": beats["I"]}
    for name, rate, change, note in (
        ("swapped", 500, {"I": beats["II"], "II": beats["I"]}, "limb leads contradict"),
        ("slow", 125, {}, "is the sampling rate another"),
        ("small", 500, {lead: beats[lead] // 1000 for lead in LEADS}, "no usual height"),
    ):
        write_wfdb(tmp_path, name, rate, beats | change)
        assert note in call("predict", tmp_path / name)
    path = tmp_path / "small.hea"
    path.write_text(path.read_text().replace("16 0 0 0 0", "16 0 9 9 0"))
    assert "note: the header's checksums" in call("predict", path)
    write_wfdb(tmp_path, "right", 500, beats)
    assert "note:" not in call("predict", tmp_path / "right")


def test_the_first_form_of_cpsc2018_is_read_too(tmp_path, model, beats):
    volts = np.stack([beats[lead] for lead in LEADS]) / 1000
    savemat(tmp_path / "A0001.mat", {"ECG": {"sex": "Male", "data": volts}})
    call("predict", tmp_path / "A0001.mat", "--leads", "I")
    np.testing.assert_array_equal(model.asked[0][0][0], beats["I"])


@pytest.mark.parametrize(("arguments", "message"), CANNOT.items(), ids=CANNOT)
def test_what_cannot_be_done_is_one_clear_line(records, model, arguments, message):
    record, *options = arguments.split()
    out = call("predict", records / record, *options, status=1)
    assert message in out
    assert out.count("\n") == 1
    assert not model.asked


def test_a_missing_model_is_named(records, tmp_path):
    out = call("predict", records / "twelve", "--model", tmp_path / "models", status=1)
    assert "does not exist" in out
    assert "dvc repro pretrain" in out


def test_a_csv_of_lead_columns(tmp_path, model, beats):
    rows = np.stack([np.arange(5000) / 500, beats["V1"] / 1000, beats["I"] / 1000], axis=1)
    path = tmp_path / "ecg.csv"
    np.savetxt(path, rows, "%.6f", ",", header="time,v1,I", comments="")
    assert "its unit: --unit mV" in call("predict", path, status=1)
    assert "time (the times, which give the rate)" in call("predict", path, "--unit", "mV")
    signal, leads, _ = model.asked[0]
    assert leads == ("I", "V1")
    np.testing.assert_array_equal(signal, np.stack([beats["I"], beats["V1"]]))
    np.savetxt(path, rows[:, 1:] * 1000, "%.3f", ",", header="v1,I", comments="")
    assert "--rate HZ; nor its unit" in call("predict", path, status=1)
    rate = "--rate", 500, "--unit"
    assert "give its true --unit" in call("predict", path, *rate, "mV", status=1)
    call("predict", path, *rate, "uV")
    np.testing.assert_array_equal(model.asked[1][0], signal)


def test_the_picture_is_an_svg_in_millimetres(records, tmp_path, model):
    path = tmp_path / "out.svg"
    call("predict", records / "two", "--picture", path, "--classes", "a & b,c <d>")
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.attrib["width"] == "265mm"
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "two, I, II" in words
    assert "0.90  c <d>" in words
    assert printing.NOTICE in words
    first = path.read_bytes()
    call("predict", records / "two", "--picture", path, "--classes", "a & b,c <d>")
    assert path.read_bytes() == first


def test_leads_are_listed_and_help_says_what_this_is_not():
    out = call("leads")
    assert "I II III aVR" in out
    assert "limb" in out
    assert "I II III aVF aVR aVL" in out
    for line in ("independent I II V1 V2", "easi        I aVR V2", "holter      I II III aVR aVL"):
        assert f"set     {line}" in out
    assert all(parse_leads("+".join(leads)) == leads for leads in NAMED_SETS.values())
    assert "medical" in call("predict", "--help")


def test_its_version_is_that_of_the_citation():
    cited = (Path(__file__).parents[1] / "CITATION.cff").read_text()
    assert f"\nversion: {call('--version').split()[1]}\n" in cited


@given(
    st.lists(st.sampled_from(LEADS), min_size=1, max_size=4, unique=True),
    st.integers(10, 7000),
    st.sampled_from([100, 250, 257, 500, 1000]),
)
@settings(max_examples=12, deadline=None)
def test_whatever_comes_in_the_model_gets_its_own_grid(leads, samples, rate):
    values = np.random.default_rng(samples).integers(-900, 900, (len(leads), samples))
    held = dict(zip(leads, values.astype(np.int16), strict=True))
    chosen = preparing.choose(recordings.Recording("r", rate, held), None)
    prepared = preparing.prepare(chosen, 500, 5000)
    assert prepared.signal.shape == (len(leads), 5000)
    assert prepared.signal.dtype == np.int16
    assert list(prepared.leads) == [lead for lead in LEADS if lead in leads]


REAL = os.environ.get("KMERL_SHARED_DATA", "../shared/data")


@pytest.mark.skipif(not Path(REAL).is_dir(), reason="no real recordings beside the project")
@pytest.mark.parametrize("name", ["ptb-xl/records500/00000/00001_hr", "cpsc2018/A0001"])
def test_real_recordings_are_read_to_the_microvolt(name, model):
    path = Path(REAL) / name
    call("predict", path, "--leads", "V2,I")
    expected = wfdb.rdrecord(str(path))
    rows = [expected.sig_name.index(lead) for lead in ("I", "V2")]
    microvolt = np.round(expected.p_signal.T[rows] * 1000)[:, :5000]
    np.testing.assert_array_equal(model.asked[0][0][:, : microvolt.shape[1]], microvolt)
