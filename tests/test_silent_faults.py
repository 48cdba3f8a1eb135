"""What a campaign of planted faults found that no other test saw: each would pass in silence."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from kmerl import files, params
from kmerl.corpora import mimic
from kmerl.evaluation import linear_probe, probe_fit
from kmerl.evaluation.encoded_corpus import open_encoded
from kmerl.evaluation.metrics import best_threshold
from kmerl.evaluation.probe_fit import LinearProbe
from kmerl.evaluation.scores import scored
from kmerl.losses import contrastive_loss
from kmerl.models.vit import pool
from kmerl.store import read_index, read_table
from kmerl.tasks.classes import official
from kmerl.tasks.cohort import read_cohort
from kmerl.tasks.subsets import subset_rows
from kmerl.training import loop
from kmerl.training.data import load_pairs
from kmerl.training.model import create
from tests import official_layouts as layouts
from tests.dvc_file import stages
from tests.gradients import generator
from tests.import_closure import ROOT
from tests.methods import TEXT_WIDTH, batch, config, small
from tests.test_training import train

READ = {  # of what other stages write, where no literal path in a script says it
    "pairs": {"data/ecg"},
    "reports": {"data/pairs.json"},
    "label_matrix": {"data/reports", "data/extract", "data/verify", "data/merge", "data/aggregate"},
    "pretrain": {"data/pairs.json", "data/labels", "data/text"},
    "encode": {"models", "data/asked", "data/splits", "data/ecg"},
    "fine_tune": {"models", "data/splits", "data/ecg"},
    "linear_probe": {"data/encode", "data/splits"},
}


@pytest.mark.parametrize("name", READ)
def test_a_stage_reads_what_it_says(name):
    (stage,) = (one for one in stages() if one.name == name)
    assert READ[name] <= set(stage.data)


def test_studies_of_a_patient_of_mimic_are_in_one_split(tmp_path):
    studies = [str(40_000_000 + k) for k in range(200)]
    root = layouts.mimic(tmp_path, {study: ["Sinus rhythm"] for study in studies})
    assert len(set(mimic.listing(root).table["split"].to_pylist())) == 1


def test_the_temperature_is_that_of_params_yaml():
    described = config("kmerl")
    loss = {**described.sections["loss"], "temperature": 0.5, "query": 0.0}
    torch.manual_seed(0)
    model = create(dataclasses.replace(described, sections={**described.sections, "loss": loss}))
    shown = batch()
    with torch.no_grad():
        found = model(shown, generator())["contrast"]
        ecg = model.project_ecg(pool(model.encoder(shown.signal, shown.leads)))
        torch.testing.assert_close(
            found, loss["contrast"] * contrastive_loss(ecg, model.project_text(shown.text), 0.5)
        )


def test_zero_shot_cosines_are_of_normalised_vectors():
    model, shown = small("kmerl"), batch()
    names = torch.randn(3, TEXT_WIDTH, generator=generator())
    with torch.no_grad():
        tokens = model.encoder(shown.signal, shown.leads)
        sides = model.project_ecg(pool(tokens))[:, None], model.project_text(names)[None]
        expected = torch.nn.functional.cosine_similarity(*sides, dim=2)
        torch.testing.assert_close(model.similarity(tokens, names), expected)


def test_labels_are_joined_to_their_names_in_any_order_of_columns(here):
    path = here / "data/labels/labels.parquet"
    table = pq.read_table(path)
    names = [name for name in table.column_names if name != "record"]
    pq.write_table(table.select(["record", *sorted(names, reverse=True)]), path)
    pairs = load_pairs(read_index(here / "data/ecg/mimic-iv-ecg"), path.parent, here / "data/text")
    place = {record: row for row, record in enumerate(table["record"].to_pylist())}
    stored = read_table(here / "data/ecg/mimic-iv-ecg", ["record"])["record"].to_pylist()
    labels = pairs.labels(np.arange(len(stored)))
    for column, name in enumerate(pairs.names):
        expected = np.array(table[name].to_pylist())[[place[record] for record in stored]]
        assert labels[:, column].tolist() == expected.astype(int).tolist()
    assert len(pairs.names) > 1


def test_a_checkpoint_of_other_labels_is_not_taken_up(here, monkeypatch):
    epoch, seen = loop.Pretraining._epoch, []

    def die_once_in_the_third(self, network, number, *rest):
        seen.append(number)
        if seen == [0, 1, 2]:
            raise InterruptedError
        return epoch(self, network, number, *rest)

    monkeypatch.setattr(loop.Pretraining, "_epoch", die_once_in_the_third)
    with pytest.raises(InterruptedError):
        train(here)
    path = here / "data/labels/labels.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, table.field(1), pc.invert(table.column(1))), path)
    train(here)
    assert seen[3] == 0


def test_the_probe_trains_on_the_records_that_it_lists(evaluation_cohort, monkeypatch):
    monkeypatch.chdir(evaluation_cohort)
    cohort = read_cohort(Path("data/splits"), official("csn"))
    settings = dataclasses.replace(
        params.load("linear_probe", LinearProbe, ROOT / "params/demo.yaml"),
        epochs=2,
        warmup_epochs=1,
        seeds=2,
    )
    fit, given = probe_fit.fit, []

    def watched(train, validation, subsets, *rest):
        given.append(subsets)
        return fit(train, validation, subsets, *rest)

    monkeypatch.setattr(probe_fit, "fit", watched)
    encoded = open_encoded(Path("data/encode"), "csn")
    linear_probe.Probing(cohort, encoded, 10, settings, 0).fit()
    train_records = cohort.split("train").records
    listed = {(seed, record) for seed, _, record, ratio in subset_rows(cohort, 0, 2) if ratio <= 10}
    taken = {(seed, train_records[row]) for seed, rows in enumerate(given[0]) for row in rows}
    assert taken == listed


def test_thresholds_are_chosen_on_validation_alone(evaluation_cohort):
    cohort = read_cohort(evaluation_cohort / "data/splits", official("csn"))
    validation, test = cohort.split("val"), cohort.split("test")
    random = np.random.default_rng(0)
    held, asked = (random.normal(size=part.truth.shape) for part in (validation, test))
    found = scored(validation, test, {"12": held}, {"12": asked}, {"12": ()}).threshold["12"]
    np.testing.assert_array_equal(found, best_threshold(validation.truth, held)[0])
    assert not np.array_equal(found, best_threshold(test.truth, asked)[0], equal_nan=True)


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "whole.json"
    files.write_text(path, "old")
    with pytest.raises(OSError, match="full"), files.atomic(path) as partial:
        partial.write_text("ha")
        raise OSError("the disk is full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
