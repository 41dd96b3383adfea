"""Which engine is on which devices, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rl.recipe.recipe import Recipe


@dataclass(frozen=True)
class Placement:
    """``split``: sampler, trainer and the reward model's workers each have devices of their own, all the time.

    ``trainer_gpus`` are one a rank; ``sampler_gpus`` and ``scorer_gpus`` what Ray reserves for the workers together.
    """

    kind: Literal["split"]
    trainer_device: Literal["cpu", "cuda"]
    trainer_gpus: int
    sampler_gpus: float
    scorer_gpus: float

    @classmethod
    def of(cls, recipe: Recipe) -> Placement:
        """The trainer is where the sampler is, on CPUs or on GPUs."""
        sampler, judge = recipe.sampler, recipe.judging.reward_model
        on_gpu = sampler.device == "cuda"
        scorer = None if judge is None or not judge.has_checkpoint else judge.sampler
        return cls(
            kind="split",
            trainer_device="cuda" if on_gpu else "cpu",
            trainer_gpus=recipe.trainer.num_ranks if on_gpu else 0,
            sampler_gpus=sampler.num_workers * sampler.num_gpus_per_worker,
            scorer_gpus=0 if scorer is None else scorer.num_workers * scorer.num_gpus_per_worker,
        )

    @property
    def num_gpus(self) -> float:
        """That the run needs at once."""
        return self.trainer_gpus + self.sampler_gpus + self.scorer_gpus
