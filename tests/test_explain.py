"""Explanations, heart rates, pictures, and what the page does with an upload."""

import re

import numpy as np
import pytest
import torch

from kmerl import recordings
from kmerl.leads import LEADS
from kmerl.predict import drawing, heart_rate, preparing, serving
from kmerl.predict.explaining import Asked
from kmerl.report.writers import paper
from kmerl.signal import NAN
from tests.cohorts import RATE
from tests.report_run import heartbeats
from tests.test_any_leads import FEW, small
from tests.test_cli import write_wfdb
from tests.test_encode import voltages

FOUR = ("I", "II", "V2", "V5")


@pytest.fixture(scope="module")
def model():
    return small("lead", "zscore")


@pytest.fixture(scope="module")
def recording():
    rows = dict(zip(FOUR, voltages(1, 1)[0][:4].astype(np.int16), strict=True))
    return recordings.Recording("ward", RATE, rows)


def test_occlusion_is_the_answer_without_the_part(model, recording):
    found = model.explain(recording, FEW[0])
    grid = model.config.rate, model.config.samples
    prepared = preparing.prepare(recording, *grid)
    whole = model.score(prepared.signal, FOUR, FEW[:1])[0]
    assert found.probability == pytest.approx(whole, abs=1e-5)
    fewer = model.score(prepared.signal[1:], FOUR[1:], FEW[:1])[0]
    logit = np.log(whole / (1 - whole)) - np.log(fewer / (1 - fewer))
    assert found.of_leads[0] == pytest.approx(logit, abs=1e-4)
    assert found.values.shape == (4, len(found.times))
    assert np.isfinite(found.values).all()
    alone = model.explain(recording, FEW[0], "II")
    assert np.isnan(alone.of_leads).all()


def test_attention_is_shares_of_each_head(model, recording):
    found = model.explain(recording, FEW[0], how="attention")
    np.testing.assert_allclose(found.weights.sum(axis=(2, 3)), 1, atol=1e-5)
    np.testing.assert_allclose(found.values, found.weights.mean(axis=(0, 1)), atol=1e-6)
    with pytest.raises(ValueError, match=r"encoder\.tokens: lead"):
        small("joint", "zscore").explain(recording, FEW[0])


def test_its_weights_are_those_that_the_network_mixes_by(model, recording):
    """What leaves the first cross-attention is made again from weights and values."""
    vector = model.vocabulary.vectors([FEW[0]])[0]
    asked = Asked(model.network, model.config.signal, vector, "cpu")
    prepared = preparing.prepare(recording, model.config.rate, model.config.samples)
    attention = model.network.query_network.layers[0].attend_tokens
    kept = []
    hook = attention.register_forward_hook(lambda _, given, out: kept.append((given, out)))
    weights = torch.from_numpy(asked.weights(prepared.signal, FOUR))[0].flatten(1)
    hook.remove()
    (_, (_, value)), out = kept[0][0][:2], kept[0][1]
    mixed = (weights[:, None] @ value[0]).transpose(0, 1).flatten(1)
    torch.testing.assert_close(attention.out(mixed)[-1], out[0, -1], rtol=1e-4, atol=1e-4)


def test_padding_is_no_part_of_an_explanation(model, recording):
    half = {lead: values[: 2 * RATE] for lead, values in recording.leads.items()}
    for how in ("occlusion", "attention"):
        found = model.explain(recordings.Recording("r", RATE, half), FEW[0], how=how)
        there = round(2 / found.token)
        assert np.isfinite(found.values[:, :there]).all()
        assert np.isnan(found.values[:, there:]).all()


@pytest.mark.parametrize("beats", [45, 72, 110, 150])
def test_heart_rates_are_found(beats):
    leads = heartbeats(beats, np.random.default_rng(beats))
    found = heart_rate.heart_rate(np.stack([leads["II"], leads["V5"]]).astype(np.int16), 500)
    assert found.beats == pytest.approx(beats, rel=0.05)
    assert "flat" in str(heart_rate.heart_rate(np.zeros((1, 5000), np.int16), 500))
    noise = np.random.default_rng(0).normal(0, 300, (1, 5000)).astype(np.int16)
    assert heart_rate.heart_rate(noise, 500).doubt


def test_a_picture_is_empty_where_nothing_was_measured(tmp_path):
    leads = {
        lead: row.astype(np.int16) for lead, row in heartbeats(70, np.random.default_rng(0)).items()
    }
    leads["II"][1000:2000] = NAN
    person = recordings.Person("four", 60, "female")
    held = recordings.Recording(
        "/a/b.edf", 500, {lead: leads[lead] for lead in LEADS}, person=person
    )
    prepared = preparing.prepare(held, 500, 5000)
    known = drawing.drawn(held, prepared, 10.0, [("a", 0.5)])
    assert "id four, 60 years, female" in known.caption
    assert len(known.rows[-1].strips[0].runs) == 2  # the rhythm strip, lead II
    hidden = drawing.drawn(held, prepared, 10.0, [("a", 0.5)], anonymous=True)
    assert not re.search("four|60 years|edf", str(hidden.svg))
    assert "var(" not in known.svg and "<style" not in known.svg
    for suffix in paper.SUFFIXES:
        paper.write(tmp_path / f"x{suffix}", known)
        first = (tmp_path / f"x{suffix}").read_bytes()
        paper.write(tmp_path / f"x{suffix}", known)
        assert (tmp_path / f"x{suffix}").read_bytes() == first
    with pytest.raises(ValueError, match=r"\.svg, \.png, \.pdf"):
        paper.check(tmp_path / "x.jpg")


def test_an_upload_is_read_and_deleted(tmp_path, model):
    write_wfdb(tmp_path, "ward", 500, heartbeats(72, np.random.default_rng(3)))
    files = [tmp_path / "ward.dat", tmp_path / "ward.hea"]
    found = serving.opened(files, {"rate": None})
    assert found.source == "ward" and len(found.leads) == 12
    assert not list(tmp_path.iterdir())
    (tmp_path / "no.csv").write_text("I\n1\n2\n")
    with pytest.raises(recordings.RecordError) as error:
        serving.opened([tmp_path / "no.csv"], {})
    assert "tmp" not in str(error.value)
    assert not list(tmp_path.iterdir())
    desk = serving.Desk(model, tmp_path)
    with pytest.raises(ValueError, match="at most 100"):
        desk.names(",".join(map(str, range(101))), "")
