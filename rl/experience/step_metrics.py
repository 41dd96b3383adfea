"""The named figures of one RL step, reduced once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reward_models.rubric import PART
from rl.algorithm.algorithm import Algorithm
from rl.algorithm.loss.losses import explained_variance
from rl.data.batch import Batch
from rl.data.token_sequence import Floats
from rl.experience.judge import JudgedRollout
from rl.run.stopwatch import Stopwatch
from sampler.prompt import PROMPT_KINDS
from sampler.vllm_pool.sample_stats import SampleStats
from verifiers.answer import ANSWER_STATUSES


def rollout_metrics(judged: Sequence[JudgedRollout], stats: SampleStats) -> dict[str, float]:
    """``rollout/*``, ``verifier/*`` and ``kind/*``: rewards (where any judge decided), lengths, formats, groups without
    signal."""
    rewards = [one.reward.value for one in judged if one.reward.value is not None]
    lengths = np.array([one.rollout.num_response_tokens for one in judged])
    groups: dict[str, set[float]] = {}
    for one in judged:
        if one.reward.value is not None:
            groups.setdefault(one.prompt.prompt_id, set()).add(one.reward.value)
    verdicts = Counter(one.reward.verdict.status for one in judged if one.reward.verdict is not None)
    statuses = Counter(one.answer.status for one in judged)
    return {
        **_mean_and_spread("rollout/reward", rewards),
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
        "verifier/unconfident_frac": sum(
            one.reward.verdict is not None and not one.reward.verdict.confident for one in judged
        )
        / len(judged),
        **_learnt_metrics(judged),
        **_reward_by_type(judged),
        **criterion_metrics(judged),
        **kind_metrics(judged),
    }


def train_metrics(
    outcomes: Sequence[Mapping[str, float]],
    mismatch: Mismatch,
    watch: Stopwatch,
    *,
    rate: float,
    entropy: float,
) -> dict[str, float]:
    """``train/*``: means over the step's mini-batches; the speed is of the tokens computed."""
    names = sorted({name for outcome in outcomes for name in outcome} - {"seconds", "num_tokens"})
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
        "train/tokens_per_s": sum(one["num_tokens"] for one in outcomes) / max(1e-9, watch.seconds["train"]),
    }


def warnings_of(steps: Sequence[Mapping[str, float]], algorithm: Algorithm) -> tuple[str, ...]:
    """What makes all of these steps vain although none fails: no response ends, or no reward tells one from another."""

    def always(name: str, value: float) -> bool:
        return bool(steps) and all(metrics.get(name) == value for metrics in steps)

    if always("rollout/answer_truncated_frac", 1.0):
        return (every_response_cut(algorithm.config.max_response_tokens),)
    if not algorithm.needs_rewards:
        return ()
    who, alike = "all responses", always("rollout/reward_std", 0.0)
    if algorithm.needs_groups:
        who, alike = "the responses to a prompt", always("rollout/uniform_group_frac", 1.0)
    if not alike or any(metrics[name] for metrics in steps for name in metrics if "_penalty_" in name):
        return ()
    mean = steps[-1]["rollout/reward_mean"]
    vain = f"nothing can be learnt: {who} have one and the same reward ({mean:.2f} in the mean)"
    return (f"{vain}; look at them with `hone view`, and give prompts that the policy solves sometimes",)


def every_response_cut(max_tokens: int) -> str:
    """The warning of a stage in which no response came to its end."""
    return (
        f"every response is cut at rl.max_response_tokens={max_tokens}: raise it, or teach the policy to end"
    )


def critic_metrics(batch: Batch, outcomes: Sequence[Mapping[str, float]], *, rate: float) -> dict[str, float]:
    """``critic/*``: its loss over the step's mini-batches, and what its values before the update explain of returns."""
    old_values, returns = batch.column("old_values"), batch.column("returns").astype(np.float64)
    error = returns - old_values
    moments = {
        "value_error": float(error.mean()),
        "value_error_squared": float((error**2).mean()),
        "return": float(returns.mean()),
        "return_squared": float((returns**2).mean()),
    }
    return {
        "critic/explained_variance": explained_variance(moments),
        "critic/value_mean": float(old_values.mean()),
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


def teacher_metrics(batch: Batch) -> dict[str, float]:
    """``train/teacher_*``: the KL to the teacher by the sampled tokens, in nats a token, and how far its advantages
    spread. A loss over the vocabulary reports the same KL itself."""
    ratios = batch.column("old_logprobs") - batch.column("teacher_logprobs")
    return {"train/teacher_kl": float(ratios.mean()), "train/teacher_advantage_std": float(ratios.std())}


def _mean_and_spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """``NAME_mean`` and ``NAME_std``; of no value nothing."""
    return (
        {f"{name}_mean": float(np.mean(values)), f"{name}_std": float(np.std(values))} if len(values) else {}
    )


def _learnt_metrics(judged: Sequence[JudgedRollout]) -> dict[str, float]:
    """Of the rewards that are learnt from, beside those of the scores: their spread, and what each penalty takes."""
    learnt = [one.reward.learnt for one in judged if one.reward.learnt is not None]
    return {
        **_mean_and_spread("rollout/reward_learnt", [reward.value for reward in learnt]),
        **{
            f"rollout/{name}_penalty_mean": float(
                np.mean([reward.penalties.get(name, 0.0) for reward in learnt])
            )
            for name in sorted({name for reward in learnt for name in reward.penalties})
        },
    }


def _reward_by_type(judged: Sequence[JudgedRollout]) -> dict[str, float]:
    rewards: dict[str, list[float]] = {}
    for one in judged:
        if one.reward.value is not None:
            rewards.setdefault(one.prompt.question_type, []).append(one.reward.value)
    return {f"rollout/reward_{name}_mean": float(np.mean(values)) for name, values in sorted(rewards.items())}


def criterion_metrics(judged: Sequence[JudgedRollout]) -> dict[str, float]:
    """``rubric/*_met_mean``: of each criterion the mean probability that it is met."""
    met: dict[str, list[float]] = {}
    for one in judged:
        for name, value in one.reward.score.parts.items() if one.reward.score is not None else ():
            if name.startswith(PART):
                met.setdefault(name, []).append(value)
    return {f"{name}_met_mean": float(np.mean(values)) for name, values in sorted(met.items())}


@dataclass(frozen=True)
class Mismatch:
    """How far the sampler's log-probabilities are from the trainer's own on the same tokens.

    ``kl`` estimates KL(sampler || trainer) by k3, mean of exp(d) - 1 - d with d = trainer - sampler log-probability
    (Schulman, "Approximating KL divergence", 2020): never negative, and unbiased because the sampler drew the tokens.
    """

    kl: float
    max_difference: float
    median_difference: float = 0.0

    @classmethod
    def between(cls, sample_logprobs: Floats, trainer_logprobs: Floats) -> Mismatch:
        """Of log-probabilities of the same tokens, [tokens] each; 0 without any."""
        difference = trainer_logprobs.astype(np.float64) - sample_logprobs.astype(np.float64)
        if not len(difference):
            return cls(0.0, 0.0)
        apart = np.abs(difference)
        kl = float(np.mean(np.expm1(difference) - difference))
        return cls(kl, float(apart.max()), float(np.median(apart)))


def kind_metrics(judged: Sequence[JudgedRollout]) -> dict[str, float]:
    """``kind/KIND/*``: rollouts, reward, length and sound answers of each kind that the step has."""
    metrics: dict[str, float] = {}
    for kind in PROMPT_KINDS:
        own = [one for one in judged if one.prompt.kind == kind]
        if not own:
            continue
        rewards = [one.reward.value for one in own if one.reward.value is not None]
        metrics |= {
            f"kind/{kind}/num_rollouts": float(len(own)),
            **({f"kind/{kind}/reward_mean": float(np.mean(rewards))} if rewards else {}),
            f"kind/{kind}/unjudged_frac": 1.0 - len(rewards) / len(own),
            f"kind/{kind}/answer_ok_frac": float(np.mean([one.answer.ok for one in own])),
            f"kind/{kind}/response_tokens_mean": float(
                np.mean([one.rollout.num_response_tokens for one in own])
            ),
        }
    return metrics


def kl_by_prompt(batch: Batch) -> dict[str, float]:
    """Mean log pi_old - log pi_ref in nats a token (k1) over all tokens of a prompt's responses; the batch as that of
    `kl_metrics`."""
    sums: dict[str, float] = defaultdict(float)
    tokens: dict[str, int] = defaultdict(int)
    rows = batch.rows(batch.column("old_logprobs") - batch.column("ref_logprobs"))
    for prompt_id, row in zip(batch.prompt_ids, rows, strict=True):
        sums[prompt_id] += float(row.sum())
        tokens[prompt_id] += len(row)
    return {prompt_id: total / max(1, tokens[prompt_id]) for prompt_id, total in sums.items()}


def kl_metrics(batch: Batch, kinds: Sequence[str]) -> dict[str, float]:
    """``kind/KIND/kl_*``: mean log pi_old - log pi_ref in nats, a token and a response, over the sampled tokens.

    The estimator k1 (unbiased) whatever the loss uses. ``kinds`` are those of the batch's sequences; the batch holds
    the trainer's old and reference log-probabilities.
    """
    sums = [
        float(row.sum()) for row in batch.rows(batch.column("old_logprobs") - batch.column("ref_logprobs"))
    ]
    tokens = batch.loss_lengths.tolist()
    metrics: dict[str, float] = {}
    for kind in PROMPT_KINDS:
        indices = [index for index, one in enumerate(kinds) if one == kind]
        if indices:
            total = sum(sums[index] for index in indices)
            metrics[f"kind/{kind}/kl_token_mean"] = total / max(1, sum(tokens[index] for index in indices))
            metrics[f"kind/{kind}/kl_response_mean"] = total / len(indices)
    return metrics
