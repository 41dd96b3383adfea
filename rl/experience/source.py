"""The stream of experience: prompts in, judged rollouts out, step by step."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from rl.algorithm.algorithm import Algorithm
from rl.algorithm.rollouts.informative_groups import WHY_LEFT_OUT
from rl.algorithm.rollouts.settled_groups import Share, coin_of, goes_on, is_cut_short, shares_of
from rl.experience.experience import Experience
from rl.experience.judge import Judge, judging_order
from rl.experience.prompt_source import PromptSource
from sampler.prompt import Prompt
from sampler.rollout import RolloutGroup, SamplingPlan
from sampler.vllm_pool.sample_stats import SampleStats
from verifiers.errors import HoneError


class Sampler(Protocol):
    """What rollouts come from: a `SamplerPool`. ``stats`` are those of the last call."""

    @property
    def stats(self) -> SampleStats | None: ...
    def sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]: ...


@dataclass(eq=False)
class ExperienceSource(Iterator[Experience]):
    """An iterator of `Experience`, one a step, in the order in which the steps' prompts were drawn.

    Consumes: a `PromptSource`. Waits for: the step's last rollout, then the verdicts still out. Unblocked by: these, or
    the failure of a sampler or a judge, which is raised. Produces: the step's experience, which the prompt source has
    observed. Lookahead is 0: a step is sampled when it is asked for, by the policy that the sampler then holds, so
    ``state`` between two steps is all of it, and a source that is restored goes on with the same rollouts.

    Every step asks the prompt source for ``step_size`` and samples by ``plan`` under its own number. Without an
    ``algorithm`` nothing is learnt and all rollouts are handed over. With one, those it learns from have their
    ``reward.learnt``, and other prompts are drawn for those that teach it nothing. Where ``requires_judged`` is false,
    nobody needs a decision, or whoever asks for a step in parts counts the rollouts without one over all of them.
    """

    sampler: Sampler
    judge: Judge
    prompts: PromptSource
    plan: SamplingPlan
    step_size: int = 0
    num_steps: int | None = None
    algorithm: Algorithm | None = None
    requires_judged: bool = True

    def __post_init__(self) -> None:
        self.step = self.plan.step

    def __next__(self) -> Experience:
        """Raises: HoneError where too many rollouts have no decision, or none can be learnt from."""
        if self.step == self.num_steps or (prompts := self.prompts.draw(self.step_size)) is None:
            raise StopIteration
        experience = self._sample(prompts)
        if self.algorithm is not None:
            experience = self._refilled(experience, prompts)
            _require_usable(experience)
        self.prompts.observe(experience)
        self.step += 1
        return experience

    def state(self) -> dict[str, Any]:
        """Plain JSON, between two steps."""
        return {"step": self.step, "prompts": self.prompts.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken. An older Hone saved the step alone: its prompts are then drawn again."""
        if "prompts" in state:
            self.prompts.restore(state["prompts"])
        else:
            for _ in range(state["step"]):
                self.prompts.draw(self.step_size)
        self.step = state["step"]

    def _sample(self, prompts: Sequence[Prompt]) -> Experience:
        """All of each group, or of those that may be cut short the first part, and of some then the rest."""
        plan = replace(self.plan, step=self.step)
        config = None if self.algorithm is None else self.algorithm.config
        if config is None or config.settled_after is None:
            return self._sampled(prompts, plan)
        size, frac = config.settled_after, config.settled_go_on_frac
        in_parts = [prompt for prompt in prompts if is_cut_short(config, prompt)]
        first = self._sampled(prompts, replace(plan, num_samples=size))
        rewards = first.rewards_by_prompt
        rest = [
            prompt
            for prompt in in_parts
            if prompt.prompt_id in rewards  # not dropped
            and goes_on(rewards[prompt.prompt_id], frac, coin_of(plan, prompt))
        ]
        whole = first
        if rest:
            left = replace(plan, num_samples=plan.num_samples - size, first_index=size)
            whole = first.joined(self._sampled(rest, left)).in_order_of(prompts)
        drawn = whole.rewards_by_prompt
        shares: dict[str, Share] = {}
        for prompt_id in (prompt.prompt_id for prompt in in_parts if prompt.prompt_id in drawn):
            of_group = shares_of(rewards[prompt_id], plan.num_samples, len(drawn[prompt_id]), frac)
            shares |= {plan.rollout_id(prompt_id, i): share for i, share in enumerate(of_group)}
        return replace(whole, shares=shares)

    def _sampled(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Experience:
        """Sampled and judged at the same time."""
        start = time.perf_counter()
        groups = self.sampler.sample(judging_order(prompts), plan)
        judged = self.judge.judge(groups)
        seconds = time.perf_counter() - start
        rollouts = judged.in_order_of(prompts)
        if self.requires_judged:
            self.judge.require_judged(rollouts)
        assert self.sampler.stats is not None, "counted by every call"
        generate_s, wait_s = seconds - judged.wait_s, judged.wait_s
        stats = self.sampler.stats
        return Experience(self.step, tuple(rollouts), {}, stats, generate_s, wait_s, judged.num_late)

    def _refilled(self, experience: Experience, prompts: Sequence[Prompt]) -> Experience:
        """What is learnt from, after other prompts were drawn for those that teach nothing, as often as is allowed."""
        assert self.algorithm is not None
        experience = experience.weighed(self.algorithm)
        tried = {prompt.prompt_id for prompt in prompts}
        for _ in range(self.algorithm.max_refills):
            num_missing = len(prompts) - len({one.prompt.prompt_id for one in experience.usable})
            others = self.prompts.draw(num_missing, without=tried) if num_missing else None
            if not others:
                break
            tried |= {prompt.prompt_id for prompt in others}
            experience = experience.joined(self._sample(others).weighed(self.algorithm))
        return experience


def _require_usable(experience: Experience) -> None:
    """Raises: HoneError where a step has nothing to learn from, saying why."""
    if not experience.rollouts:
        raise HoneError(
            "every prompt of a step is too long for sampler.max_model_len minus rl.max_response_tokens: raise the one "
            "or lower the other"
        )
    if len(experience.left_out) == len(experience.rollouts):
        reasons = Counter(experience.left_out.values())
        counts = ", ".join(f"{count} {WHY_LEFT_OUT[reason]}" for reason, count in reasons.items())
        raise HoneError(f"step {experience.step}: not one rollout can be learnt from: {counts}")
