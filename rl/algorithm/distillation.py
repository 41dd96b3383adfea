"""On-policy distillation: how much likelier a teacher finds what the policy said, and how far the two are apart.

The policy's own rollouts are learnt from, so that it is corrected in the states it gets into (GKD, Agarwal et al.,
2306.13649; "On-Policy Distillation", Thinking Machines, 2025). Both forms descend KL(policy || teacher) token by token:
``reverse_kl`` sums over the vocabulary, ``teacher_advantages`` asks about the sampled token alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rl.algorithm.advantage.advantages import Advantages
from rl.algorithm.algorithm import Algorithm, algorithm_kind, extended
from rl.algorithm.rollouts.informative_groups import LeftOut
from rl.data.token_sequence import Floats
from rl.recipe.distillation_config import DistillationConfig
from rl.recipe.rl_config import RlConfig
from sampler.prompt import Prompt
from verifiers.counted import counted
from verifiers.errors import BadInput

if TYPE_CHECKING:
    import torch

    from rl.algorithm.loss.losses import LossSpec

ALL = "all"  # the key of a teacher for every prompt that has no other
NEVER = -1e4  # a log-probability whose probability is 0 in every dtype: 0 x this is 0, which 0 x -inf is not


def teacher_advantages(logprobs: Floats, teacher_logprobs: Floats) -> Floats:
    """A_t = log p_teacher(y_t) - log p_policy(y_t), in nats, of sampled tokens [n].

    Over the policy's own samples their mean is -KL(policy || teacher), and the gradient of the policy is that of
    ``reverse_kl``. A teacher that is the policy gives 0 at every token: no mean and no spread. Any other gives a
    spread, and a mean below 0.
    """
    return teacher_logprobs - logprobs


def reverse_kl(
    logprobs: torch.Tensor, teacher_logprobs: torch.Tensor, top_k: int | None = None
) -> torch.Tensor:
    """KL(policy || teacher) = sum of p (log p - log q) over the vocabulary, in nats: [n, vocabulary] each to [n].

    ``top_k`` tells only the policy's k likeliest tokens apart and takes the others for one: this is at most the whole
    KL, and the whole where k reaches the vocabulary. Tokens that neither may say (-inf) add nothing, also to gradients.
    """
    logprobs, teacher_logprobs = logprobs.clamp(min=NEVER), teacher_logprobs.clamp(min=NEVER)
    if top_k is not None and top_k < logprobs.shape[-1]:
        kept = logprobs.detach().topk(top_k, dim=-1).indices
        logprobs, teacher_logprobs = _with_rest(logprobs, kept), _with_rest(teacher_logprobs, kept)
    return (logprobs.exp() * (logprobs - teacher_logprobs)).sum(-1)


def _with_rest(logprobs: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """[n, vocabulary] to [n, k + 1]: the tokens that are kept, and all others as one."""
    import torch

    rest = logprobs.scatter(-1, kept, float("-inf")).logsumexp(-1, keepdim=True)
    return torch.cat([logprobs.gather(-1, kept), rest], dim=-1)


def of_prompt(prompt: Prompt, teachers: Mapping[str, str]) -> str:
    """The teacher for its question type (its first tag), else for its kind, else for ``all``; empty where none is."""
    keys = (*prompt.tags[:1], prompt.kind, ALL)
    return next((teachers[key] for key in keys if key in teachers), "")


class Distillation(Algorithm):
    """``teachers`` (checkpoints by question type, kind or ``all``) beside the algorithm that ``rl`` names:
    A_t = reward_coef A_t(rewards) + coef (log p_teacher - log p_policy), or in full form the first of these, and
    coef KL(policy || teacher) as a term of the loss. All else is as that algorithm has it."""

    def __new__(cls, rl: RlConfig, *_: object) -> Distillation:
        return object.__new__(extended(cls, algorithm_kind(rl.algorithm)))

    def __init__(self, rl: RlConfig, config: DistillationConfig, teachers: Mapping[str, str]) -> None:
        """``rl`` and ``config`` as a recipe has them. Raises: BadInput without a teacher."""
        if not teachers:
            raise BadInput(
                "nobody teaches: give distillation.teachers={all: A STAGE OF THIS RUN OR A CHECKPOINT}"
            )
        super().__init__(config.applied_to(rl))
        self.distillation, self.teachers = config, teachers
        self.needs_rewards = config.reward_coef > 0

    def __str__(self) -> str:
        teachers = ", ".join(name if key == ALL else f"{key}: {name}" for key, name in self.teachers.items())
        return f"{self.distillation.form} form, from {teachers}" + (
            f"; {super().__str__()}" if self.needs_rewards else ""
        )

    @property
    def needs_groups(self) -> bool:
        return self.needs_rewards and super().needs_groups

    @property
    def needs_critic(self) -> bool:
        return self.needs_rewards and super().needs_critic

    def left_out(self, scores: Sequence[float | None], prompt_ids: Sequence[str]) -> list[LeftOut | None]:
        """Nothing where a teacher teaches alone: it asks no judge."""
        return super().left_out(scores, prompt_ids) if self.needs_rewards else [None] * len(scores)

    def teacher_of(self, prompt: Prompt) -> str:
        return of_prompt(prompt, self.teachers)

    def estimate(
        self,
        rewards: Sequence[float],
        prompt_ids: Sequence[str],
        lengths: Sequence[int],
        *,
        of_teacher: Sequence[Floats] | None = None,
        **given: Any,
    ) -> Advantages:
        """The sum of both; in full form, of which the loss takes care, the first alone."""
        zeros = [np.zeros(length, np.float32) for length in lengths]
        estimated = Advantages(zeros, zeros)
        if self.needs_rewards:
            estimated = super().estimate(rewards, prompt_ids, lengths, **given)
        config, teacher = self.distillation, of_teacher or zeros
        advantages = [
            np.float32(config.reward_coef) * own + np.float32(config.coef) * other
            for own, other in zip(estimated.advantages, teacher, strict=True)
        ]
        return Advantages(advantages, estimated.returns)

    @property
    def policy_loss(self) -> LossSpec:
        config = self.distillation
        coef = config.coef if config.form == "full" else 0.0
        return replace(super().policy_loss, teacher_coef=coef, teacher_top_k=config.top_k)

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Raises: BadInput also for a prompt that nobody teaches on, where nothing else does."""
        if self.needs_rewards:
            super().check(prompts)
            return
        alone = [prompt for prompt in prompts if not self.teacher_of(prompt)]
        if alone:
            kind = (*alone[0].tags[:1], alone[0].kind)[0]
            raise BadInput(
                f"nobody teaches on {counted(len(alone), 'training prompt')} ({alone[0].prompt_id}, {kind}, is the "
                f"first): name a teacher for {kind} or for `all` in distillation.teachers, or raise "
                "distillation.reward_coef above 0"
            )
