"""Metrics against scikit-learn, bootstrap replicates against resampled records."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import TypeCheckError

from kmerl.evaluation import bootstrap, metrics
from kmerl.seeds import generator


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of 1 to 40 records and 3 classes; few distinct scores, so that ties abound.

    Classes without positives, without negatives, with one positive and with constant scores
    all come up.
    """
    records = draw(st.integers(1, 40))
    truth = draw(arrays(bool, (records, 3)))
    levels = draw(st.integers(1, 12))
    score = draw(arrays(np.int64, (records, 3), elements=st.integers(0, levels)))
    scale = draw(st.sampled_from([1.0, 0.1, -3.7]))
    return truth, (score * scale).astype(draw(st.sampled_from([np.float32, np.float64])))


def assert_as_scikit_learn(truth: np.ndarray, score: np.ndarray) -> None:
    import sklearn.metrics as theirs  # slow

    threshold, f1_max = metrics.best_threshold(truth, score)
    ours = zip(
        metrics.auroc(truth, score),
        metrics.auprc(truth, score),
        f1_max,
        metrics.f1(truth, score >= threshold),
        metrics.f1(truth, score > 0),
        strict=True,
    )
    for (auroc, auprc, best, at_best, f1), y, s in zip(ours, truth.T, score.T, strict=True):
        expected = theirs.roc_auc_score(y, s) if y.any() and not y.all() else np.nan
        assert auroc == pytest.approx(expected, abs=1e-9, nan_ok=True)
        if not y.any():
            assert np.isnan([auprc, best, at_best, f1]).all()
            continue
        assert auprc == pytest.approx(theirs.average_precision_score(y, s), abs=1e-9)
        assert f1 == pytest.approx(theirs.f1_score(y, s > 0), abs=1e-9)
        precision, recall, _ = theirs.precision_recall_curve(y, s)
        curve = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
        assert best == pytest.approx(curve.max(), abs=1e-9)
        assert at_best == pytest.approx(best, abs=1e-12)


@given(cases())
@settings(max_examples=50, deadline=None)
def test_agrees_with_scikit_learn(case):
    assert_as_scikit_learn(*case)


def test_classes_of_every_kind_agree_with_scikit_learn():
    """One positive, one negative, all ties, ties at the top, and many pairs; both float types."""
    random = np.random.default_rng(11)
    for kind, records in product((np.float32, np.float64), (37, 400, 3000)):
        truth = random.random((records, 7)) < [0.0, 1.0, 0.3, 0.3, 0.5, 0.01, 0.99]
        truth[3, 0], truth[5, 1] = True, False
        score = (random.standard_normal(truth.shape) + truth).astype(kind)
        score[:, 2], score[:, 3] = 0.25, np.minimum(np.round(score[:, 3], 1), 0.5)
        assert_as_scikit_learn(truth, score)


def test_no_records_are_undefined_everywhere_and_macro_leaves_them_out():
    truth, score, nan = np.zeros((0, 2), bool), np.zeros((0, 2), np.float32), float("nan")
    for values in (metrics.auroc, metrics.auprc, lambda *of: metrics.best_threshold(*of)[0]):
        np.testing.assert_array_equal(values(truth, score), [nan, nan])
    classes = np.array([[0.5, nan, 1.0], [nan] * 3])
    np.testing.assert_array_equal(metrics.macro(classes), [0.75, nan])


def test_nan_scores_and_wrong_shapes_are_refused():
    truth = np.array([[True], [False]])
    with pytest.raises(ValueError, match="record 1, class 0 is NaN"):
        metrics.auroc(truth, np.array([[0.1], [np.nan]]))
    with pytest.raises((ValueError, TypeCheckError), match=r"shape|f64\[3,1\]"):
        metrics.auprc(truth, np.zeros((3, 1)))


@given(cases(), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_replicates_equal_metrics_of_the_resampled_records(case, seed):
    truth, score = case
    patients = [f"p{i // 3}" for i in range(len(truth))]
    weights = bootstrap.draw_patients(patients, 4, generator(seed, "test"))
    aurocs = metrics.auroc_replicates(truth, score, weights)
    f1s = bootstrap.f1_replicates(truth, score > 0, weights)
    for count, auroc, f1 in zip(weights.T, aurocs, f1s, strict=True):
        rows = np.repeat(np.arange(len(truth)), count.astype(int))
        np.testing.assert_allclose(auroc, metrics.auroc(truth[rows], score[rows]), atol=1e-12)
        np.testing.assert_allclose(f1, metrics.f1(truth[rows], score[rows] > 0), atol=1e-12)


def test_patients_are_drawn_whole_and_as_many_as_there_are():
    patients = ["b", "a", "b", "c", "a", "b"]
    weights = bootstrap.draw_patients(patients, 50, generator(0, "test"))
    np.testing.assert_array_equal(weights[0], weights[2])
    np.testing.assert_array_equal(weights[1], weights[4])
    np.testing.assert_array_equal(weights[[1, 0, 3]].sum(axis=0), 3)


def test_interval_is_percentiles_of_the_defined_replicates():
    values = np.append(np.linspace(0, 1, 101), np.nan)
    assert bootstrap.interval(values, 0.9) == pytest.approx((0.05, 0.95))
    assert np.isnan(bootstrap.interval(np.full(3, np.nan), 0.9)).all()


@given(cases())
@settings(max_examples=30, deadline=None)
def test_both_ways_to_count_agree_to_the_bit(case):
    """Of sets together and alone; 70 replicates are more than one block of them."""
    truth, score = case
    sets = np.stack([score, -score, np.zeros_like(score)])
    weights = np.random.default_rng(0).integers(0, 4, (len(truth), 70)).astype(np.float32)
    found = []
    for most in (np.inf, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(metrics, "PAIRS_A_RECORD", most)
            found.append(metrics.auroc_replicates(truth, sets, weights))
            found.append([metrics.auroc_replicates(truth, one, weights) for one in sets])
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
