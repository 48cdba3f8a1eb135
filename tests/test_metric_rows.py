"""Scores on disk, intervals over patients, seen classes: the parts the stages are made of."""

import dataclasses

import numpy as np
import pytest

from kmerl.evaluation import metric_rows, seen_unseen
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.scores import Scores, read_seeds, scored
from kmerl.leads import parse_leads
from kmerl.tasks.classes import ClassName
from kmerl.tasks.cohort import Cohort

STATISTICS = Statistics(replicates=200, level=0.95, min_positives=5)


def test_seen_is_above_the_threshold_and_ties_go_by_name():
    vectors = np.array([[1.0, 0.0], [0.6, 0.8]])
    entities = np.array([[3.0, 0.0], [1.0, 0.0]])
    found = seen_unseen.overlaps(["b", "a"], vectors, ["y", "x"], entities, 0.6)
    assert [dataclasses.astuple(one) for one in found] == [
        ("a", "x", pytest.approx(0.6), "unseen"),
        ("b", "x", 1.0, "seen"),
    ]
    alone = seen_unseen.overlaps(["b"], vectors[:1], [], np.empty((0, 2)), 0.6)[0]
    assert (alone.entity, alone.group) == ("", "unseen")
    with pytest.raises(ValueError, match="'b' has length 0"):
        seen_unseen.overlaps(["b"], 0 * vectors[:1], ["x"], entities[:1], 0.6)


def _scores(truth: np.ndarray, score: np.ndarray, patients: list[str]) -> Scores:
    names = tuple(ClassName(f"C{i}", f"class {i}") for i in range(truth.shape[1]))
    strings = np.array([f"r{i}" for i in range(len(truth))])
    everyone = Cohort("csn", "csn", names, strings, np.array(patients), strings, truth)
    return scored(everyone, everyone, {"12": score}, {"12": score}, {"12": parse_leads("12")})


def test_scores_come_back_from_disk_as_they_were_and_seeds_in_their_order(tmp_path):
    random = np.random.default_rng(0)
    truth = random.random((9, 3)) < [0.5, 0.5, 0.0]
    before = {
        seed: _scores(truth, random.random((9, 3), dtype=np.float32), list("aabbccdde"))
        for seed in (10, 2, 0)
    }
    for seed, one in before.items():
        one.write(tmp_path / str(seed))
    found = read_seeds(tmp_path, ["csn"])
    for (after,), seed in zip(found, (0, 2, 10), strict=True):
        assert np.isnan(after.threshold["12"][2])
        for name in ("codes", "names", "records", "patients", "lead_sets", "corpus"):
            assert getattr(after, name) == getattr(before[seed], name)
        np.testing.assert_array_equal(after.truth, truth)
        np.testing.assert_array_equal(after.score["12"], before[seed].score["12"])
    with pytest.raises(FileNotFoundError, match="holds no seed"):
        read_seeds(tmp_path / "0", ["csn"])


def test_intervals_widen_when_records_share_a_patient():
    random = np.random.default_rng(1)
    truth = np.repeat(random.random((30, 1)) < 0.5, 4, axis=0)
    score = np.repeat(random.random((30, 1)) + 0.3 * truth[::4], 4, axis=0)
    widths = []
    for patients in ([f"p{i}" for i in range(120)], [f"p{i // 4}" for i in range(120)]):
        found = metric_rows.evaluate([_scores(truth, score, patients)], STATISTICS, 0)
        row = metric_rows.metric_table(found, STATISTICS)["csn"]["12"]
        widths.append(row["auroc_hi"] - row["auroc_lo"])
    assert widths[1] > 1.5 * widths[0]


def test_the_mean_over_seeds_is_of_metrics_and_of_replicates():
    random = np.random.default_rng(2)
    truth = random.random((60, 2)) < 0.4
    people = [f"p{i // 2}" for i in range(60)]
    scored = [_scores(truth, random.random((60, 2)) + truth * k, people) for k in (0.1, 0.5, 0.9)]
    seeds = [metric_rows.evaluate([one], STATISTICS, 0) for one in scored]
    every = [one["csn"]["12"] for one in seeds]
    found = metric_rows.over_seeds(seeds)["csn"]["12"]
    for name in ("auroc", "auprc", "f1", "f1_max", "auroc_replicates", "f1_replicates"):
        values = [getattr(one, name) for one in every]
        np.testing.assert_allclose(getattr(found, name), sum(values) / 3, atol=1e-12)
    row = metric_rows.summarise([found], STATISTICS)
    of_mean = np.mean([one.auroc_replicates.mean(1) for one in every], axis=0)
    low, high = np.percentile(of_mean, [2.5, 97.5])
    assert (row["auroc_lo"], row["auroc_hi"]) == pytest.approx((low, high))
    with pytest.raises(ValueError, match="differ in their test records"):
        metric_rows.mean_over_seeds([found, dataclasses.replace(found, records=59)])
