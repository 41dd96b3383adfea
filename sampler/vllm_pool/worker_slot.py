"""One place in the pool: the actor that fills it at present, the call under way, and the prompts it owes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError

from sampler.rollout import RolloutGroup, SamplingPlan
from sampler.vllm_pool.worker import WeightState, WorkerInfo, WorkerResults

if TYPE_CHECKING:
    from sampler.prompt import Prompt


@dataclass
class WorkerSlot:
    """`info` is None while the worker starts; `call` is then its start (None before that is asked for), otherwise an
    `exchange`, or None when idle."""

    number: int
    actor: Any = None
    info: WorkerInfo | None = None
    call: Any = None
    owed: dict[str, Prompt] = field(default_factory=dict)
    num_owed_rollouts: int = 0

    @property
    def is_starting(self) -> bool:
        return self.info is None

    @property
    def is_idle(self) -> bool:
        return self.info is not None and self.call is None

    def begin(self, actor: Any, weights: WeightState) -> None:
        """Put a new actor in this place; it serves once it holds `weights`."""
        self.actor, self.info = actor, None
        self.call = actor.start.remote(weights)

    def hand_over(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> None:
        """Give more prompts and wait for groups, of these or earlier ones."""
        for prompt in prompts:
            self.owed[prompt.prompt_id] = prompt
            self.num_owed_rollouts += plan.num_samples_for(prompt)
        self.call = self.actor.exchange.remote(list(prompts), plan)

    def settle(self, results: WorkerResults, plan: SamplingPlan) -> list[RolloutGroup]:
        """Strike what came back off the debt; each prompt rejoins its rollouts here, so pictures travel one way."""
        for dropped in results.dropped:
            self._strike(dropped.prompt_id, plan)
        return [
            RolloutGroup(self._strike(rollouts[0].prompt_id, plan), rollouts) for rollouts in results.groups
        ]

    def _strike(self, prompt_id: str, plan: SamplingPlan) -> Prompt:
        prompt = self.owed.pop(prompt_id)
        self.num_owed_rollouts -= plan.num_samples_for(prompt)
        return prompt

    def forgive(self) -> list[Prompt]:
        """Owe nothing any more; returns the prompts that were owed, in the order they were handed over."""
        prompts = list(self.owed.values())
        self.owed.clear()
        self.num_owed_rollouts = 0
        return prompts

    def cancel(self) -> bool:
        """Make the worker forget what it owes; False when it is no longer able to."""
        try:
            ray.get(self.actor.cancel.remote())
            if self.call is not None:
                ray.wait([self.call])
                ray.get(self.actor.cancel.remote())  # what that call had still handed over
        except RayError:
            return False
        self.call = None
        self.forgive()
        return True
