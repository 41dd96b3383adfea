"""The engines of a run: Ray, the trainer's ranks, the sampler's workers, the judge; and which policy they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from rl.engines.weight_sync import Tolerance, WeightSync
from rl.experience.judge import judge_of, scoring
from rl.families.checkpoint_check import forbidden_token_ids
from rl.families.family import load_family
from rl.recipe.recipe import Recipe
from rl.run.policy_state import PolicyState
from rl.run.ray_session import ray_for
from rl.run.stage_result import Proof
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan
from sampler.vllm_pool.pool import SamplerPool


class Engines:
    """Started once a run, on first use, and kept through all stages; ``hold`` makes them hold a policy."""

    def __init__(
        self, recipe: Recipe, base: PolicyState, log_dir: Path, probe: Sequence[Prompt], run_path: Path
    ) -> None:
        self.recipe = recipe
        self.base = base
        self.log_dir = log_dir
        self.run_path = run_path
        self.probe = [prompt for prompt in probe if prompt.vision_inputs] or list(probe)
        self.family = load_family(recipe.model.family)
        self._held: PolicyState | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Engines:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start everything at once, then prove that sampler and trainer compute the same policy.

        Raises: SyncError when they do not.
        """
        if self._held is not None:
            return
        self.forbidden_token_ids = forbidden_token_ids(self.base.hub, self.family)
        self._stack.enter_context(ray_for(self.recipe))
        device = "cpu" if self.recipe.sampler.device == "cpu" else "cuda"
        self.sampler = SamplerPool(self.base.hub, self.recipe.sampler, self.log_dir, self.base.version)
        with ThreadPoolExecutor(max_workers=1) as starter:
            sampler_started = starter.submit(self.sampler.start)
            self._stack.callback(self.sampler.shutdown)
            from rl.trainer.trainer import Trainer

            self.trainer = Trainer(
                self.recipe.trainer, self.recipe.model, self.base.hub, self.log_dir, device=device
            )
            self._stack.callback(self.trainer.shutdown)
            sampler_started.result()
        self.judge = self._stack.enter_context(
            judge_of(self.recipe.judging, self.family.thinking_tags, self.log_dir, run_path=self.run_path)
        )
        self.weight_sync = WeightSync(
            self.recipe.sync,
            self.trainer,
            self.sampler,
            self.probe,
            tolerance=Tolerance.of(self.recipe.sync, self.recipe.model.dtype, self.recipe.sampler.dtype),
            forbidden_token_ids=self.forbidden_token_ids,
            seed=self.recipe.seed,
        )
        self._held = self.base
        self.weight_sync.prove()

    def load_policy(self, policy: PolicyState) -> None:
        """Make trainer and sampler hold a policy, from its checkpoint where they hold another, and prove it."""
        self.start()
        if self._held == policy:
            return
        self.trainer.load_weights(policy.hub)
        self.weight_sync.sync(policy.version)
        self.weight_sync.prove()
        self._held = policy

    def invalidate(self) -> None:
        """The trainer is about to change: what it holds has no name until ``now_holds``."""
        self._held = PolicyState(-1, Path(), "in training")

    def mark_held(self, policy: PolicyState) -> Proof:
        """The trainer's weights, already synced as ``policy.version``, are this policy: proven, then believed."""
        proof = self.weight_sync.prove()
        self._held = policy
        return proof

    def use_reward_model(self, path: Path) -> None:
        """The run has trained a reward model: from now on it judges general prompts."""
        assert self.recipe.judging.reward_model is not None
        scorer = scoring(path, self.recipe.judging.reward_model.sampler, self.log_dir)
        self.judge.score_with(self._stack.enter_context(scorer))

    def plan(
        self,
        *,
        stage: str,
        step: int = 0,
        num_samples: int,
        max_response_tokens: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        first_index: int = 0,
        num_samples_by_kind: Mapping[str, int] | None = None,
    ) -> SamplingPlan:
        """A sampling plan of this run: its seed, its forbidden tokens."""
        return SamplingPlan(
            num_samples=num_samples,
            max_response_tokens=max_response_tokens,
            run_seed=self.recipe.seed,
            step=step,
            stage=stage,
            temperature=temperature,
            top_p=top_p,
            first_index=first_index,
            num_samples_by_kind=num_samples_by_kind or {},
            forbidden_token_ids=self.forbidden_token_ids,
        )
