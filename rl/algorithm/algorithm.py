"""What an algorithm needs, which rollouts it learns from and how, and the losses it names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, get_args

from rl.algorithm.advantage.estimator import PLUG_INS, Estimator
from rl.algorithm.loss.loss_options import require_settings
from rl.algorithm.rollouts.informative_groups import LeftOut, left_out
from rl.algorithm.rollouts.response_form import language_mixing_frac, repetition_frac
from rl.algorithm.rollouts.reward_shaping import (
    LearntReward,
    overlong_penalty,
    reward_weight,
    token_budget,
)
from rl.algorithm.rollouts.settled_groups import OF_ITS_GROUP
from rl.data.token_sequence import Floats
from rl.recipe.rl_config import RlConfig
from sampler.prompt import Prompt, PromptKind
from sampler.rollout import Rollout
from verifiers.errors import BadInput, near_name
from verifiers.plug_in import load_object, plug_in_path, plug_ins
from verifiers.registry import verifier_names

if TYPE_CHECKING:
    from rl.algorithm.advantage.advantages import Advantages
    from rl.algorithm.loss.losses import LossSpec


class Algorithm:
    """GRPO and its kin, or PPO with a critic, by the estimator and the loss that a recipe's ``rl`` section names.

    One of a user's own is a subclass, named by ``rl.algorithm``; it overrides what it does otherwise:

    >>> class Reinforce(Algorithm):
    ...     needs_groups = False
    ...     def estimate(self, rewards, prompt_ids, lengths, **_):
    ...         columns = [np.full(length, reward) for reward, length in zip(rewards, lengths)]
    ...         return Advantages(advantages=columns, returns=columns)
    """

    needs_logprobs = True  # of the policy before its update; where a critic learns alone none are
    needs_rewards = True  # without them a teacher teaches alone, and no judge is needed

    def __init__(self, config: RlConfig) -> None:
        self.config = config

    def __str__(self) -> str:
        return self.config.algorithm or f"{self.config.advantage}, {self.config.loss.policy_loss}"

    @property
    def estimator(self) -> Estimator:
        return Estimator.named(self.config.advantage)

    @property
    def needs_groups(self) -> bool:
        """Whether it compares the responses of one prompt."""
        return self.estimator.needs_groups

    @property
    def needs_critic(self) -> bool:
        return self.estimator.needs_critic

    def needs_reference(self, kinds: Collection[PromptKind]) -> bool:
        """Whether the reference policy is asked about prompts of these kinds."""
        return any(self.config.loss.kl_coef(kind) for kind in kinds)

    def teacher_of(self, prompt: Prompt) -> str:
        """The checkpoint of the policy that teaches on this prompt; empty: none."""
        return ""

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
        """What is learnt from, of a judge's score: weighed by verifier or kind, less the penalties for an answer that
        the verifier cannot read and for length. Without such settings, the score."""
        config = self.config
        weight = reward_weight(config.reward_weights, kind=kind, verifier=verifier)
        overlong = overlong_penalty(
            num_tokens, max_tokens=config.max_response_tokens, cache_tokens=config.overlong_cache_tokens
        )
        unparseable = -config.unparseable_penalty if verdict_status == "unparseable" else 0.0
        return LearntReward(score, weight, {"unparseable": unparseable, "overlong": overlong})

    def form_penalties(
        self, group: Sequence[Rollout], prompt: Prompt, learnt: Sequence[LearntReward], *, step: int
    ) -> list[dict[str, float]]:
        """For each rollout of one prompt what the form of its response, thought included, adds to its reward (0 or
        less), by name; nothing for what the recipe does not penalise. ``learnt``: what its score is worth."""
        config = self.config
        named: dict[str, list[float]] = {}
        if config.language_mixing_penalty:
            mixing = [language_mixing_frac(one.text, prompt.text) for one in group]
            named["language_mixing"] = [-config.language_mixing_penalty * frac for frac in mixing]
        if config.repetition_penalty:
            n = config.repetition_ngram_tokens
            repetition = [repetition_frac(one.response_token_ids, n) for one in group]
            named["repetition"] = [-config.repetition_penalty * frac for frac in repetition]
        if config.token_budget_penalty:
            named["token_budget"] = self._over_budget(
                [one.num_response_tokens for one in group], learnt, step
            )
        return [dict(zip(named, of_one, strict=True)) for of_one in zip(*named.values(), strict=True)] or [
            {} for _ in group
        ]

    def _over_budget(self, lengths: Sequence[int], learnt: Sequence[LearntReward], step: int) -> list[float]:
        """What responses of one group lose that are longer than its token budget."""
        config, phase = self.config, self.config.token_budget_phase_steps
        budget = token_budget(
            [reward.score for reward in learnt],
            lengths,
            min_pass_frac=config.token_budget_min_pass_frac,
            quantile=config.token_budget_quantile,
        )
        if budget is None or (phase is not None and step // phase % 2):
            return [0.0] * len(lengths)
        worth = [max(0.0, reward.weight * reward.score) for reward in learnt]
        return [
            -config.token_budget_penalty * value if length > budget else 0.0
            for length, value in zip(lengths, worth, strict=True)
        ]

    def estimate(
        self,
        rewards: Sequence[float],
        prompt_ids: Sequence[str],
        lengths: Sequence[int],
        *,
        values: Sequence[Floats] | None = None,
        token_rewards: Sequence[Floats] | None = None,
        of_teacher: Sequence[Floats] | None = None,
    ) -> Advantages:
        """Advantages and returns of responses of ``lengths`` tokens whose reward falls on their last one.

        ``values``: the critic's, [its length] for each response. ``token_rewards``: what is added to each token's
        reward, such as a KL penalty. ``of_teacher``: a teacher's advantages, where a prompt has one.
        """
        from rl.algorithm.advantage.advantages import compute_advantages

        return compute_advantages(
            self.estimator,
            rewards,
            prompt_ids,
            lengths,
            config=self.config,
            values=values,
            token_rewards=token_rewards,
        )

    @property
    def policy_loss(self) -> LossSpec:
        """What the trainer minimises for the policy."""
        from rl.algorithm.loss.losses import LossSpec

        loss = self.config.loss
        return LossSpec(
            name=loss.policy_loss,
            options=loss.options,
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
        from rl.algorithm.loss.losses import VALUE_LOSS, LossSpec

        return LossSpec(VALUE_LOSS, value_clip=self.config.loss.value_clip)

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Raises: BadInput as ``check_settings``, and for a loss or an estimator that nobody has."""
        from rl.algorithm.loss.losses import SILENT_AT_ZERO, policy_loss_function

        if self.policy_loss.name not in SILENT_AT_ZERO:  # those are verl's, which takes 8 s to import
            policy_loss_function(self.policy_loss.name)
        self.estimator.check()
        self.check_settings(prompts)

    def check_settings(self, prompts: Sequence[Prompt]) -> None:
        """What can be said without verl. Raises: BadInput for settings that the algorithm would not follow, weights of
        what is not there, and prompts that are sampled once where the responses of a prompt are compared."""
        require_settings(self.config.loss)
        _require_weights(self.config.reward_weights)
        self._require_lambdas()
        self._require_cut_groups()
        self.require_groups(prompts)

    def _require_lambdas(self) -> None:
        config = self.config
        if config.advantage == "gae" and not (
            config.lambda_actor == config.lambda_critic and config.whiten_advantages
        ):
            raise BadInput(
                "rl.advantage='gae' has one lambda and always whitens: set rl.lambda_actor = rl.lambda_critic and "
                "rl.whiten_advantages=true, or name 'decoupled_gae'"
            )

    def _require_cut_groups(self) -> None:
        """What is cut must have had no gradient and no say in others', and the loss must grow with the advantage."""
        config = self.config
        if config.settled_after is None:
            return
        from rl.algorithm.loss.losses import SILENT_AT_ZERO

        known = config.algorithm is None and config.advantage in OF_ITS_GROUP
        if not (known and self.policy_loss.name in SILENT_AT_ZERO):
            raise BadInput(
                f"rl.settled_after cuts groups of equal rewards, which {self} may learn from: it goes with "
                f"the advantages {', '.join(sorted(OF_ITS_GROUP))} and the losses {', '.join(sorted(SILENT_AT_ZERO))}"
            )

    def require_groups(self, prompts: Sequence[Prompt]) -> None:
        """Raises: BadInput for prompts that are sampled once where the responses of a prompt are compared."""
        if not self.needs_groups:
            return
        config, name = self.config, f"rl.advantage={self.config.advantage!r}"
        if config.algorithm is not None:
            name = f"rl.algorithm={config.algorithm!r}"
        if config.samples_per_prompt < 2:
            raise BadInput(
                f"{name} compares responses of one prompt: rl.samples_per_prompt must be at least 2, got "
                f"{config.samples_per_prompt}"
            )
        single = next((prompt for prompt in prompts if prompt.kind == "general"), None)
        if single is not None and config.samples_per_general_prompt < 2:
            raise BadInput(
                f"{name} compares responses of one prompt, but general prompts ({single.prompt_id} is the first) have "
                "a single one: raise rl.samples_per_general_prompt, or use decoupled_gae, whose critic needs no group"
            )


