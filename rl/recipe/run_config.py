"""The recipe of what surrounds training: evaluation, weight sync, rounds, and the Ray cluster."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rl.recipe.section import Section


class EvaluationConfig(Section):
    """Held-out evaluation at the start, after SFT and after RL."""

    num_prompts: int | None = Field(None, ge=1, description="none: all of them")
    samples_per_prompt: int = Field(4, ge=1, description="pass@1 is their mean")
    temperature: float = Field(1.0, gt=0, description="of sampling")
    top_p: float = Field(1.0, gt=0, le=1, description="of sampling")
    pass_at: tuple[int, ...] = Field((4,), description="the k of pass@k")
    pass_score: float = Field(0.5, gt=0, le=1, description="a score from which a response counts as right")


class SyncConfig(Section):
    """Weights from trainer to sampler, and the proof that they arrived."""

    probe_prompts: int = Field(8, ge=1, description="prompts with pictures on which log-probs are compared")
    probe_tokens: int = Field(16, ge=1, description="tokens compared of each")
    tolerance: float | None = Field(
        None,
        gt=0,
        description="largest difference of a token's log-prob; none: by the dtype, 1e-4 in float32, in bfloat16 limits "
        "of its median and of the mean KL",
    )
    prove: Literal["every_sync", "every_stage"] = Field("every_stage", description="how often")


class MetricsConfig(Section):
    """Where the figures of every step go beside RUN/metrics.jsonl."""

    tensorboard: bool = Field(True, description="curves for `tensorboard --logdir RUN/tensorboard`")
    wandb_project: str | None = Field(
        None, description="project on Weights & Biases; the package wandb must be installed"
    )


class ProgramConfig(Section):
    """How many rounds, and when a round counts; or a program of one's own."""

    function: str | None = Field(
        None, description="package.module:function(run): a program of one's own; none: rounds"
    )
    rounds: int = Field(4, ge=1, description="of SFT, RL and, between two rounds, rejection sampling")
    min_gain: float = Field(
        -1.0,
        description="a round whose held-out pass@1 gains less over the best ends the program; less beyond noise: "
        "the whole 95% interval of the gain, paired by prompt, is under it. Above -1 a round is released only where "
        "its pass@1 is the highest so far",
    )
    harvest_after_last: bool = Field(False, description="harvest after the last round too")

    def releases(self, figure: float, best: float) -> bool:
        """Whether a policy of this held-out figure takes the place of the best one before it."""
        return self.min_gain <= -1 or figure > best


class RayConfig(Section):
    """The Ray cluster. With RAY_ADDRESS set in the environment, that cluster is joined instead."""

    num_cpus: int | None = Field(None, ge=1, description="none: those of the machine")
    object_store_mib: int = Field(512, ge=100, description="shared memory for what processes hand each other")
    environment: dict[str, str] = Field(
        default_factory=dict,
        description="environment variables of every process that Ray starts; what Hone sets for an engine wins",
    )
