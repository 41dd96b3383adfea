"""A score is a probability or a stated failure, and never a truth value."""

import dataclasses
import json
import math

import pytest

from reward_models.score import Score


@pytest.mark.parametrize(
    "score",
    [
        Score.scored(0.75, parts={"as_first": 0.9, "as_second": 0.6}, seconds=1.5),
        Score.scored(0, reason="the answer is empty"),
        Score.failed("the server answers 500"),
        Score.timed_out("no reply within 2 s", seconds=2.0),
    ],
)
def test_a_score_comes_back_from_json_as_it_was(score):
    assert Score.from_json(json.loads(json.dumps(score.to_json()))) == score
    assert score.judged == (score.status == "scored") == (score.probability is not None)


@pytest.mark.parametrize("value", [None, -0.01, 1.01, math.nan, math.inf])
def test_scored_needs_a_probability(value):
    with pytest.raises(ValueError, match=r"needs a probability in \[0, 1\]"):
        Score("scored", value)


@pytest.mark.parametrize("status", ["error", "timeout"])
def test_a_failure_has_no_probability(status):
    with pytest.raises(ValueError, match="has no probability"):
        Score(status, 0.0)


def test_other_statuses_truth_and_change_are_refused():
    with pytest.raises(ValueError, match="is not one of scored, timeout, error"):
        Score("unparseable", None)
    with pytest.raises(TypeError, match="an error is not a bad answer"):
        bool(Score.failed("x"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Score.scored(0.5).probability = 1.0
