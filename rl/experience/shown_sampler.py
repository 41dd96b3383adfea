"""A sampler whose policy is shown something else than the prompt that is judged: no pictures, say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rl.experience.source import Sampler
from sampler.prompt import Prompt
from sampler.rollout import RolloutGroup, SamplingPlan
from sampler.vllm_pool.sample_stats import SampleStats


class ShownSampler(Sampler):
    """Asks ``sampler`` for what ``shown`` makes of each prompt (under its id); groups come back with the prompt."""

    def __init__(self, sampler: Sampler, shown: Callable[[Prompt], Prompt]) -> None:
        self.sampler = sampler
        self.shown = shown

    @property
    def stats(self) -> SampleStats | None:
        return self.sampler.stats

    def sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]:
        whole = {prompt.prompt_id: prompt for prompt in prompts}
        for group in self.sampler.sample([self.shown(prompt) for prompt in prompts], plan):
            yield RolloutGroup(whole[group.prompt.prompt_id], group.rollouts)
