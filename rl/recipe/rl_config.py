"""The recipe of online RL: rollouts, advantages, losses and the critic."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from rl.recipe.section import Section
from rl.recipe.trainer_config import ScheduleConfig

FROM_REWARD_MODEL = "reward_model"


class LossConfig(Section):
    """The policy loss, by verl's name, and what is added to it."""

    policy_loss: str = Field(
        "vanilla", description="a name in verl's registry, or your own; vanilla: PPO's clipped ratio"
    )
    options: dict[str, float] = Field(
        default_factory=dict,
        description="numbers of that loss under verl's names (docs/ppo.md), such as vanilla's dual clip clip_ratio_c",
    )
    clip_low: float = Field(0.2, gt=0, description="the ratio is clipped at 1 - clip_low ...")
    clip_high: float = Field(0.2, gt=0, description="... and at 1 + clip_high")
    aggregation: Literal["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"] = Field(
        "token-mean",
        description="how the losses of tokens become one; sapo and geo_mean have seq-mean-token-mean",
    )
    kl_estimator: Literal["k1", "k2", "k3", "abs", "k1+", "k3+"] = Field(
        "k3",
        description="of the KL to the reference, KL(policy, reference). In the loss k2, k1+ and k3+ have its gradient, "
        "k3 that of KL(reference, policy); k1 and abs are refused there. In the reward k1 alone has its gradient",
    )
    kl_coef_verifiable: float = Field(
        0.0, ge=0, description="weight of the KL on prompts that a rule verifies"
    )
    kl_coef_general: float = Field(
        1e-5, ge=0, description="weight of the KL on prompts that a reward model judges"
    )
    kl_in: Literal["loss", "reward"] = Field(
        "loss", description="KL to the reference as a term of the loss, or taken off each token's reward"
    )
    entropy_coef: float = Field(0.0, description="weight of the entropy, which is added")
    positive_nll_coef: float = Field(
        0.0, ge=0, description="weight of the likelihood of right responses (VAPO: 0.1)"
    )
    importance: Literal["none", "truncate", "mask"] = Field(
        "none", description="weigh tokens by trainer over sampler probability: cut at the cap, or 0 beyond it"
    )
    importance_cap: float = Field(
        2.0, ge=1, description="largest weight; with mask, 1 / cap is the smallest too"
    )
    value_clip: float | None = Field(
        None, gt=0, description="how far a value may move from the old one; none: as far as it likes"
    )

    @model_validator(mode="after")
    def _kl_has_a_gradient(self) -> LossConfig:
        in_loss = self.kl_in == "loss" and (self.kl_coef_verifiable or self.kl_coef_general)
        if in_loss and self.kl_estimator in {"k1", "abs"}:
            raise ValueError(
                f"rl.loss.kl_estimator={self.kl_estimator} in the loss does not have the gradient of the KL (that of "
                "k1 is 0 in the mean): use k2, k1+ or k3+, which have it, or rl.loss.kl_in=reward"
            )
        return self

    def kl_coef(self, kind: str) -> float:
        """Of prompts of a kind."""
        return self.kl_coef_general if kind == "general" else self.kl_coef_verifiable


