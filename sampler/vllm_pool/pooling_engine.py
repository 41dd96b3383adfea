"""One vLLM engine that samples nothing: it reads a prompt to its end and says what it has made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sampler.rollout import Rollout, SamplingPlan, Turn
from sampler.vllm_pool.rollout_engine import OpenGroup, RolloutEngine
from sampler.vllm_pool.sampler_config import SamplerConfig, engine_arguments

if TYPE_CHECKING:
    from vllm.outputs import PoolingRequestOutput


class PoolingEngine(RolloutEngine):
    """A rollout of it has no response; its `hidden_state` is that of the prompt's last token, as the backbone ends it
    (after the last norm, before any head). All else, pictures, prefix cache and limits, is a `RolloutEngine`'s.
    """

    def arguments(self, model_path: str, config: SamplerConfig) -> dict[str, Any]:
        """vLLM's pooling runner: the last token's hidden state, not normalised."""
        from vllm.config import PoolerConfig

        pooler = PoolerConfig(pooling_type="LAST", use_activation=False)  # no activation: not normalised
        reading = {"runner": "pooling", "convert": "embed", "pooler_config": pooler}
        return engine_arguments(model_path, config) | reading

    def request_params(self, plan: SamplingPlan, prompt_id: str, index: int) -> Any:
        """The same for every prompt: a plan says how to sample, and nothing is sampled."""
        from vllm import PoolingParams

        return PoolingParams(task="embed", use_activation=False)

    def rollout(self, group: OpenGroup, index: int, output: PoolingRequestOutput) -> Rollout:
        """No response tokens, and ``hidden_state`` [hidden] in float32."""
        nothing = Turn(
            group.prompt_token_ids,
            np.zeros(0, np.int32),
            np.zeros(0, np.float32),
            "stop",
            ((group.policy_version, 0),),
        )
        return Rollout(
            rollout_id=output.request_id,
            prompt_id=group.prompt_id,
            index=index,
            turns=(nothing,),
            text="",
            hidden_state=output.outputs.data.float().numpy(),
        )
