"""The rollout log and the metrics of a step: what a judge said whole, and beside the score the reward learnt from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rl.algorithm.reward_shaping import LearntReward
from rl.experience.judge import Reward
from rl.experience.rollout_log import SCHEMA, write_rollouts
from rl.experience.step_metrics import rollout_metrics
from sampler.vllm_pool.sample_stats import SampleStats
from verifiers.verdict import Verdict


def test_a_shard_holds_verdict_score_and_the_reward_learnt_from(
    prompt: Callable[..., Any], judged: Callable[..., Any], tmp_path: Path
) -> None:
    verdict = Verdict.scored(0.5, "near", "close", tier="numeric", confident=False, parts={"iou": 0.5})
    learnt = LearntReward(0.5, weight=0.8, penalties={"unparseable": 0.0, "overlong": -0.1})
    weighed = replace(judged(prompt("a"), 0, 0.5), reward=Reward(0.5, verdict, learnt=learnt))
    file = write_rollouts(
        tmp_path / "s", [weighed, judged(prompt("b"), 0, None)], stage="s", round_index=0, step=3
    )
    first, second = pq.read_table(file).to_pylist()
    assert first["reward"] == 0.5
    assert first["reward_learnt"] == pytest.approx(0.8 * 0.5 - 0.1)
    assert json.loads(first["reward_parts"]) == {"weight": 0.8, "unparseable": 0.0, "overlong": -0.1}
    assert (first["verdict_tier"], first["verdict_confident"]) == ("numeric", False)
    assert json.loads(first["verdict_parts"]) == {"iou": 0.5}
    assert (second["reward"], second["reward_learnt"], second["reward_parts"]) == (None, None, None)
    assert pq.read_schema(file).names == SCHEMA.names
    assert [each.name for each in (tmp_path / "s").iterdir()] == ["step-00003.parquet"]


def test_metrics_of_the_reward_learnt_from_by_hand(
    prompt: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    learnt = [
        LearntReward(1.0, weight=0.5, penalties={"overlong": -0.5}),
        LearntReward(1.0, weight=0.5, penalties={"overlong": 0.0}),
    ]
    rollouts = [judged(prompt("a"), i, 1.0) for i in range(2)]
    stats = SampleStats(2, 3, 9, 15, 1.0, 0, ())
    before = rollout_metrics(rollouts, stats)
    weighed = [
        replace(one, reward=replace(one.reward, learnt=reward))
        for one, reward in zip(rollouts, learnt, strict=True)
    ]
    after = rollout_metrics([*weighed, judged(prompt("b"), 0, None)], stats)
    assert after["rollout/reward_mean"] == 1.0
    assert after["rollout/reward_learnt_mean"] == pytest.approx(0.25)  # (0.5 - 0.5 + 0.5) / 2
    assert after["rollout/reward_learnt_std"] == pytest.approx(0.25)
    assert after["rollout/overlong_penalty_mean"] == pytest.approx(-0.25)
    assert not [name for name in before if "learnt" in name or "penalty" in name]
