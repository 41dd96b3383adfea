"""Rollouts in another order than asked for, of texts that a test gives or a seed makes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from sampler.prompt import Prompt
from sampler.rollout import Rollout, RolloutGroup, SamplingPlan, Turn
from sampler.vllm_pool.sample_stats import SampleStats
from sampler.vllm_pool.sampler_config import SamplerConfig

Respond = Callable[[Prompt, int], str]  # prompt and a seed -> the whole response


class FakeSampler:
    """Says what ``answers`` has for a prompt's id, else what ``respond`` makes of prompt and seed, by default the
    reference in half of the cases. Token ids are the response's bytes; every token has probability 1/2."""

    def __init__(self, respond: Respond | None = None, *, answers: Mapping[str, str] | None = None) -> None:
        self.respond = respond or half_right
        self.answers = answers or {}
        self.policy_version = 0
        self.config = SamplerConfig()
        self.stats: SampleStats | None = None
        self.asked: list[tuple[SamplingPlan, list[str]]] = []  # of every call the plan and the prompts' ids
        self.num_inference_ranks = 1

    def restart_from(self, model_path: Path) -> None: ...

    def sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]:
        """One group a prompt, the last prompt's first."""
        self.asked.append((plan, [prompt.prompt_id for prompt in prompts]))
        stats, began = SampleStats(), time.perf_counter()
        for prompt in reversed(prompts):
            group = RolloutGroup(
                prompt, tuple(self._rollout(prompt, plan, i) for i in plan.indices_for(prompt))
            )
            stats.count(group, time.perf_counter() - began)
            yield group
        self.stats = stats

    def _rollout(self, prompt: Prompt, plan: SamplingPlan, index: int) -> Rollout:
        text = self.answers.get(prompt.prompt_id)
        if text is None:
            text = self.respond(prompt, plan.seed_for(prompt.prompt_id, index))
        whole = np.frombuffer(text.encode() or b" ", np.uint8).astype(np.int32)
        tokens = whole[: plan.max_response_tokens]
        turn = Turn(
            prompt_token_ids=np.arange(3, dtype=np.int32),
            response_token_ids=tokens,
            sample_logprobs=np.full(len(tokens), np.log(0.5), np.float32),
            finish_reason="stop" if len(tokens) == len(whole) else "length",
            policy_versions=((self.policy_version, len(tokens)),),
        )
        return Rollout(
            rollout_id=plan.rollout_id(prompt.prompt_id, index),
            prompt_id=prompt.prompt_id,
            index=index,
            turns=(turn,),
            text=text if len(tokens) == len(whole) else text.encode()[: len(tokens)].decode(errors="ignore"),
        )

    def weight_sync_client(self, policy_version: int) -> int:
        return policy_version

    def commit_weights(self, policy_version: int) -> None:
        self.policy_version = policy_version

    def weight_checksums(self, dtype: str) -> list[dict[str, int]]:
        return []  # of each vLLM process, and there is none

    def revive(self) -> int:
        return 0

    def start(self) -> None: ...
    def shutdown(self) -> None: ...


def half_right(prompt: Prompt, seed: int) -> str:
    """The reference for every other seed."""
    return f"<think>{seed % 97}</think>{prompt.reference_text if seed % 2 else 'something else'}"