class RlConfig(Section):
    """Online RL after the SFT of a round."""

    steps: int = Field(100, ge=1, description="rollout batches a stage")
    prompts_per_step: int = Field(512, ge=1, description="prompts of a rollout batch")
    rollouts_per_step: int | None = Field(
        None,
        ge=1,
        description="instead of prompts_per_step: prompts are drawn until their samples are so many",
    )
    prompt_source: str | None = Field(
        None,
        description="which prompts a step takes (docs/selection.md): uniform (epochs in a seeded order), band, "
        "posterior, retire, thin, or package.module:Class of a PromptSource of one's own; none: uniform",
    )
    prompt_source_options: dict[str, Any] = Field(
        default_factory=dict, description="what the prompt source is made with"
    )
    log_tokens: bool = Field(
        False,
        description="keep each token's id, log-probabilities of sampler and trainer, entropy and advantage in the "
        "rollout log; the trainer then computes them for every rollout",
    )
    samples_per_prompt: int = Field(8, ge=1, description="of prompts that a rule verifies")
    samples_per_general_prompt: int = Field(1, ge=1, description="of prompts that a reward model judges")
    num_mini_batches: int = Field(
        8, ge=1, description="optimizer steps a rollout batch, which is cut between prompts"
    )
    algorithm: str | None = Field(
        None,
        description="one of your own: an entry point of hone.algorithms or package.module:Class; none: as named below",
    )
    advantage: str = Field("grpo", description="a name in verl's advantage registry, or one of your own")
    normalize_by_std: bool = Field(True, description="grpo: advantages in standard deviations of the group")
    gamma: float = Field(1.0, gt=0, le=1, description="discount a token")
    lambda_actor: float | Literal["length_adaptive"] = Field(
        1.0, description="lambda of the advantages; length_adaptive: 1 - 1 / (alpha x length), at least 0"
    )
    lambda_critic: float = Field(1.0, ge=0, le=1, description="lambda of the returns a critic learns")
    length_adaptive_alpha: float = Field(
        0.05, gt=0, description="alpha of the length-adaptive lambda (VAPO: 0.05)"
    )
    whiten_advantages: bool = Field(
        True, description="a critic's advantages to mean 0 and variance 1 over the tokens of a rollout batch"
    )
    reward_weights: dict[str, float] = Field(
        default_factory=dict, description="weight of a score by verifier, else by kind of prompt, else 1"
    )
    unparseable_penalty: float = Field(
        0.0, ge=0, description="taken off the reward where the verifier cannot read the answer"
    )
    overlong_cache_tokens: int = Field(
        0, ge=0, description="the last tokens before the limit, over which the reward falls by 1; 0: off"
    )
    language_mixing_penalty: float = Field(
        0.0,
        ge=0,
        description="taken off the reward, times the share of the response's words in scripts the prompt does not use",
    )
    repetition_penalty: float = Field(
        0.0,
        ge=0,
        description="taken off the reward, times the share of the response's n-grams of tokens that stood before",
    )
    repetition_ngram_tokens: int = Field(20, ge=1, description="n of repetition_penalty")
    token_budget_penalty: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of its score that a response over its group's token budget loses; 0: no budget",
    )
    token_budget_min_pass_frac: float = Field(
        0.8, gt=0, le=1, description="a group has a budget where its mean score reaches this"
    )
    token_budget_quantile: float = Field(
        0.5, gt=0, le=1, description="the budget: this quantile of the lengths of the group's right responses"
    )
    token_budget_phase_steps: int | None = Field(
        None, ge=1, description="so many steps with a budget, then as many without, in turn; none: always"
    )
    dynamic_sampling: bool = Field(
        False, description="groups of equal rewards are dropped and other prompts drawn for them"
    )
    max_refills: int = Field(2, ge=0, description="further draws a step for groups that were dropped")
    settled_after: int | None = Field(
        None,
        ge=2,
        description="samples drawn first of a prompt that a rule verifies: where their rewards are alike, the others "
        "are mostly not drawn (docs/operating.md); none: all at once",
    )
    settled_go_on_frac: float = Field(
        0.25, gt=0, le=1, description="share of such prompts of which the others are drawn all the same"
    )
    schedule: ScheduleConfig = ScheduleConfig(lr=6e-7, warmup_frac=0.0)
    later_lr: float | None = Field(
        None, gt=0, description="peak rate of rounds after the first; none: the same"
    )
    loss: LossConfig = LossConfig()
    temperature: float = Field(1.0, gt=0, description="of sampling")
    top_p: float = Field(1.0, gt=0, le=1, description="of sampling")
    max_response_tokens: int = Field(
        16384, ge=1, description="a longer response is cut off, which is broken format"
    )
    checkpoint_every_steps: int | None = Field(None, ge=1, description="for going on inside a stage")
    old_log_probs: Literal["auto", "recompute", "sampler"] = Field(
        "auto",
        description="of the policy before the update: computed again for what is learnt from, or the sampler's; auto: "
        "of the update's own pass with one mini-batch, the sampler's where it is shown to compute the same (float32)",
    )
    max_mismatch_kl: float = Field(
        0.05, gt=0, description="above it, sampler and trainer disagree: the run stops"
    )

    def num_samples_of(self, kind: str) -> int:
        """Samples of a prompt of that kind."""
        return self.samples_per_general_prompt if kind == "general" else self.samples_per_prompt

    @property
    def num_rollouts_of_step(self) -> int:
        """Rollouts that a step samples; at most, where general prompts have fewer samples."""
        return self.rollouts_per_step or self.prompts_per_step * self.samples_per_prompt

    @property
    def min_prompts_per_step(self) -> int:
        """Prompts that a step draws, at least."""
        if self.rollouts_per_step is None:
            return self.prompts_per_step
        return math.ceil(
            self.rollouts_per_step / max(self.samples_per_prompt, self.samples_per_general_prompt)
        )

    @field_validator("lambda_actor", mode="before")
    @classmethod
    def _number_or_rule(cls, given: Any) -> Any:
        if given == "length_adaptive" or (isinstance(given, int | float) and 0 <= given <= 1):
            return given
        raise ValueError(f"{given!r} is neither a number from 0 to 1 nor length_adaptive")

    @model_validator(mode="after")
    def _sampler_serves(self) -> RlConfig:
        if self.old_log_probs == "sampler" and (self.top_p < 1 or self.loss.importance != "none"):
            raise ValueError(
                "rl.old_log_probs=sampler: the ratio is then that of trainer to sampler, so it needs rl.top_p=1 and "
                "leaves rl.loss.importance nothing to correct: set that to none"
            )
        return self

    @model_validator(mode="after")
    def _groups_can_be_cut(self) -> RlConfig:
        if self.settled_after is None:
            return self
        if self.settled_after >= self.samples_per_prompt:
            raise ValueError(
                f"rl.settled_after={self.settled_after} is not less than "
                f"rl.samples_per_prompt={self.samples_per_prompt}"
            )
        loss = self.loss
        terms = loss.entropy_coef or loss.positive_nll_coef or loss.kl_coef_verifiable
        if terms or self.dynamic_sampling:
            raise ValueError(
                "rl.settled_after cuts groups that have no gradient: set entropy_coef, positive_nll_coef and "
                "kl_coef_verifiable of rl.loss to 0 and rl.dynamic_sampling to false, or settled_after to null"
            )
        return self

    @model_validator(mode="after")
    def _later_rates_fall(self) -> RlConfig:
        self.schedule.check_later(self.later_lr)
        return self

    @model_validator(mode="after")
    def _cache_fits(self) -> RlConfig:
        if self.overlong_cache_tokens > self.max_response_tokens:
            raise ValueError(
                f"rl.overlong_cache_tokens={self.overlong_cache_tokens} is more than "
                f"rl.max_response_tokens={self.max_response_tokens}"
            )
        return self


class CriticConfig(Section):
    """The critic of PPO; used where ``rl.advantage`` takes values (gae, decoupled_gae)."""

    init_from: str | None = Field(
        None,
        description="checkpoint of a reward model or critic; reward_model: the one that judges; none: the policy "
        "before RL",
    )
    schedule: ScheduleConfig = ScheduleConfig(lr=7.5e-7, warmup_frac=0.0)
    pretrain_steps: int = Field(100, ge=0, description="most steps on rollouts of the SFT policy; 0: none")
    settle_window: int = Field(
        10,
        ge=0,
        description="steps over which explained variance is averaged; 0: the last, and never stop early",
    )
    settle_gain: float = Field(
        0.01,
        description="pre-training ends when a window explains less than so much more than the one before",
    )
    min_explained_variance: float = Field(
        0.0, le=1, description="of returns, after pre-training; below it `hone doctor` fails"
    )
