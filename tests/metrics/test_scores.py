import math

import numpy as np
import pytest

from sermm.metrics.scores import averages, confusion, intervals, resamples, scores

# labels in rows: 4 of class 0 (3 right), 6 of class 1 (3 right), 10 of class 2 (9 right)
TABLE = np.array([[3, 1, 0], [2, 3, 1], [0, 1, 9]])


def draws(d, n=1000):
    return resamples(d, np.random.default_rng(0), n)


def test_confusion_counts_label_in_row_and_prediction_in_column():
    table = confusion(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 2]), 3)
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


def test_confusion_refuses_a_class_it_does_not_know():
    with pytest.raises(
        ValueError, match="predictions must be class indices from 0 to 1, got 0 to 2"
    ):
        confusion(np.array([0, 1]), np.array([0, 2]), 2)


def test_hand_computed_scores():
    got = scores(TABLE)
    assert got.n == 20
    assert got.wa == pytest.approx(15 / 20)
    assert got.recall == pytest.approx((3 / 4, 3 / 6, 9 / 10))
    assert got.ua == pytest.approx((0.75 + 0.5 + 0.9) / 3)
    assert got.precision == pytest.approx((3 / 5, 3 / 5, 9 / 10))
    f1 = (2 / 3, 6 / 11, 9 / 10)
    assert got.f1 == pytest.approx(f1)
    assert got.f1_macro == pytest.approx(sum(f1) / 3)
    assert got.f1_weighted == pytest.approx((4 * f1[0] + 6 * f1[1] + 10 * f1[2]) / 20)


def test_a_class_without_examples_takes_no_part_in_means():
    got = scores(np.array([[2, 0, 2], [0, 4, 0], [0, 0, 0]]))
    assert got.recall == (0.5, 1.0, None)
    assert got.f1[2] is None
    assert got.precision[2] is None
    assert got.ua == pytest.approx(0.75)
    assert got.f1_macro == pytest.approx((2 / 3 + 1) / 2)


def test_a_class_never_predicted_has_precision_zero():
    assert scores(np.array([[2, 0], [3, 0]])).precision == (2 / 5, 0.0)


def test_no_utterance_no_score():
    with pytest.raises(ValueError, match="no utterance"):
        scores(np.zeros((3, 3), dtype=int))


def test_averages_of_many_matrices_are_those_of_each():
    many = np.stack([TABLE, TABLE.T, np.zeros_like(TABLE)])
    got = averages(many)
    assert got["ua"][0] == pytest.approx(scores(TABLE).ua)
    assert got["f1_weighted"][1] == pytest.approx(scores(TABLE.T).f1_weighted)
    assert all(math.isnan(values[2]) for values in got.values())


def test_interval_of_equal_dialogues_is_a_point():
    low, high = intervals(np.stack([TABLE] * 7)[None], draws(7))["ua"]
    assert low == pytest.approx(scores(TABLE).ua)
    assert high == pytest.approx(scores(TABLE).ua)


def test_interval_width_follows_the_number_of_dialogues_not_of_utterances():
    # dialogues of 10 utterances, all right or all wrong, half of each: sd of WA is 0.5 / sqrt(d)
    right, wrong = np.array([[10, 0], [0, 0]]), np.array([[0, 10], [0, 0]])
    low, high = intervals(np.stack([right, wrong] * 50)[None], draws(100, 4000))["wa"]
    assert high - low == pytest.approx(2 * 1.96 * 0.05, rel=0.06)
    assert low < 0.5 < high


def test_interval_takes_the_mean_over_seeds():
    right, wrong = np.array([[1, 0], [0, 1]]), np.array([[0, 1], [1, 0]])
    tables = np.stack([np.stack([right] * 4), np.stack([wrong] * 4)])
    assert intervals(tables, draws(4))["ua"] == (0.5, 0.5)


def test_interval_is_the_same_for_the_same_generator():
    tables = np.random.default_rng(3).integers(0, 9, (1, 12, 3, 3))
    assert intervals(tables, draws(12)) == intervals(tables, draws(12))


def test_interval_with_a_class_that_some_draws_miss_is_finite():
    tables = np.zeros((1, 3, 2, 2), dtype=int)
    tables[0, :, 0, 0] = 5
    tables[0, 0, 1, 0] = 2
    assert all(math.isfinite(end) for pair in intervals(tables, draws(3)).values() for end in pair)


def test_interval_needs_two_dialogues():
    with pytest.raises(ValueError, match="at least 2 dialogues, got 1"):
        draws(1)
