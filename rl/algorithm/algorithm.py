"""What an algorithm asks for and learns from, by the names a recipe gives, checked before any engine starts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from rl.algorithm.informative_groups import LeftOut, left_out
from rl.algorithm.reward_shaping import LearntReward, learnt_reward
from rl.recipe.rl_config import RlConfig
from sampler.prompt import Prompt, PromptKind
from verifiers.errors import BadInput, near_name
from verifiers.registry import verifier_names

if TYPE_CHECKING:
    from rl.algorithm.losses import LossSpec

GROUP_RELATIVE = frozenset(
    {
        "grpo",
        "grpo_vectorized",
        "grpo_passk",
        "rloo",
        "rloo_vectorized",
        "opo",
        "gpg",
        "reinforce_plus_plus_baseline",
    }
)
DECOUPLED_GAE = "decoupled_gae"  # rl.algorithm.gae
NEEDS_CRITIC = frozenset({"gae", DECOUPLED_GAE})

# What `rl.algorithm.advantages.compute_advantages` has to offer an estimator without a critic.
OFFERED = frozenset({"token_level_rewards", "response_mask", "index", "config", "norm_adv_by_std_in_grpo"})


@dataclass(frozen=True)
class Algorithm:
    """GRPO and its kin, or PPO with a critic: what it needs, which rollouts it learns from, which losses it names."""

    config: RlConfig
    needs_logprobs: bool = True  # of the policy before its update; a critic that learns alone needs none

    @classmethod
    def monte_carlo(cls, config: RlConfig) -> Algorithm:
        """Of value pre-training: returns that do not lean on the values (lambda 1). No KL: policy and reference are
        one."""
        loss = config.loss.model_copy(update={"kl_coef_verifiable": 0.0, "kl_coef_general": 0.0})
        changed = {"advantage": DECOUPLED_GAE, "lambda_actor": 1.0, "lambda_critic": 1.0, "loss": loss}
        return cls(config.model_copy(update=changed | {"dynamic_sampling": False}), needs_logprobs=False)

    @property
    def needs_groups(self) -> bool:
        """Whether it compares the responses of one prompt."""
        return self.config.advantage in GROUP_RELATIVE

    @property
    def needs_critic(self) -> bool:
        return self.config.advantage in NEEDS_CRITIC

    @property
    def needs_reference(self) -> bool:
        return bool(self.config.loss.kl_coef_verifiable or self.config.loss.kl_coef_general)

    @property
    def max_refills(self) -> int:
        """Further draws a step for prompts of which nothing is learnt (DAPO, 2503.14476, section 3.2)."""
        return self.config.max_refills if self.config.dynamic_sampling else 0

    def left_out(self, scores: Sequence[float | None], prompt_ids: Sequence[str]) -> list[LeftOut | None]:
        """For each rollout why it is not learnt from; None where it is."""
        return left_out(
            scores,
            prompt_ids,
            needs_groups=self.needs_groups,
            needs_spread=self.config.dynamic_sampling,
        )

    def reward(
        self, score: float, *, kind: str, verifier: str | None, verdict_status: str | None, num_tokens: int
    ) -> LearntReward:
        """What is learnt from, of a judge's score: weighed, less penalties."""
        return learnt_reward(
            score,
            self.config,
            kind=kind,
            verifier=verifier,
            verdict_status=verdict_status,
            num_tokens=num_tokens,
        )

    @property
    def policy_loss(self) -> LossSpec:
        """What the trainer minimises for the policy."""
        from rl.algorithm.losses import LossSpec

        loss = self.config.loss
        return LossSpec(
            name=loss.policy_loss,
            clip_low=loss.clip_low,
            clip_high=loss.clip_high,
            aggregation=loss.aggregation,
            kl_estimator=loss.kl_estimator,
            entropy_coef=loss.entropy_coef,
            temperature=self.config.temperature,
            positive_nll_coef=loss.positive_nll_coef,
            importance=loss.importance,
            importance_cap=loss.importance_cap,
        )

    @property
    def value_loss(self) -> LossSpec:
        """What the trainer minimises for the critic."""
        from rl.algorithm.losses import VALUE_LOSS, LossSpec

        return LossSpec(VALUE_LOSS, value_clip=self.config.loss.value_clip)

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Raises: BadInput where it compares the responses of a prompt that is sampled once."""
        single = next((prompt for prompt in prompts if prompt.kind == "general"), None)
        if single is not None and self.config.samples_per_general_prompt < 2 and self.needs_groups:
            raise BadInput(
                f"rl.advantage={self.config.advantage!r} compares responses of one prompt, but general prompts "
                f"({single.prompt_id} is the first) have a single one: raise rl.samples_per_general_prompt, or use "
                "decoupled_gae, whose critic needs no group"
            )


def require_known_algorithms(config: RlConfig) -> None:
    """Raises: BadInput for an advantage or a policy loss that verl does not have, or that Hone cannot feed, and for
    settings that the named ones would not follow."""
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, POLICY_LOSS_REGISTRY

    import rl.algorithm.gae  # noqa: F401  it registers itself

    usable = {
        name: function
        for name, function in ADV_ESTIMATOR_REGISTRY.items()
        if name in NEEDS_CRITIC or not _lacking(function)
    }
    _require("rl.advantage", config.advantage, ADV_ESTIMATOR_REGISTRY, usable)
    _require("rl.loss.policy_loss", config.loss.policy_loss, POLICY_LOSS_REGISTRY, POLICY_LOSS_REGISTRY)
    if config.advantage in GROUP_RELATIVE and config.samples_per_prompt < 2:
        raise BadInput(
            f"rl.advantage={config.advantage!r} compares responses of one prompt: rl.samples_per_prompt must be at "
            f"least 2, got {config.samples_per_prompt}"
        )
    if config.advantage == "gae" and not (
        config.lambda_actor == config.lambda_critic and config.whiten_advantages
    ):
        raise BadInput(
            "rl.advantage='gae' has one lambda and always whitens: set rl.lambda_actor = rl.lambda_critic and "
            "rl.whiten_advantages=true, or name 'decoupled_gae'"
        )
    _require_importance(config)
    _require_weights(config.reward_weights)


def _require(key: str, name: str, known: Mapping[str, Any], usable: Mapping[str, Any]) -> None:
    if name in usable:
        return
    if name in known:
        raise BadInput(
            f"{key}={name!r} needs {', '.join(_lacking(known[name]))}, which this program does not make"
        )
    raise BadInput(f"{key}={name!r} is unknown{near_name(name, usable)} (known: {', '.join(sorted(usable))})")


def _require_importance(config: RlConfig) -> None:
    """Two of verl's losses do not weigh tokens: one ignores the weights, the other averages their logarithms."""
    loss = config.loss
    refused = {"bypass_mode": ("truncate", "mask"), "geo_mean": ("mask",)}
    if loss.importance in refused.get(loss.policy_loss, ()):
        raise BadInput(
            f"rl.loss.importance={loss.importance!r} has no meaning for rl.loss.policy_loss={loss.policy_loss!r}: "
            "set it to none, or use another loss"
        )


def _require_weights(weights: Mapping[str, float]) -> None:
    known = [*get_args(PromptKind), *verifier_names()]
    for name in weights:
        if name not in known and ":" not in name:  # a verifier may be given as package.module:Class
            raise BadInput(
                f"rl.reward_weights: {name!r} is no kind of prompt and no verifier{near_name(name, known)}"
            )


def _lacking(estimator: Any) -> list[str]:
    """Arguments without a default that nobody fills in, such as a greedy baseline."""
    parameters = inspect.signature(estimator).parameters.values()
    return [
        one.name
        for one in parameters
        if one.default is one.empty
        and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
        and one.name not in OFFERED
    ]
