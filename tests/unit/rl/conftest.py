"""The shipped fakes, made to go by a prompt's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rl.experience.judge import JudgedBatch
from rl.fakes import FakeJudge, FakeSampler
from sampler.prompt import Prompt
from sampler.rollout import DroppedPrompt, RolloutGroup, SamplingPlan

REWARDS = {"mixed": (1.0, 0.0), "right": (1.0, 1.0), "wrong": (0.0, 0.0), "half": (1.0, None)}


class NamedSampler(FakeSampler):
    """Drops prompts named ``long``."""

    def __init__(self) -> None:
        super().__init__(lambda prompt, seed: "text")
        self.policy_version = 3

    def sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]:
        long = [one for one in prompts if one.prompt_id.startswith("long")]
        yield from super().sample([one for one in prompts if one not in long], plan)
        dropped = tuple(DroppedPrompt(one.prompt_id, "prompt_too_long", 9, 8) for one in long)
        self.stats = replace(self.stats, dropped=dropped)


class NamedJudge(FakeJudge):
    """Takes half a second that it only claims."""

    def __init__(self, judged: Callable[..., Any], max_unjudged_frac: float = 1.0) -> None:
        super().__init__(max_unjudged_frac=max_unjudged_frac)
        self.judged = judged

    def judge(self, groups: Any) -> JudgedBatch:
        rollouts = []
        for group in groups:
            rewards = REWARDS[group.prompt.prompt_id.partition("-")[0]]
            for rollout in group.rollouts:
                one = self.judged(group.prompt, rollout.index, rewards[rollout.index % len(rewards)])
                object.__setattr__(one, "rollout", rollout)
                rollouts.append(one)
        return JudgedBatch(rollouts, 0.5, num_late=3)


@pytest.fixture
def named_sampler() -> Callable[[], NamedSampler]:
    return NamedSampler


@pytest.fixture
def named_judge(judged: Callable[..., Any]) -> Callable[..., NamedJudge]:
    return lambda **settings: NamedJudge(judged, **settings)
