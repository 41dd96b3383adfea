"""From judged rollouts to mini-batches: who is left out, who stays together, what is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.algorithm.algorithm import Algorithm
from rl.data.batch import Batch, StepCounts
from rl.data.token_sequence import TokenSequence
from rl.experience.experience import Experience
from rl.experience.judge import JudgedBatch
from rl.experience.training_batch import (
    mini_batches,
    packed_rollouts,
    rollout_sequence,
    with_advantages,
)
from rl.recipe.rl_config import LossConfig, RlConfig
from sampler.rollout import Turn
from sampler.vision_input import VisionInput
from sampler.vllm_pool.sample_stats import SampleStats
from verifiers.errors import BadInput
from verifiers.verdict import Verdict


def rewards_of(rollouts: list[Any], config: RlConfig) -> list[float]:
    """Learnt from: every rollout, so that the batch can be of all of them."""
    stats = SampleStats()
    experience = Experience(0, tuple(rollouts), {}, stats, 0.0, 0.0)
    weighed = experience.weighed(Algorithm(config.model_copy(update={"advantage": "reinforce_plus_plus"})))
    return [one.reward.learnt.value for one in weighed.rollouts if one.reward.learnt is not None]


def batch_of(rollouts: list[Any], config: RlConfig) -> Batch:
    """As an RL step makes it, where the advantages wait for nothing from the trainer."""
    return with_advantages(packed_rollouts(rollouts, config), rewards_of(rollouts, config), Algorithm(config))


def test_columns_of_the_batch(
    prompt: Callable[..., Any], judged: Callable[..., Any], picture: Callable[..., bytes]
) -> None:
    seen = prompt("a", images=[picture(1)])
    general = prompt("b", kind="general")
    rollouts = [
        judged(seen, 0, 1.0, length=4),
        judged(seen, 1, 0.0, length=1),
        judged(general, 0, 0.25, length=2),
        judged(general, 1, 0.75, length=3),
    ]
    config = RlConfig(loss=LossConfig(kl_coef_verifiable=0.0, kl_coef_general=0.125))
    batch = batch_of(rollouts, config)
    np.testing.assert_allclose(
        batch.column("advantages"),
        np.repeat([np.sqrt(0.5), -np.sqrt(0.5), -np.sqrt(0.5), np.sqrt(0.5)], [4, 1, 2, 3]),
        rtol=1e-5,
    )
    assert batch.scalars["kl_coef"].tolist() == [0.0, 0.0, 0.125, 0.125]
    assert batch.column("sample_logprobs").tolist() == [-0.0, -1, -2, -3, -0.0, -0.0, -1, -0.0, -1, -2]
    assert batch.token_ids[:9].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3]
    assert (batch.lengths - batch.loss_lengths).tolist() == [5] * 4
    assert batch.vision_inputs == ((VisionInput.of("image", picture(1)),),) * 2 + ((),) * 2
    assert batch.counts == StepCounts(10, 4, 4)


def test_turns_are_learnt_from_and_what_was_given_between_them_is_not(
    prompt: Callable[..., Any], rollout: Callable[..., Any]
) -> None:
    seen = prompt("a")
    first = rollout(seen, 0, length=3).turns[0]
    second = replace(first, prompt_token_ids=np.int32([70, 71]), sample_logprobs=np.float32([-5, -6, -7]))
    sequence = rollout_sequence(replace(rollout(seen, 0), turns=(first, second)), seen, kl_coef=0.5)
    assert sequence.token_ids.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 70, 71, 0, 1, 2]
    assert sequence.loss_mask.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1]
    assert sequence.columns["sample_logprobs"][sequence.loss_mask > 0].tolist() == [0, -1, -2, -5, -6, -7]
    assert sequence.scalars == {"kl_coef": 0.5}


def test_right_are_verifiable_responses_from_a_score_on(
    prompt: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    seen, general = prompt("a"), prompt("b", kind="general")
    rollouts = [
        judged(seen, 0, 1.0, length=4),
        judged(seen, 1, 0.5, length=2),
        judged(seen, 2, 0.4),
        judged(general, 0, 0.9),
    ]
    batch = packed_rollouts(rollouts, RlConfig())
    assert batch.scalars["is_right"].tolist() == [1, 1, 0, 0]
    assert batch.counts.num_right_tokens == 6
    assert packed_rollouts(rollouts, RlConfig(), right_score=0.6).scalars["is_right"].tolist() == [1, 0, 0, 0]
    parts = [batch.select(part) for part in mini_batches(batch.prompt_ids, 2, seed="1")]
    assert sorted(part.counts.num_right_tokens for part in parts) == [0, 6]


def test_rewards_are_the_scores_unless_shaped(prompt: Callable[..., Any], judged: Callable[..., Any]) -> None:
    seen, general = prompt("a"), prompt("b", kind="general", verifier=None)
    unread = judged(seen, 1, 0.0, length=9)
    unread = replace(
        unread, reward=replace(unread.reward, verdict=Verdict.unparseable("nothing", "no answer"))
    )
    cut = judged(seen, 2, 0.0, status="truncated", length=10)
    rollouts = [judged(seen, 0, 1.0), unread, cut, judged(general, 0, 0.75)]
    assert rewards_of(rollouts, RlConfig()) == [1.0, 0.0, 0.0, 0.75]
    shaped = RlConfig(
        max_response_tokens=10,
        overlong_cache_tokens=4,
        unparseable_penalty=0.25,
        reward_weights={"string": 2.0, "verifiable": 3.0, "general": 0.5},
    )
    assert rewards_of(rollouts, shaped) == pytest.approx([2.0, -0.25 - 0.75, -1.0, 0.375])
    grouped = [one for one in rollouts if one.prompt is seen]
    by_shape = batch_of(grouped, shaped).column("advantages")[[0, 3, 12]]
    own = np.array([2.0, -1.0, -1.0])
    np.testing.assert_allclose(by_shape, (own - own.mean()) / own.std(ddof=1), rtol=1e-5)


def test_advantages_of_a_critic_wait_for_its_values(
    prompt: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    """Single samples of general prompts beside a group: the critic is the baseline of both."""
    rollouts = [
        judged(prompt("a"), 0, 1.0, length=3),
        judged(prompt("b", kind="general"), 0, 0.25, length=2),
    ]
    config = RlConfig(advantage="decoupled_gae", whiten_advantages=False, lambda_actor=0.5)
    with pytest.raises(BadInput, match="needs a critic's values"):
        batch_of(rollouts, config)
    values = np.array([0.5, 0.25, 0.75, 0.5, 0.0], np.float32)
    batch = packed_rollouts(rollouts, config)
    assert "advantages" not in batch.columns
    batch = with_advantages(batch, rewards_of(rollouts, config), Algorithm(config), values=values)
    delta = [-0.25, 0.5, 0.25, -0.5, 0.25]
    wanted = [delta[0] + 0.5 * delta[1] + 0.25 * delta[2], delta[1] + 0.5 * delta[2], delta[2]]
    np.testing.assert_allclose(batch.column("advantages"), [*wanted, delta[3] + 0.5 * delta[4], delta[4]])
    np.testing.assert_allclose(batch.column("returns"), [1.0, 1.0, 1.0, 0.25, 0.25])
    np.testing.assert_array_equal(batch.column("old_values"), values)


def test_kl_in_the_reward_leaves_the_loss(prompt: Callable[..., Any], judged: Callable[..., Any]) -> None:
    """Per sample: its tokens' KL is taken off where there is a coefficient, and counted once."""
    rollouts = [
        judged(prompt("a"), 0, 1.0, length=2),
        judged(prompt("b", kind="general"), 0, 0.5, length=2),
    ]
    loss = LossConfig(kl_in="reward", kl_coef_general=0.5, kl_estimator="k1")
    config = RlConfig(advantage="decoupled_gae", whiten_advantages=False, loss=loss)
    batch = packed_rollouts(rollouts, config).with_columns(
        old_logprobs=np.array([-1, -2, -1, -2], np.float32),
        ref_logprobs=np.array([-2, -2, -2, -1.5], np.float32),
    )
    assert batch.scalars["kl_coef"].tolist() == [0.0, 0.5]
    got = with_advantages(batch, [1.0, 0.5], Algorithm(config), values=np.zeros(4, np.float32))
    np.testing.assert_allclose(got.column("returns"), [1.0, 1.0, 0.5 - 0.5 + 0.25, 0.5 + 0.25])
    assert got.scalars["kl_coef"].tolist() == [0.0, 0.0]
    in_loss = config.model_copy(update={"loss": loss.model_copy(update={"kl_in": "loss"})})
    kept = with_advantages(batch, [1.0, 0.5], Algorithm(in_loss), values=np.zeros(4, np.float32))
    np.testing.assert_allclose(kept.column("returns"), [1.0, 1.0, 0.5, 0.5])
    assert kept.scalars["kl_coef"].tolist() == [0.0, 0.5]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=40), st.integers(1, 9), st.text(max_size=4))
