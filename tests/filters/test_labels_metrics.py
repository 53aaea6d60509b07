"""Figures of a classifier, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from filters.labels.calibration import balanced_weights, probabilities, scale_and_offset, temperature
from filters.labels.metrics import average_precision, calibration_error, counts, intervals, log_loss, score

YES = np.array([True, True, False, True, False, False])
P = np.array([0.9, 0.8, 0.7, 0.4, 0.3, 0.1])


def test_counts_and_shares() -> None:
    found = counts(YES, P)
    assert (found.tp, found.fp, found.tn, found.fn) == (2, 1, 2, 1)
    scores = score(YES, P)
    assert scores.accuracy == pytest.approx(4 / 6)
    assert (scores.recall_yes, scores.precision_yes) == pytest.approx((2 / 3, 2 / 3))
    assert (scores.recall_no, scores.precision_no) == pytest.approx((2 / 3, 2 / 3))
    assert scores.balanced_accuracy == pytest.approx(2 / 3)


def test_always_saying_yes_has_a_balanced_accuracy_of_a_half() -> None:
    """Table 11's trouble: nine of ten are yes, and an accuracy of 0.9 is nothing."""
    yes = np.array([True] * 9 + [False])
    scores = score(yes, np.full(10, 0.99))
    assert scores.accuracy == pytest.approx(0.9)
    assert scores.balanced_accuracy == 0.5
    assert scores.precision_no is None


def test_average_precision_by_hand() -> None:
    # Yes at ranks 1, 2 and 4: a third each of 1/1, 2/2 and 3/4.
    assert average_precision(YES, P) == pytest.approx((1 + 1 + 3 / 4) / 3)
    # All alike: they come in together, at the share of yes.
    assert average_precision(YES, np.full(6, 0.5)) == pytest.approx(0.5)
    # Two tied first, one of them yes; then a yes at rank 3.
    tied = np.array([0.9, 0.9, 0.5, 0.1])
    assert average_precision(np.array([True, False, True, False]), tied) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert average_precision(np.array([False, False]), np.array([0.1, 0.2])) is None


def test_calibration_error_by_hand() -> None:
    p = np.array([0.15, 0.15, 0.95, 0.95])
    yes = np.array([False, True, True, True])
    # Bin 0.1: told 0.15, true 0.5; bin 0.9: told 0.95, true 1.
    assert calibration_error(yes, p) == pytest.approx(0.5 * 0.35 + 0.5 * 0.05)
    assert calibration_error(np.array([True]), np.array([1.0])) == 0.0


def test_a_weight_is_as_many_clips() -> None:
    rng = np.random.default_rng(0)
    yes, p, times = rng.random(30) < 0.4, rng.random(30).round(1), rng.integers(0, 4, 30)
    again = score(np.repeat(yes, times), np.repeat(p, times))
    weighed = score(yes, p, times.astype(float))
    for name in ("balanced_accuracy", "pr_auc", "calibration_error", "precision_no"):
        assert getattr(weighed, name) == pytest.approx(getattr(again, name))


def test_intervals_are_those_of_sources_not_of_clips() -> None:
    """Twenty clips of each film say the same: they know no more than one would."""
    rng = np.random.default_rng(0)
    yes = np.arange(40) % 2 == 0
    p = np.clip(np.where(yes, 0.6, 0.4) + rng.normal(0, 0.2, 40), 0, 1)
    once = intervals(yes, p, [str(n) for n in range(40)], resamples=300)["balanced_accuracy"]
    many = np.repeat(yes, 20), np.repeat(p, 20)
    films = intervals(*many, [str(n) for n in range(40) for _ in range(20)], resamples=300)
    clips = intervals(*many, [str(n) for n in range(800)], resamples=300)["balanced_accuracy"]
    assert films["balanced_accuracy"] == pytest.approx(once)
    assert once is not None
    assert clips is not None
    assert clips[1] - clips[0] < 0.5 * (once[1] - once[0])
    assert once[0] < (score(yes, p).balanced_accuracy or 0) < once[1]


def test_no_interval_where_a_class_is_missing() -> None:
    found = intervals(np.array([True, True]), np.array([0.4, 0.6]), ["a", "b"], resamples=50)
    assert found["recall_no"] is None
    assert found["recall_yes"] is not None


def test_temperature_mends_overconfidence_and_lowers_log_loss() -> None:
    """Odds that are right four times of five and claim 0.99: ln 4 is what they should say."""
    yes = np.array([True] * 8000 + [False] * 2000 + [False] * 8000 + [True] * 2000)
    odds = np.where(np.arange(20000) < 10000, 4.6, -4.6)
    found = temperature(yes, odds)
    assert 4.6 / found == pytest.approx(np.log(4), rel=1e-3)
    before, after = log_loss(yes, odds), log_loss(yes, odds / found)
    assert after == pytest.approx(-(0.8 * np.log(0.8) + 0.2 * np.log(0.2)), rel=1e-4)
    assert before is not None
    assert after is not None
    assert after < before - 0.4
    p = probabilities(odds[:, None], [found])[:, 0]
    assert calibration_error(yes, p) == pytest.approx(0, abs=1e-3)
    assert (p >= 0.5).tolist() == (odds >= 0).tolist()


def test_a_few_clips_told_without_a_mistake_are_no_certainty() -> None:
    """Ten of each class, all right by far: as Platt has it, eleven of twelve."""
    yes = np.array([True] * 10 + [False] * 10)
    odds = np.where(yes, 2.0, -2.0)
    assert 2.0 / temperature(yes, odds) == pytest.approx(np.log(11), rel=1e-3)


def test_one_class_has_no_temperature_of_its_own() -> None:
    assert temperature(np.array([True, True]), np.array([3.0, -1.0])) == 1.0


def test_balanced_weights_let_both_classes_count_the_same() -> None:
    yes = np.array([True] + [False] * 9)
    weight = balanced_weights(yes)
    assert weight[yes].sum() == pytest.approx(weight[~yes].sum())
    assert weight.mean() == pytest.approx(1)


def test_scale_and_offset_put_log_odds_right() -> None:
    rng = np.random.default_rng(11)
    right = rng.normal(0, 2, 6000)
    yes = rng.random(6000) < 1 / (1 + np.exp(-right))
    scale, offset = scale_and_offset(yes, 2.5 * right - 3.0)
    assert scale == pytest.approx(0.4, abs=0.05)
    assert offset == pytest.approx(1.2, abs=0.15)
    assert scale_and_offset(np.array([True, True]), np.array([1.0, 2.0])) == (1.0, 0.0)


def test_one_answer_of_a_kind_moves_an_offset_no_further_than_belief_allows() -> None:
    scale, offset = scale_and_offset(np.array([True, False]), np.array([-40.0, 40.0]))
    assert scale == 0.1
    assert abs(offset) < 5
