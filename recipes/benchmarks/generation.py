"""How close generation through the pool comes to one bare `vllm.LLM.generate` call over the same requests.

The bare engine is built with the same arguments, lives in a Ray actor with the same environment and is timed inside
it, so it pays nothing for Ray. Runs are interleaved, and the ratio is that of the median tokens/s. Two bare calls are
measured: `plain`, as one would write it (n samples per prompt, text and log-probabilities by vLLM's defaults), and
`stripped`, the fastest there is: no text at all and log-probabilities in flat lists.

    hone bench generation
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rl.engines.engines import Engines
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan
from sampler.vllm_pool.sampler_config import SamplerConfig, engine_environment
from verifiers.counted import counted

TARGET_RATIO = 0.90
CONTENDERS = ("pool", "plain", "stripped")


@dataclass(frozen=True)
class GenerationBenchmark:
    """Response tokens/s of each run, by contender, in the order they were made; `loadavg` before the first."""

    num_prompts: int
    num_samples: int
    num_workers: int
    threads: int
    tokens_per_s: dict[str, list[float]]
    loadavg: float

    def median(self, contender: str) -> float:
        return statistics.median(self.tokens_per_s[contender])

    @property
    def ratio(self) -> float:
        """Pool over the plain bare call: the figure that should reach `TARGET_RATIO`."""
        return self.median("pool") / self.median("plain")

    @property
    def stripped_ratio(self) -> float:
        return self.median("pool") / self.median("stripped")

    def __str__(self) -> str:
        requests = f"{counted(self.num_prompts, 'prompt')} x {counted(self.num_samples, 'sample')}"
        workers = f"{self.num_workers} worker(s) of {self.threads} thread(s)"
        lines = [f"generation: {requests}, {workers}, load {self.loadavg:.2f}"]
        for contender in CONTENDERS:
            runs = self.tokens_per_s[contender]
            lines.append(
                f"  {contender:<9} median {self.median(contender):8.0f} tokens/s   "
                f"(lowest {min(runs):.0f}, highest {max(runs):.0f}, {counted(len(runs), 'run')})"
            )
        verdict = "reached" if self.ratio >= TARGET_RATIO else "missed"
        lines.append(f"  pool / plain bare call     {self.ratio:.3f}  (target {TARGET_RATIO:.2f}: {verdict})")
        lines.append(f"  pool / stripped bare call  {self.stripped_ratio:.3f}")
        return "\n".join(lines)


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
) -> GenerationBenchmark:
    """Measure the engines' sampler beside bare ones. One run of each contender warms up, uncounted."""
    import ray

    loadavg, config, pool = os.getloadavg()[0], engines.recipe.sampler, engines.sampler
    tokens_per_s: dict[str, list[float]] = {contender: [] for contender in CONTENDERS}
    bare = (
        ray.remote(BareEngine)
        .options(
            num_cpus=config.num_cpus_per_worker,
            num_gpus=config.num_gpus_per_worker,
            runtime_env={"env_vars": engine_environment(config)},
        )
        .remote(str(engines.base.hub), config, str(engines.log_dir / "bare-engine.log"))
    )

    def run(contender: str, step: int) -> float:
        fresh = dataclasses.replace(plan, step=step)
        if contender != "pool":
            return float(ray.get(bare.generate.remote(list(prompts), fresh, contender == "stripped")))
        for _group in pool.sample(prompts, fresh):
            pass
        assert pool.stats is not None
        return pool.stats.response_tokens_per_s

    for step in range(num_runs + 1):
        for contender in CONTENDERS:
            speed = run(contender, step)
            if step > 0:
                tokens_per_s[contender].append(speed)
    ray.kill(bare)
    return GenerationBenchmark(
        len(prompts), plan.num_samples, config.num_workers, config.threads, tokens_per_s, loadavg
    )
