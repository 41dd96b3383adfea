"""A sampler and a judge without engines, who go by a prompt's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from rl.experience.judge import Judge, JudgedBatch
from rl.recipe.judging_config import JudgingConfig
from sampler.prompt import Prompt
from sampler.rollout import DroppedPrompt, Rollout, RolloutGroup, SamplingPlan, Turn
from sampler.vllm_pool.sample_stats import SampleTally

REWARDS = {"mixed": (1.0, 0.0), "right": (1.0, 1.0), "wrong": (0.0, 0.0), "half": (1.0, None)}


class NamedSampler:
    """Rollouts in another order than asked for; prompts named ``long`` are dropped."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.steps: list[int] = []

    def sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]:
        self.asked.append([one.prompt_id for one in prompts])
        self.steps.append(plan.step)
        tally = SampleTally()
        for one in reversed(prompts):
            if one.prompt_id.startswith("long"):
                tally.dropped.append(DroppedPrompt(one.prompt_id, "prompt_too_long", 9, 8))
                continue
            group = RolloutGroup(one, tuple(self.rollout(one, plan, i) for i in plan.indices_for(one)))
            tally.count(group)
            yield group
        self.stats = tally.stats()

    def rollout(self, prompt: Prompt, plan: SamplingPlan, index: int) -> Rollout:
        turn = Turn(
            np.arange(2, dtype=np.int32),
            np.arange(4, dtype=np.int32),
            np.zeros(4, np.float32),
            "stop",
            ((3, 4),),
        )
        return Rollout(
            plan.rollout_id(prompt.prompt_id, index),
            prompt.prompt_id,
            index,
            (turn,),
            "text",
        )


class NamedJudge(Judge):
    """Judges by the prompt's name, taking half a second that it only claims."""

    def __init__(self, judged: Callable[..., Any], max_unjudged_frac: float = 1.0) -> None:
        self.config = JudgingConfig(max_unjudged_frac=max_unjudged_frac)
        self.judged = judged

    def judge(self, groups: Any) -> JudgedBatch:
        rollouts = []
        for group in groups:
            rewards = REWARDS[group.prompt.prompt_id.partition("-")[0]]
            for rollout in group.rollouts:
                one = self.judged(group.prompt, rollout.index, rewards[rollout.index])
                object.__setattr__(one, "rollout", rollout)
                rollouts.append(one)
        return JudgedBatch(rollouts, 0.5, num_late=3)


@pytest.fixture
def named_sampler() -> Callable[[], NamedSampler]:
    return NamedSampler


@pytest.fixture
def named_judge(judged: Callable[..., Any]) -> Callable[..., NamedJudge]:
    return lambda **settings: NamedJudge(judged, **settings)
