import json
import pickle

import pytest

from verifiers.verdict import Verdict


def test_truth_value_raises():
    with pytest.raises(TypeError, match="not a wrong answer"):
        bool(Verdict.scored(1.0, "equal", "same"))


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan"), None])
def test_scored_needs_a_score_in_range(score):
    with pytest.raises(ValueError, match="needs a score"):
        Verdict("scored", score, "x", "x")


@pytest.mark.parametrize("status", ["timeout", "error"])
def test_unjudged_has_no_score(status):
    with pytest.raises(ValueError, match="no score"):
        Verdict(status, 0.0, "x", "x")
    assert not Verdict(status, None, "x", "x").judged


def test_json_round_trip():
    verdict = Verdict.scored(
        0.5, "overlap", "half", parts={"iou": 0.5}, seconds=0.1, tier="structure", confident=False
    )
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
    assert pickle.loads(pickle.dumps(verdict)) == verdict


def test_unparseable_is_the_models_fault_and_scores_zero():
    assert Verdict.unparseable("no_box", "nothing").score == 0.0
