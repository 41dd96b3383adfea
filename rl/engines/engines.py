"""The engines of a run, each started on first use: sampler, trainer, judge and its scorer; which policy they hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reward_models.scoring_service import ScoringService
from rl.engines.placement import Placement, release_ranks, reserve_ranks
from rl.engines.probe_pictures import odd_pictures
from rl.engines.weight_sync import Tolerance, WeightSync
from rl.experience.judge import Judge
from rl.experience.scorer import asking, scoring
from rl.families.family import forbidden_token_ids, load_family, require_whole
from rl.recipe.recipe import Recipe
from rl.run.ray_session import node_gpus, ray_for
from rl.run.results.stage_result import PolicyState, Proof
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan
from sampler.vllm_pool.pool import SamplerPool
from verifiers.errors import HoneError

if TYPE_CHECKING:
    from rl.trainer.trainer import Trainer

EngineName = Literal["sampler", "trainer", "judge"]


class Engines:
    """``sampler``, ``trainer``, ``judge`` and ``scorer`` (of the reward model) start when they are first asked for and
    end with the block. They hold one policy at a time: ``load_policy`` says which.

    Where sampler and trainer both run, weights go from one to the other, and a proof shows that they arrived. A sampler
    alone starts anew from another policy's checkpoint.
    """

    def __init__(
        self,
        recipe: Recipe,
        base: PolicyState,
        log_dir: Path,
        *,
        probe: Sequence[Prompt] = (),
        reward_model: Path | None = None,
    ) -> None:
        """``base`` is held at first. ``probe``: prompts to prove a sync on. ``reward_model`` scores general prompts."""
        self.recipe = recipe
        self.base = base
        self.log_dir = log_dir
        self.prove_on(probe)
        self.family = load_family(recipe.model.family)
        self.reward_model = reward_model
        self._held = base
        self._moments_of: PolicyState | None = None  # the policy at which the trainer's optimizer stands
        self._sampler: SamplerPool | None = None
        self._warm_sampler: SamplerPool | None = None
        self._trainer: Trainer | None = None
        self._reserved: list[Any] = []  # for a trainer that has not started
        self._judge: Judge | None = None
        self._scorer: ScoringService | None = None
        self._weight_sync: WeightSync | None = None
        self._stack = ExitStack()
        self._scorer_stack = ExitStack()

    def prove_on(self, probe: Sequence[Prompt]) -> None:
        """Prompts to prove a sync on: those with pictures, where there are any."""
        self.probe = [prompt for prompt in probe if prompt.vision_inputs] or list(probe)

    def __enter__(self) -> Engines:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def sampler(self) -> SamplerPool:
        self.start({"sampler"})
        assert self._sampler is not None
        return self._sampler

    @property
    def trainer(self) -> Trainer:
        self.start({"trainer"})
        assert self._trainer is not None
        return self._trainer

    @property
    def judge(self) -> Judge:
        """With the reward model, where there is one (by now)."""
        self.start({"judge"})
        assert self._judge is not None
        return self._judge

    @property
    def scorer(self) -> ScoringService | None:
        """Asks the reward model, of whatever kind; None where there is none (yet)."""
        if self._scorer is None and self.recipe.judging.reward_model is not None:
            self._start_scorer()
        return self._scorer

    @property
    def weight_sync(self) -> WeightSync:
        """Between trainer and sampler."""
        self.start({"sampler", "trainer"})
        assert self._weight_sync is not None
        return self._weight_sync

    @cached_property
    def forbidden_token_ids(self) -> tuple[int, ...]:
        """Tokens that may never be sampled. Raises: BadInput where the checkpoint cannot be a policy."""
        return forbidden_token_ids(self.base.hub, self.family)

    def warm_up(self, needs: Collection[EngineName]) -> None:
        """Start what takes long and needs no checkpoint yet: Ray, and the sampler's processes, which import vLLM."""
        if "sampler" in needs:
            self._start_ray(needs)
            self._warm_sampler = self._new_sampler()
            self._warm_sampler.warm_up()

    def start(self, needs: Collection[EngineName] = ("sampler", "trainer", "judge")) -> None:
        """Start what of ``needs`` does not run yet, sampler and trainer side by side, with the policy that is held.

        Raises: SyncError when sampler and trainer then do not compute the same.
        """
        new_sampler = "sampler" in needs and self._sampler is None
        new_trainer = "trainer" in needs and self._trainer is None
        if new_sampler or new_trainer:
            assert (
                self.forbidden_token_ids is not None
            )  # a checkpoint that is none fails before engines start
            self._start_ray(needs)
            with ThreadPoolExecutor(max_workers=1) as starter:
                started = starter.submit(self._start_sampler) if new_sampler else None
                if new_trainer:
                    self._start_trainer()
                if started is not None:
                    started.result()
            self._connect()
        if "judge" in needs and self._judge is None:
            self._start_judge()
            if self.scorer is not None:
                self.judge.score_with(self.scorer)

    def _start_ray(self, needs: Collection[str] = ()) -> None:
        """And reserve what the trainer will need. Raises: BadInput where what runs and what is needed beside it do not
        fit on the GPUs that there are, HoneError where others hold them."""
        self._stack.enter_context(ray_for(self.recipe))  # does nothing where Ray runs already
        parts = {"sampler": self._sampler, "trainer": self._trainer, "judge": self._scorer}
        running = {name for name, part in parts.items() if part is not None}
        placement = Placement.of(self.recipe)
        placement.require(node_gpus(), {*needs, *running})
        if "trainer" in needs and self._trainer is None and not self._reserved:
            self._reserved = reserve_ranks(self.recipe.trainer, placement.trainer_device)
            self._stack.callback(self._give_back)

    def _give_back(self) -> None:
        """What was reserved for a trainer that never came."""
        release_ranks(self._reserved)
        self._reserved = []

    def _new_sampler(self) -> SamplerPool:
        pool = SamplerPool(self._held.hub, self.recipe.sampler, self.log_dir, self._held.version)
        self._stack.callback(pool.shutdown)
        return pool

    def _start_sampler(self) -> None:
        require_whole(self._held.hub)
        self._sampler, self._warm_sampler = self._warm_sampler or self._new_sampler(), None
        self._sampler.start()

    def _start_trainer(self) -> None:
        from rl.trainer.trainer import Trainer

        require_whole(self._held.hub)
        device = Placement.of(self.recipe).trainer_device
        self._trainer = Trainer(
            self.recipe.trainer,
            self.recipe.model,
            self._held.hub,
            self.log_dir,
            device=device,
            reserved=self._reserved,
        )
        self._reserved = []
        self._stack.callback(self.stop_trainer)

    def _start_judge(self) -> None:
        self._judge = self._stack.enter_context(
            Judge(self.recipe.judging, thinking_tags=self.family.thinking_tags)
        )

    def _start_scorer(self) -> None:
        config = self.recipe.judging.reward_model
        assert config is not None
        if not config.has_checkpoint:
            serving = asking(config)
        elif self.reward_model is not None:
            self._start_ray({"judge"})
            serving = scoring(self.reward_model, config, self.log_dir)
        else:
            return
        self._scorer_stack = self._stack.enter_context(ExitStack())  # it ends before Ray does
        self._scorer = self._scorer_stack.enter_context(serving)

    def _connect(self) -> None:
        """Once both are there: nothing is trained or sampled before they are proven to compute the same."""
        if self._sampler is None or self._trainer is None:
            return
        self._weight_sync = WeightSync(
            self.recipe.sync,
            self._trainer,
            self._sampler,
            self.probe,
            tolerance=Tolerance.of(self.recipe.sync, self.recipe.model.dtype, self.recipe.sampler.dtype),
            dtype=self.recipe.model.dtype,
            forbidden_token_ids=self.forbidden_token_ids,
            seed=self.recipe.seed,
        )
        self._weight_sync.prove(*odd_pictures(self.probe))

    def stop_trainer(self) -> None:
        """Give back what the trainer holds; a later use starts it anew. The sampler goes on with the policy it has."""
        if self._trainer is not None:
            if self._sampler is not None and self._held.version >= 0:
                self._sampler.restart_from(self._held.hub)
            self._trainer.shutdown()
        self._trainer = self._weight_sync = self._moments_of = None

    def load_policy(self, policy: PolicyState, needs: Collection[EngineName] = ()) -> None:
        """Make the engines hold a policy, from its checkpoint where they hold another, and start ``needs``."""
        if self._held != policy:
            if self._trainer is not None:
                self._trainer.load_weights(policy.hub)
                self._moments_of = None
                if self._weight_sync is not None:
                    self._weight_sync.sync(policy.version)
                    self._weight_sync.prove()
            else:
                for pool in filter(None, (self._sampler, self._warm_sampler)):
                    pool.shutdown()
                self._sampler = self._warm_sampler = None
            self._held = policy
        self.start(needs)

    def invalidate(self) -> None:
        """The trainer is about to change: what it holds has no name until ``mark_held``."""
        self._held = PolicyState(-1, Path(), "in training")

    def mark_held(self, policy: PolicyState) -> Proof | None:
        """The trainer's weights, already synced as ``policy.version``, are this policy: proven where there is a
        sampler, then believed."""
        proof = None if self._weight_sync is None else self._weight_sync.prove()
        self._held = self._moments_of = policy
        return proof

    def require_moments(self, policy: PolicyState) -> None:
        """Raises: HoneError where the trainer's optimizer has not made this policy: its moments ended with a process,
        or another stage has trained since."""
        if self._moments_of != policy:
            raise HoneError(
                f"the optimizer's moments after {policy.stage} are lost, as after a kill, and keeps_optimizer asks for "
                "them: delete this run's directory, and the same command begins it anew"
            )

    def publish(self, policy: PolicyState) -> Proof | None:
        """The trainer's weights are this policy: to the sampler with them, where there is one."""
        if self._weight_sync is not None:
            self._weight_sync.sync(policy.version)
        return self.mark_held(policy)

    def use_reward_model(self, path: Path) -> None:
        """The run has trained a reward model: from now on it judges general prompts."""
        if path == self.reward_model:
            return
        self._scorer_stack.close()
        self.reward_model, self._scorer = path, None
        if self._judge is not None and self.scorer is not None:
            self._judge.score_with(self.scorer)

    def plan(self, *, seed: int | None = None, step: int = 0, **settings: Any) -> SamplingPlan:
        """A sampling plan without the tokens that are forbidden, of the recipe's seed, unless another is given;
        ``settings`` as in `SamplingPlan`."""
        run_seed, forbidden = self.recipe.seed if seed is None else seed, self.forbidden_token_ids
        return SamplingPlan(run_seed=run_seed, step=step, forbidden_token_ids=forbidden, **settings)