def test_mini_batches_hold_whole_groups_and_all_rollouts_once(groups: list[int], num: int, seed: str) -> None:
    batch = Batch.of(
        [
            TokenSequence(
                f"r{i}",
                f"p{group}",
                np.zeros(3 + i % 4, np.int32),
                np.float32([0, 0] + [i % 3 > 0] * (1 + i % 4)),
            )
            for i, group in enumerate(groups)
        ]
    )
    indices = mini_batches(batch.prompt_ids, num, seed=seed)
    assert sorted(index for part in indices for index in part) == list(range(len(batch)))
    parts = [batch.select(part) for part in indices]
    where: dict[str, set[int]] = {}
    for number, part in enumerate(parts):
        for prompt_id in part.prompt_ids:
            where.setdefault(prompt_id, set()).add(number)
    assert all(len(indices) == 1 for indices in where.values())
    assert len(parts) == min(num, len(set(groups)))
    sizes = [len(set(part.prompt_ids)) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert sum(part.counts.num_loss_tokens for part in parts) == batch.counts.num_loss_tokens
    assert mini_batches(batch.prompt_ids, num, seed=seed) == indices


def test_seeds_shuffle_prompts() -> None:
    prompt_ids = [f"p{i}" for i in range(20)]
    orders = {tuple(mini_batches(prompt_ids, 4, seed=seed)[0]) for seed in ("1 0 0", "1 0 1", "2 0 0")}
    assert len(orders) == 3


def test_judged_batch_is_put_in_the_order_of_the_prompts(
    prompt: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    a, b = prompt("a"), prompt("b")
    arrived = [judged(a, 1, 0.0), judged(b, 2, 0.0), judged(a, 0, 1.0), judged(b, 0, 1.0)]
    ordered = JudgedBatch(arrived, 0.0).in_order_of([b, a])
    assert [one.rollout.rollout_id for one in ordered] == ["rl-0-b-0", "rl-0-b-2", "rl-0-a-0", "rl-0-a-1"]


def test_mismatch_is_k3_by_hand() -> None:
    from rl.experience.step_metrics import Mismatch

    sample, trainer = (
        np.log(np.array([0.5, 0.2, 0.9], np.float32)),
        np.log(np.array([0.25, 0.4, 0.9], np.float32)),
    )
    ratio = np.array([0.5, 2.0, 1.0])
    got = Mismatch.between(sample, trainer)
    assert got.kl == pytest.approx(np.mean(ratio - 1 - np.log(ratio)), rel=1e-5)
    assert got.max_difference == pytest.approx(np.log(2), rel=1e-6)
    assert Mismatch.between(sample, sample) == Mismatch(0.0, 0.0)
    tiny = Mismatch.between(sample, sample + np.float32(1e-4))
    assert tiny.kl == pytest.approx(0.5e-8, rel=1e-2)  # not lost to cancellation
    assert Mismatch.between(sample[:0], sample[:0]) == Mismatch(0.0, 0.0)


def test_what_the_policy_was_given_between_turns_is_masked(
    prompt: Callable[..., Any], rollout: Callable[..., Any]
) -> None:
    asked = prompt("a")
    one = rollout(asked, 0, length=2)
    tool = np.array([20, 21, 22], np.int32)
    said = np.array([30], np.int32)
    second = Turn(tool, said, np.array([-7], np.float32), "stop", ((1, 1),))
    sequence = rollout_sequence(replace(one, turns=(*one.turns, second)), asked, kl_coef=0.5)
    assert sequence.token_ids.tolist() == [0, 1, 2, 3, 4, 0, 1, 20, 21, 22, 30]
    assert sequence.loss_mask.tolist() == [0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1]
    assert sequence.columns["sample_logprobs"].tolist() == [0, 0, 0, 0, 0, 0, -1, 0, 0, 0, -7]
    assert sequence.scalars == {"kl_coef": 0.5}
