"""How close generation through the pool comes to one bare `vllm.LLM.generate` call over the same requests.

The bare engine is built with the same arguments, lives in a Ray actor with the same environment and is timed inside
it, so it pays nothing for Ray. Runs are interleaved, and the ratio is that of the median tokens/s. Two bare calls are
measured: `plain`, as one would write it (n samples per prompt, text and log-probabilities by vLLM's defaults), and
`stripped`, the fastest there is: no text at all and log-probabilities in flat lists.

    hone bench generation
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from recipes.benchmarks.speed import Speeds
from rl.engines.engines import Engines
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan
from sampler.vllm_pool.sampler_config import SamplerConfig, engine_environment
from verifiers.counted import counted


class BareEngine:
    """One `vllm.LLM` in a process of its own; a Ray actor only in order to live under the same conditions."""

    def __init__(self, model_path: str, config: SamplerConfig, log_path: str) -> None:
        from sampler.vllm_pool.rollout_engine import RolloutEngine
        from sampler.vllm_pool.worker import redirect_output

        redirect_output(log_path)
        engine = RolloutEngine(model_path, config)
        self._llm: Any = engine._llm
        self._chat_text = engine.chat_text

    def generate(self, prompts: Sequence[Prompt], plan: SamplingPlan, stripped: bool) -> float:
        """Response tokens per second of one `generate` call; making its arguments is not timed."""
        requests = [
            {"prompt": self._chat_text(prompt), "multi_modal_data": {"image": prompt.pil_images()}}
            for prompt in prompts
        ]
        parameters = [_bare_parameters(prompt, plan, stripped) for prompt in prompts]
        began = time.perf_counter()
        outputs = self._llm.generate(requests, parameters, use_tqdm=False)
        seconds = time.perf_counter() - began
        return sum(len(response.token_ids) for output in outputs for response in output.outputs) / seconds


def _bare_parameters(prompt: Prompt, plan: SamplingPlan, stripped: bool) -> Any:
    from vllm import SamplingParams

    return SamplingParams(
        n=plan.num_samples_for(prompt),
        seed=plan.seed_for(prompt.prompt_id, 0),
        temperature=plan.temperature,
        top_p=plan.top_p,
        max_tokens=plan.max_response_tokens,
        logprobs=0,
        logit_bias={token: float("-inf") for token in plan.forbidden_token_ids} or None,
        detokenize=not stripped,
        flat_logprobs=stripped,
    )


def measure_generation(
    engines: Engines, prompts: Sequence[Prompt], plan: SamplingPlan, *, num_runs: int = 7
) -> Speeds:
    """The engines' sampler beside bare ones. One run of each contender warms up, uncounted."""
    import ray

    config, pool = engines.recipe.sampler, engines.sampler
    bare = (
        ray.remote(BareEngine)
        .options(
            num_cpus=config.num_cpus_per_worker,
            num_gpus=config.reserved_gpus,
            runtime_env={"env_vars": engine_environment(config)},
        )
        .remote(str(engines.base.hub), config, str(engines.log_dir / "bare-engine.log"))
    )

    def of_pool(run: int) -> float:
        for _group in pool.sample(prompts, dataclasses.replace(plan, step=run)):
            pass
        assert pool.stats is not None
        return pool.stats.response_tokens_per_s

    def of_bare(run: int, *, stripped: bool) -> float:
        fresh = dataclasses.replace(plan, step=run)
        return float(ray.get(bare.generate.remote(list(prompts), fresh, stripped)))

    requests = f"{counted(len(prompts), 'prompt')} x {counted(plan.num_samples, 'sample')}"
    workers = f"{config.num_workers} worker(s) of {config.threads} thread(s)"
    contenders: dict[str, Callable[[int], float]] = {
        "pool": of_pool,
        "plain": partial(of_bare, stripped=False),
        "stripped": partial(of_bare, stripped=True),
    }
    speeds = Speeds.measured(f"generation: {requests}, {workers}", contenders, num_runs=num_runs, num_warm=1)
    ray.kill(bare)
    return speeds
