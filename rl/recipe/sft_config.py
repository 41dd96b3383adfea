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
    later_kl_coef: float = Field(
        0.0,
        ge=0,
        description="rounds after the first add so many times KL(policy || the policy before this SFT) to the loss, "
        "at the tokens of responses, over the vocabulary: RL is forgotten less; needs a frozen copy on every rank",
    )
    later_replay_rows: int | None = Field(
        None,
        ge=1,
        description="rounds after the first also learn from so many right rollouts of the RL before, one a prompt, of "
        "prompts that it got right sometimes but not always; none: of none",
    )
    later_validation_prompts: int | None = Field(
        None,
        ge=1,
        description="rounds after the first stop early and keep the weights that were best on so many prompts to train "
        "on, drawn by the seed of those that a verifier judges; none: no validation",
    )
    later_validate_every_steps: int = Field(
        50, ge=1, description="optimizer steps between validations; there is one at the end in any case"
    )
    later_patience: int = Field(
        3, ge=1, description="validations in a row without a new best, after which training stops"
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
    probe: Literal["sample", "store"] = Field(
        "sample",
        description="how hard prompts are found: by probe_samples of each candidate, or of candidates that RL has "
        "sampled so often of late by its rollout log",
    )
    probe_samples: int = Field(4, ge=1, description="samples that tell whether a prompt is hard")
    probe_half_life: float = Field(
        16.0, gt=0, description="store: policy versions after which a sample counts half"
    )
    samples_per_prompt: int = Field(12, ge=1, description="further samples of a hard prompt")
    part_samples: int | None = Field(
        None,
        ge=1,
        description="drawn in parts of so many, until a prompt has its rows or is hopeless; none: all at once",
    )
    min_pass_frac: float = Field(0.0, ge=0, le=1, description="hard: pass rate above this ...")
    max_pass_frac: float = Field(0.75, ge=0, le=1, description="... and up to this")
    min_score: float = Field(1.0, ge=0, le=1, description="a response is kept from this score on")
    max_per_prompt: int = Field(2, ge=1, description="responses kept of one prompt")
    keep: Literal["shortest", "first", "diverse"] = Field(
        "shortest", description="which: the shortest, the first drawn, or those that differ most"
    )
    max_response_tokens: int = Field(16384, ge=1, description="longer responses are over-thinking: dropped")
    max_over_median: float | None = Field(
        None, ge=1, description="so many times the median length of the prompt's right ones; none: any"
    )
    max_over_shortest: float | None = Field(
        None, ge=1, description="so many times the length of the shortest right one; none: any"
    )
    max_repeats: int = Field(8, ge=2, description="a phrase repeated more often in a row is dropped")
    max_language_mixing_frac: float | None = Field(
        None,
        ge=0,
        le=1,
        description="more words in scripts that the prompt has none of are dropped; none: any",
    )
    drop_template_leftovers: bool = Field(
        True, description="special tokens or a role's mark at a line's beginning are dropped"
    )
    max_similarity: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="a response more alike to a kept one of its prompt is dropped; none: if the same",
    )
    balance_ratio: float = Field(
        3.0, ge=1, description="a question type may have so many times the rows of the median"
    )
    spot_check_rows: int = Field(
        20,
        ge=0,
        description="kept ones and dropped ones, so many of each, written with reasons for a person to read",
    )

    @model_validator(mode="after")
    def _parts_keep_the_same_rows(self) -> HarvestConfig:
        if self.part_samples is not None and self.keep != "first":
            which = {"shortest": "shortest", "diverse": "most diverse"}[self.keep]
            raise ValueError(
                f"harvest.part_samples needs harvest.keep=first: the {which} are not known before all are drawn"
            )
        return self
