"""Fresh hearts: another patient behind each report in each epoch, the same for whoever draws."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from kmerl import params
from kmerl.corpora.conform import Ingest, conform
from kmerl.leads import LEADS
from kmerl.models.inputs import SignalParams
from kmerl.models.masking import MaskParams
from kmerl.recordings.wfdb_files import Channels
from kmerl.store import PairStores, pairs, read_index, read_table
from kmerl.synthetic.layouts import mimic
from kmerl.synthetic.patients import visits
from kmerl.synthetic.recording import record
from kmerl.training.data import load_pairs, loader
from kmerl.training.fresh import FreshSignals, another
from kmerl.training.reader import TrainingReader
from kmerl.training.session import Session
from tests.cohorts import SAMPLES, write_store
from tests.methods import DEMO
from tests.test_training import train, values

CORPUS, RECORDS = "mimic-iv-ecg", 40
SIGNALS = np.random.default_rng(7).integers(-500, 500, (12, 12, SAMPLES), np.int16)
NAMES = {name: [f"{name}{k}" for k in range(12)] for name in ("record", "patient", "split")}


@pytest.fixture
def simulated(here, monkeypatch):
    """The training cohort, with the signals that seed 0 simulates behind its records' names."""
    monkeypatch.setattr(mimic, "record_id", lambda visit: f"r{visit.record:03d}")
    store = here / "data/ecg" / CORPUS
    names = read_table(store, ["record", "patient", "split"]).to_pydict()
    ingest = params.build(Ingest, values()["ingest"], "ingest")
    drawn = [record(visit, 1000).samples for visit in visits(0, CORPUS, RECORDS)]
    stored = [conform(Channels(LEADS, one, 500, 0), ingest, ingest.seconds)[0] for one in drawn]
    shutil.rmtree(store)
    write_store(store, np.stack(stored), names)
    pairs.choose([CORPUS], [CORPUS], here / "data")
    return here


def pairs_of(here):
    return load_pairs(
        read_index(here / "data/ecg" / CORPUS), here / "data/labels", here / "data/text"
    )


def hearts_of(here, rows):
    return FreshSignals(PairStores.read(here / "data"), rows, values())


def test_findings_and_what_the_report_says_of_the_rate_stay_and_the_rest_is_anothers():
    for visit in visits(0, CORPUS, 200):
        other = another(visit, 5)
        assert (other.findings, other.stages, other.number, other.noise.poor) == (
            visit.findings, visit.stages, visit.number, visit.noise.poor,
        )  # fmt: skip
        assert (other.rate < 60, other.rate > 100) == (visit.rate < 60, visit.rate > 100)
        assert other.patient.axis != visit.patient.axis and other.noise != visit.noise


def test_a_signal_depends_on_epoch_and_record_alone(simulated):
    rows = np.arange(RECORDS)
    hearts = hearts_of(simulated, rows)
    every = hearts(3, rows)
    assert every.shape == (RECORDS, 12, SAMPLES) and every.dtype == np.int16
    some = np.array([7, 2, 31])
    assert np.array_equal(hearts_of(simulated, some)(3, some), every[some])
    assert not (hearts(4, rows) == every).all(axis=(1, 2)).any()


def test_batches_are_those_of_any_processes_threads_and_resumption(simulated):
    pairs = pairs_of(simulated)
    made = hearts_of(simulated, pairs.rows("train"))

    def batches(place=(0, 1), threads=1, first=0):
        mask, signal = (
            params.build(kind, DEMO[name], name)
            for kind, name in ((MaskParams, "mask"), (SignalParams, "signal"))
        )
        given = pairs, "train", 8, mask, signal, 0, place, "cpu", 4, threads
        return list(loader(*given, made=made).epoch(2, first))

    whole = batches()
    assert len(whole) == 4
    for again in (batches(threads=3), batches()[:2] + batches(first=2)):
        assert all(torch.equal(a.signal, b.signal) for a, b in zip(whole, again, strict=True))
    halves = [batches(place=(rank, 2)) for rank in (0, 1)]
    for one, *parts in zip(whole, *halves, strict=True):
        assert torch.equal(one.signal, torch.cat([part.signal for part in parts]))
        assert torch.equal(one.labels, torch.cat([part.labels for part in parts]))


def test_a_training_of_fresh_hearts_is_the_same_again_and_validates_on_the_store(simulated):
    chosen = {"pretrain__fresh": True, "pretrain__epochs": 1}
    (weights, metrics), (again, _) = (train(simulated, **chosen) for _ in range(2))
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert metrics["pairs"] == 32 and metrics["pairs_val"] == 8


def test_of_several_corpora_the_simulated_ones_are_drawn_anew_and_others_read(simulated):
    write_store(simulated / "data/ecg/ptb-xl", SIGNALS, NAMES)
    pairs.choose(["ptb-xl", CORPUS], [CORPUS], simulated / "data")
    rows = np.arange(RECORDS + len(SIGNALS))
    stores, hearts = PairStores.read(simulated / "data"), hearts_of(simulated, rows)
    assert hearts.makes.tolist() == [True] * RECORDS + [False] * len(SIGNALS)
    reader = TrainingReader(
        stores.index(),
        rows=rows,
        batch_size=8,
        draw_leads=lambda generator, subsets: np.tile(np.arange(12), (subsets, 1)),
        seed=0,
        neighbours=4,
        made=hearts,
    )
    expected = np.concatenate([hearts(3, rows[:RECORDS]), SIGNALS])
    batches = list(reader.epoch(3))
    assert any(len({*hearts.makes[batch.rows]}) == 2 for batch in batches)
    for batch in batches:
        assert np.array_equal(batch.signal, expected[batch.rows])
        assert np.array_equal(batch.low_all, expected[batch.rows].min(axis=(1, 2)))
        assert np.array_equal(batch.high_all, expected[batch.rows].max(axis=(1, 2)))


@pytest.mark.parametrize(
    ("seed", "told"),
    [(0, "pretrain.corpus names mimic-iv-ecg: set"), (1, "does not hold what seed 1 simulates")],
)
def test_a_store_of_other_hearts_is_told(here, request, seed, told):
    """A real one's, and one that another seed has drawn."""
    if seed:
        request.getfixturevalue("simulated")
    with pytest.raises(params.ParamsError, match=told):
        Session.from_params(values(pretrain__fresh=True) | {"seed": seed}, Path("data")).train(
            here, "cpu"
        )
