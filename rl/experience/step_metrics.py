"""The named figures of one RL step, reduced once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from rl.algorithm.value_loss import explained_variance
from rl.data.batch import TrainBatch
from rl.engines.weight_sync import Mismatch
from rl.experience.judge import JudgedRollout
from rl.experience.kind_metrics import kind_metrics
from rl.run.stopwatch import Stopwatch
from sampler.vllm_pool.sample_stats import SampleStats
from verifiers.answer import ANSWER_STATUSES


def rollout_metrics(judged: Sequence[JudgedRollout], stats: SampleStats) -> dict[str, float]:
    """``rollout/*``, ``verifier/*`` and ``kind/*``: rewards, lengths, formats, groups without signal."""
    rewards = np.array([one.reward.value for one in judged if one.reward.value is not None])
    lengths = np.array([one.rollout.num_response_tokens for one in judged])
    groups: dict[str, set[float]] = {}
    for one in judged:
        if one.reward.value is not None:
            groups.setdefault(one.prompt.prompt_id, set()).add(one.reward.value)
    verdicts = Counter(one.reward.verdict.status for one in judged if one.reward.verdict is not None)
    statuses = Counter(one.answer.status for one in judged)
    return {
        "rollout/reward_mean": float(rewards.mean()) if len(rewards) else 0.0,
        "rollout/reward_std": float(rewards.std()) if len(rewards) else 0.0,
        "rollout/response_tokens_mean": float(lengths.mean()),
        "rollout/response_tokens_max": float(lengths.max()),
        "rollout/thought_frac": float(np.mean([bool(one.thought) for one in judged])),
        "rollout/uniform_group_frac": sum(len(values) == 1 for values in groups.values())
        / max(1, len(groups)),
        "rollout/num_dropped_prompts": float(len(stats.dropped)),
        "rollout/num_worker_restarts": float(stats.num_restarts),
        "rollout/tokens_per_s": stats.response_tokens_per_s,
        **{f"rollout/answer_{status}_frac": statuses[status] / len(judged) for status in ANSWER_STATUSES},
        **{
            f"verifier/{status}_frac": verdicts[status] / len(judged)
            for status in ("unparseable", "timeout", "error")
        },
        **_reward_by_type(judged),
        **kind_metrics(judged),
    }


def train_metrics(
    batch: TrainBatch,
    outcomes: Sequence[Mapping[str, float]],
    mismatch: Mismatch,
    watch: Stopwatch,
    *,
    rate: float,
    entropy: float,
) -> dict[str, float]:
    """``train/*``: means over the step's mini-batches."""
    names = sorted({name for outcome in outcomes for name in outcome} - {"seconds"})
    means = {
        f"train/{name}": float(np.mean([outcome[name] for outcome in outcomes if name in outcome]))
        for name in names
    }
    return {
        **means,
        "train/mismatch_kl": mismatch.kl,
        "train/mismatch_max": mismatch.max_difference,
        "train/lr": rate,
        "train/entropy": entropy,
        "train/tokens_per_s": batch.num_tokens / max(1e-9, watch.seconds["train"]),
    }


def critic_metrics(
    batch: TrainBatch, outcomes: Sequence[Mapping[str, float]], *, rate: float
) -> dict[str, float]:
    """``critic/*``: its loss over the step's mini-batches, and what its values before the update explain of returns."""
    kept = batch.loss_mask > 0
    returns = batch.returns[kept].astype(np.float64)
    error = returns - batch.old_values[kept]
    moments = {
        "value_error": float(error.mean()),
        "value_error_squared": float((error**2).mean()),
        "return": float(returns.mean()),
        "return_squared": float((returns**2).mean()),
    }
    return {
        "critic/explained_variance": explained_variance(moments),
        "critic/value_mean": float(batch.old_values[kept].mean()),
        "critic/return_mean": moments["return"],
        **{
            f"critic/{name}": float(np.mean([outcome[name] for outcome in outcomes]))
            for name in ("loss", "grad_norm", "value_clip_frac")
        },
        "critic/lr": rate,
    }


def time_metrics(watch: Stopwatch) -> dict[str, float]:
    """``time/*_s`` by phase, and the whole step."""
    return {
        **{f"time/{phase}_s": seconds for phase, seconds in watch.seconds.items()},
        "time/step_s": sum(watch.seconds.values()),
    }


def _reward_by_type(judged: Sequence[JudgedRollout]) -> dict[str, float]:
    rewards: dict[str, list[float]] = {}
    for one in judged:
        if one.reward.value is not None:
            rewards.setdefault(one.prompt.question_type, []).append(one.reward.value)
    return {f"rollout/reward_{name}_mean": float(np.mean(values)) for name, values in sorted(rewards.items())}
