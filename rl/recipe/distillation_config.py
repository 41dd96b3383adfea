"""The recipe of on-policy distillation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from rl.recipe.rl_config import RlConfig
from rl.recipe.section import Section
from rl.recipe.trainer_config import ScheduleConfig


class DistillationConfig(Section):
    """On-policy distillation: a stage in which a teacher judges every token of the policy's own rollouts. What is not
    named here is as ``rl`` has it."""

    teachers: dict[str, str] = Field(
        default_factory=dict,
        description="by question type, else by kind of prompt, else under `all`: a stage of this run, such as "
        "04-rl-r0, or a checkpoint directory",
    )
    form: Literal["sampled", "full"] = Field(
        "full",
        description="what draws the policy to the teacher: an advantage of each sampled token, or a loss over the "
        "vocabulary",
    )
    top_k: int | None = Field(
        None, ge=1, description="of form full: the policy's likeliest tokens, the others as one; none: all"
    )
    coef: float = Field(1.0, gt=0, description="weight of the teacher")
    reward_coef: float = Field(
        0.0,
        ge=0,
        description="weight of the advantages that rl.advantage makes of rewards; 0: the teacher alone",
    )
    steps: int | None = Field(None, ge=1, description="rollout batches; none: rl.steps")
    prompts_per_step: int | None = Field(None, ge=1, description="none: as rl has it")
    samples_per_prompt: int | None = Field(
        None, ge=1, description="of prompts of any kind; none: as rl has it"
    )
    num_mini_batches: int | None = Field(None, ge=1, description="none: rl.num_mini_batches")
    schedule: ScheduleConfig | None = Field(
        None, description="in every round; none: rl.schedule, and rl.later_lr"
    )

    def applied_to(self, rl: RlConfig) -> RlConfig:
        """The section ``rl`` of such a stage. A teacher teaches where rewards are alike too, and where it teaches alone
        nothing holds the policy to the one that it started from."""
        named = ("steps", "prompts_per_step", "samples_per_prompt", "num_mini_batches", "schedule")
        changed: dict[str, Any] = {
            name: value for name in named if (value := getattr(self, name)) is not None
        }
        if "prompts_per_step" in changed:
            changed["rollouts_per_step"] = None
        if "samples_per_prompt" in changed:
            changed["samples_per_general_prompt"] = self.samples_per_prompt
        if "schedule" in changed:
            changed["later_lr"] = None
        if self.form == "sampled" and rl.old_log_probs == "auto":
            # As the teacher's are: two that are alike differ by exactly 0.
            changed["old_log_probs"] = "recompute"
        if not self.reward_coef:
            no_kl = {"kl_coef_verifiable": 0.0, "kl_coef_general": 0.0}
            changed["loss"] = rl.loss.model_copy(update=no_kl)
        return rl.model_copy(update=changed | {"dynamic_sampling": False, "settled_after": None})
