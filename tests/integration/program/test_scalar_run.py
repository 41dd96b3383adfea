"""Hybrid RL with a scalar reward model: trained in the run, judging in it, and the start of the run's critic."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def run(new_run: Callable[..., Any]) -> Any:
    run = new_run(
        "scalar",
        "judging.reward_model.training.kind=scalar",
        "critic.init_from=reward_model",
        "critic.pretrain_steps=1",
        "rl.steps=2",
        recipe="tiny_hybrid",
    ).start()
    assert run.wait() == 0, run.text
    return run


def test_rewards_are_the_sigmoid_of_the_margin_over_the_reference(run: Any) -> None:
    rows = [row for row in run.rollouts().values() if row["kind"] == "general" and row["score_status"]]
    assert rows
    references: dict[str, set[float]] = {}
    for row in rows:
        parts = json.loads(row["score_parts"])
        assert row["score_status"] == "scored" and set(parts) == {"score", "reference_score"}
        margin = parts["score"] - parts["reference_score"]
        assert row["reward"] == pytest.approx(1 / (1 + math.exp(-margin)), abs=1e-6)
        references.setdefault(row["prompt_id"], set()).add(parts["reference_score"])
    assert all(len(scores) == 1 for scores in references.values())  # read once


def test_the_report_claims_no_position_bias(run: Any) -> None:
    report = run.manifests()["03-reward-model-r0"]["result"]["report"]
    assert report["num_failed"] == 0 and 0 <= report["accuracy"] <= 1
    assert report["one_at_a_time"] and report["position_bias_frac"] is None
    assert "so no position bias" in run.text


def test_the_critic_starts_from_it(run: Any) -> None:
    """From a policy its values would be exactly 0 before the first step."""
    first = run.metrics()["05-critic-r0", 0]
    assert first["critic/value_mean"] != 0
