"""The rollout log and the metrics of a step: what a judge said whole, and beside the score the reward learnt from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from rl.algorithm.rollouts.reward_shaping import LearntReward
from rl.experience.judge import Reward
from rl.experience.rollout_log import OF_PROMPT, OF_ROLLOUT, TokenFigures, write_rollouts
from rl.experience.step_metrics import rollout_metrics
from sampler.store.log_schema import SCHEMA
from sampler.vllm_pool.sample_stats import SampleStats
from verifiers.verdict import Verdict


def test_a_shard_holds_verdict_score_and_the_reward_learnt_from(
    prompt: Callable[..., Any], judged: Callable[..., Any], tmp_path: Path
) -> None:
    verdict = Verdict.scored(0.5, "near", "close", tier="numeric", confident=False, parts={"iou": 0.5})
    learnt = LearntReward(0.5, weight=0.8, penalties={"unparseable": 0.0, "overlong": -0.1})
    weighed = replace(judged(prompt("a"), 0, 0.5), reward=Reward(0.5, verdict, learnt=learnt))
    file = write_rollouts(
        tmp_path / "s", [weighed, judged(prompt("b"), 0, None)], stage="s", round_index=0, step=3, run_seed=7
    )
    first, second = pq.read_table(file).to_pylist()
    assert first["reward"] == 0.5
    assert first["reward_learnt"] == pytest.approx(0.8 * 0.5 - 0.1)
    assert json.loads(first["reward_parts"]) == {"weight": 0.8, "unparseable": 0.0, "overlong": -0.1}
    assert (first["verdict_tier"], first["verdict_confident"]) == ("numeric", False)
    assert json.loads(first["verdict_parts"]) == {"iou": 0.5}
    assert (second["reward"], second["reward_learnt"], second["reward_parts"]) == (None, None, None)
    written = pq.read_schema(file)
    assert written.names == SCHEMA.names and written.metadata == SCHEMA.metadata
    assert (first["run_seed"], first["stage"], first["step"]) == (7, "s", 3)
    assert first["policy_versions"] == [{"version": 0, "num_tokens": 3}] and first["policy_version"] == 0
    assert {*OF_PROMPT, *OF_ROLLOUT} < {*SCHEMA.names} and first["response_token_ids"] is None
    assert [each.name for each in (tmp_path / "s").iterdir()] == ["step-00003.parquet"]


def test_tokens_are_kept_where_they_are_handed_over(
    prompt: Callable[..., Any], judged: Callable[..., Any], tmp_path: Path
) -> None:
    learnt, left_out = judged(prompt("a"), 0, 1.0), judged(prompt("a"), 1, None)
    rows = [np.float32([-0.5, -1.5, -2.5]), np.float32([0.1, 0.2, 0.3]), np.float32([1, 1, 1])]
    tokens = {learnt.rollout.rollout_id: TokenFigures(*rows)}
    file = write_rollouts(tmp_path, [learnt, left_out], stage="s", round_index=0, step=0, tokens=tokens)
    first, second = pq.read_table(file).to_pylist()
    assert first["trainer_logprobs"] == rows[0].tolist() and first["advantages"] == rows[2].tolist()
    assert first["entropies"] == pytest.approx([0.1, 0.2, 0.3])
    for row, one in ((first, learnt), (second, left_out)):
        assert row["response_token_ids"] == one.rollout.response_token_ids.tolist()
        assert row["sample_logprobs"] == one.rollout.sample_logprobs.tolist()
    assert second["trainer_logprobs"] is None
    written = pq.read_metadata(file).row_group(0)
    columns = [written.column(index) for index in range(written.num_columns)]
    plain = {
        one.path_in_schema
        for one in columns
        if not one.has_dictionary_page and one.physical_type != "BOOLEAN"
    }
    assert plain == {
        f"{name}.list.element" for name in ("sample_logprobs", "trainer_logprobs", "entropies", "advantages")
    }


def test_metrics_of_the_reward_learnt_from_by_hand(
    prompt: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    learnt = [
        LearntReward(1.0, weight=0.5, penalties={"overlong": -0.5}),
        LearntReward(1.0, weight=0.5, penalties={"overlong": 0.0}),
    ]
    rollouts = [judged(prompt("a"), i, 1.0) for i in range(2)]
    stats = SampleStats(num_groups=2, num_rollouts=3, response_tokens=9, seconds=1.0)
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
