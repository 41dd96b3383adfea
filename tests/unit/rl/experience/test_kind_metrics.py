"""Figures by kind of prompt against sums by hand; KL over the loss tokens of each kind only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rl.data.batch import Batch
from rl.data.token_sequence import TokenSequence
from rl.experience.step_metrics import kind_metrics, kl_metrics, rollout_metrics
from sampler.vllm_pool.sample_stats import SampleStats


def test_kinds_are_counted_apart(prompt: Callable[..., Any], judged: Callable[..., Any]) -> None:
    asked, ruled = replace(prompt("g"), kind="general"), prompt("v")
    metrics = kind_metrics(
        [
            judged(asked, 0, 0.25, length=4),
            judged(asked, 1, None, length=2),
            judged(ruled, 0, 1.0, length=6),
            judged(ruled, 1, 0.0, length=2, status="empty"),
        ]
    )
    assert metrics["kind/general/reward_mean"] == 0.25
    assert metrics["kind/general/unjudged_frac"] == 0.5
    assert metrics["kind/general/response_tokens_mean"] == 3
    assert metrics["kind/verifiable/reward_mean"] == 0.5
    assert metrics["kind/verifiable/answer_ok_frac"] == 0.5
    assert "kind/general/num_rollouts" not in kind_metrics([judged(ruled, 0, 1.0)])


def test_kl_is_the_mean_log_ratio_of_each_kind() -> None:
    rng = np.random.default_rng(0)
    lengths = [3, 5, 2]
    batch = Batch.of(
        [
            TokenSequence.of_response(f"s{i}", f"p{i}", np.arange(4), np.arange(length))
            for i, length in enumerate(lengths)
        ]
    )
    batch.loss_mask[4 + 3 + 4 + 4] = 0.0  # the last but one token of the second sequence
    old, reference = rng.normal(size=(2, 9)).astype(np.float32)
    batch = batch.with_columns(old_logprobs=old, ref_logprobs=reference)
    got = kl_metrics(batch, ["general", "verifiable", "general"])
    ratio = old.astype(np.float64) - reference
    of_general = ratio[:3].sum() + ratio[7:].sum()
    assert got["kind/general/kl_token_mean"] == pytest.approx(of_general / 5, abs=1e-6)
    assert got["kind/general/kl_response_mean"] == pytest.approx(of_general / 2, abs=1e-6)
    assert got["kind/verifiable/kl_token_mean"] == pytest.approx(ratio[3:7].sum() / 4, abs=1e-6)
    assert set(kl_metrics(batch, ["general"] * 3)) == {
        "kind/general/kl_token_mean",
        "kind/general/kl_response_mean",
    }


def test_where_nobody_decided_there_is_no_reward(
    prompt: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    """An error is no wrong answer, so its figure is none, not 0."""
    undecided = [judged(prompt("v"), index, None) for index in range(2)]
    metrics = rollout_metrics(undecided, SampleStats())
    assert not {"rollout/reward_mean", "rollout/reward_std", "kind/verifiable/reward_mean"} & metrics.keys()
    assert metrics["kind/verifiable/unjudged_frac"] == 1
    decided = rollout_metrics([*undecided, judged(prompt("w"), 0, 0.5)], SampleStats())
    assert (decided["rollout/reward_mean"], decided["rollout/reward_std"]) == (0.5, 0)