ExtendedT = TypeVar("ExtendedT", bound=Algorithm)


def extended(extension: type[ExtendedT], kind: type[Algorithm]) -> type[ExtendedT]:
    """An algorithm of ``kind`` where ``extension`` says nothing else, so that none of its methods can be forgotten;
    its ``super()`` is the one of ``kind``."""
    return type(extension.__name__, (extension, kind), {})


def algorithm_of(config: RlConfig) -> Algorithm:
    """The algorithm of a recipe's ``rl`` section. Raises: BadInput as ``algorithm_kind``."""
    return algorithm_kind(config.algorithm)(config)


def algorithm_kind(name: str | None) -> type[Algorithm]:
    """What an ``rl.algorithm`` names.

    Raises: BadInput for one that is neither an entry point of ``hone.algorithms`` nor `package.module:Class` of a
    subclass of `Algorithm`.
    """
    if name is None:
        return Algorithm
    path = plug_in_path(PLUG_INS, name)
    if path is None:
        known = sorted(plug_ins(PLUG_INS))
        raise BadInput(
            f"rl.algorithm={name!r} is unknown{near_name(name, known)} (entry points of {PLUG_INS}: "
            f"{', '.join(known) or 'none'}; or package.module:Class; verl's algorithms are named by rl.advantage)"
        )
    found = load_object(path, f"rl.algorithm={name!r}")
    if not (isinstance(found, type) and issubclass(found, Algorithm)):
        raise BadInput(f"rl.algorithm={name!r} is not a subclass of rl.algorithm.algorithm.Algorithm")
    return found


def _require_weights(weights: Mapping[str, float]) -> None:
    known = [*get_args(PromptKind), *verifier_names()]
    for name in weights:
        if name not in known and ":" not in name:  # a verifier may be given as package.module:Class
            raise BadInput(
                f"rl.reward_weights: {name!r} is no kind of prompt and no verifier{near_name(name, known)}"
            )
