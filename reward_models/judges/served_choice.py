"""A model on vLLM workers, asked to choose between two tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan
from sampler.vllm_pool.pool import SamplerPool


class ServedChoice:
    """Only the two tokens can be sampled, so one token's log-probability gives the probability of both, whatever a
    prompt says. Used from one thread, as the pool is."""

    def __init__(self, pool: SamplerPool, token_ids: tuple[int, int], *, seed: int = 0) -> None:
        self.pool, self.token_ids, self.seed = pool, token_ids, seed
        self._num_calls = 0

    def __call__(self, prompts: Sequence[Prompt]) -> dict[str, float]:
        """By prompt id the probability of the first token; what does not fit the model is left out. Raises: HoneError
        where the pool cannot go on."""
        plan = SamplingPlan(
            num_samples=1,
            max_response_tokens=1,
            run_seed=self.seed,
            step=self._num_calls,
            stage="reward-model",
            allowed_token_ids=self.token_ids,
        )
        self._num_calls += 1
        found = {}
        for group in self.pool.sample(prompts, plan) if prompts else ():
            (rollout,) = group.rollouts
            probability = math.exp(min(0.0, float(rollout.sample_logprobs[0])))
            said_first = int(rollout.response_token_ids[0]) == self.token_ids[0]
            found[group.prompt.prompt_id] = probability if said_first else 1.0 - probability
        return found
