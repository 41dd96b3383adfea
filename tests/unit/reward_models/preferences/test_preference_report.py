"""Accuracy, position bias and calibration against figures computed by hand."""

import dataclasses

import pytest

from reward_models.preferences.preference_report import (
    JudgedPair,
    PairReport,
    calibration_bins,
    expected_calibration_error,
    judged_pair,
    orders_disagree,
    pair_report,
)
from reward_models.score import Score


def test_figures_by_hand():
    # averaged p: 0.8 right; 0.55 right, the orders disagree; 0.2 wrong; 0.5 a tie, the orders disagree
    pairs = [JudgedPair(0.9, 0.7), JudgedPair(0.9, 0.2), JudgedPair(0.1, 0.3), JudgedPair(0.6, 0.4), None]
    report = pair_report(pairs)
    assert (report.num_pairs, report.num_failed) == (4, 1)
    assert report.accuracy == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert report.position_bias_frac == pytest.approx(2 / 4)
    assert report.order_gap_mean == pytest.approx((0.2 + 0.7 + 0.2 + 0.2) / 4)
    assert report.brier == pytest.approx((0.2**2 + 0.45**2 + 0.8**2 + 0.5**2) / 4)
    # confidences 0.8 (one right, one wrong), 0.55 (right), 0.5 (half): (2 |0.5-0.8| + |1-0.55| + |0.5-0.5|) / 4
    assert report.ece == pytest.approx((0.6 + 0.45) / 4)
    assert [(one.low, one.num_pairs, one.accuracy) for one in report.bins] == [
        (0.5, 1, 0.5),
        (pytest.approx(0.55), 1, 1.0),
        (pytest.approx(0.8), 2, 0.5),
    ]


def test_ten_bins_each_hold_what_is_theirs():
    lower_bounds = [0.5 + index * 0.05 for index in range(10)]
    bins = calibration_bins([*lower_bounds, 1.0])
    assert [one.num_pairs for one in bins] == [1] * 9 + [2]
    assert (bins[0].low, bins[-1].high) == (0.5, 1.0)
    assert expected_calibration_error(calibration_bins([1.0, 1.0])) == 0.0
    assert expected_calibration_error(calibration_bins([0.0])) == 1.0
    # four of five right at confidence 0.8: perfectly calibrated
    assert expected_calibration_error(calibration_bins([0.8] * 4 + [0.2])) == pytest.approx(0.0)


def test_a_judge_that_looks_at_the_place_only_is_found_out():
    report = pair_report([JudgedPair(1.0, 0.0)] * 3)
    assert (report.accuracy, report.position_bias_frac, report.order_gap_mean) == (0.5, 1.0, 1.0)
    assert not orders_disagree(JudgedPair(0.5, 0.1))  # a tie names no winner


def test_failures_are_counted_and_never_wrong():
    report = pair_report([None, judged_pair(Score.failed("x")), judged_pair(Score.timed_out("x"))])
    assert (report.num_pairs, report.num_failed, report.accuracy) == (0, 3, None)
    assert report.metrics() == {"reward_model/num_pairs": 0.0, "reward_model/num_failed": 3.0}


def test_a_pair_is_read_from_a_score():
    assert judged_pair(Score.scored(0.75, parts={"as_first": 0.9, "as_second": 0.6})) == JudgedPair(0.9, 0.6)
    assert judged_pair(Score.scored(0.75)) is None  # one order tells nothing of a bias for a place


def test_metrics_are_named():
    metrics = pair_report([JudgedPair(0.9, 0.7)]).metrics()
    assert metrics["reward_model/pair_accuracy_frac"] == 1.0
    assert metrics["reward_model/brier"] == pytest.approx(0.04)
    assert len(metrics) == 7


def test_a_model_that_reads_one_answer_at_a_time_has_no_place_to_be_biased_for():
    scores = [
        Score.scored(0.8, parts={"score": 2.0, "reference_score": 0.6}),
        Score.scored(0.4, parts={"score": 0.0, "reference_score": 0.4}),
        Score.failed("x"),
    ]
    report = pair_report(map(judged_pair, scores))
    assert (report.num_pairs, report.num_failed, report.accuracy) == (2, 1, 0.5)
    assert report.one_at_a_time
    assert report.position_bias_frac is None and report.order_gap_mean is None
    assert report.brier == pytest.approx((0.2**2 + 0.6**2) / 2)
    assert {name for name in report.metrics() if "order" in name or "bias" in name} == set()
    assert PairReport.from_json(dataclasses.asdict(report)) == report
    assert report.summary == (
        "pairwise accuracy 50.0% on 2 held-out pairs, one answer at a time, so no position bias, "
        "calibration error 0.400, 1 failed"
    )
