"""The recipe of supervised fine-tuning, and of the harvest that feeds later rounds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rl.recipe.section import Section
from rl.recipe.trainer_config import ScheduleConfig


class SftConfig(Section):
    """Supervised fine-tuning at the start of a round."""

    epochs: float = Field(2.0, gt=0, description="passes over the rows")
    batch_size: int = Field(16, ge=1, description="rows (packs, with pack_tokens) an optimizer step")
    pack_tokens: int | None = Field(
        None, ge=1, description="rows are packed into sequences of so many tokens; none: a row is a sequence"
    )
    schedule: ScheduleConfig = ScheduleConfig(lr=2e-5, min_lr=2e-6, warmup_frac=0.1)
    later_epochs: float | None = Field(
        None, gt=0, description="epochs of rounds after the first; none: the same"
    )
    later_lr: float | None = Field(
        None, gt=0, description="peak rate of rounds after the first; none: the same"
    )
    later_cold_start_frac: float = Field(
        1.0, ge=0, le=1, description="cold-start rows that later rounds still train on, beside the harvests"
    )
    later_cold_start_min_ratio: float | None = Field(
        None,
        gt=0,
        description="of these, later rounds keep rows that are at least so many times as likely as right after the "
        "first SFT: 0.2 drops ways of answering that RL has unlearnt; none: all",
    )
    start_from: Literal["base", "previous"] = Field(
        "base", description="what rounds after the first start from"
    )
    checkpoint_every_steps: int | None = Field(None, ge=1, description="for going on inside a stage")

    @model_validator(mode="after")
    def _later_rates_fall(self) -> SftConfig:
        self.schedule.check_later(self.later_lr)
        return self


class HarvestConfig(Section):
    """Rejection-sampling fine-tuning: the harvest between rounds."""

    num_prompts: int = Field(2000, ge=1, description="candidate prompts that are tried")
    probe_samples: int = Field(4, ge=1, description="samples that tell whether a prompt is hard")
    samples_per_prompt: int = Field(12, ge=1, description="further samples of a hard prompt")
    min_pass_frac: float = Field(0.0, ge=0, le=1, description="hard: pass rate above this ...")
    max_pass_frac: float = Field(0.75, ge=0, le=1, description="... and up to this")
    min_score: float = Field(1.0, ge=0, le=1, description="a response is kept from this score on")
    max_per_prompt: int = Field(2, ge=1, description="responses kept of one prompt")
    max_response_tokens: int = Field(16384, ge=1, description="longer responses are over-thinking: dropped")
    max_repeats: int = Field(8, ge=2, description="a phrase repeated more often in a row is dropped")
    balance_ratio: float = Field(
        3.0, ge=1, description="a question type may have so many times the rows of the median"
    )
