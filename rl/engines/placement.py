"""Which engine is on which devices, and whether there are so many."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from rl.recipe.recipe import Recipe
from verifiers.errors import BadInput


@dataclass(frozen=True)
class Placement:
    """Sampler, trainer and judge each have devices of their own as long as they run. ``gpus`` are what Ray reserves for
    each: one a trainer rank, of the judge those of its reward model's workers."""

    trainer_device: Literal["cpu", "cuda"]
    gpus: Mapping[str, float]

    @classmethod
    def of(cls, recipe: Recipe) -> Placement:
        """The trainer is where the sampler is, on CPUs or on GPUs."""
        sampler, judge = recipe.sampler, recipe.judging.reward_model
        on_gpu = sampler.device == "cuda"
        scorer = None if judge is None or not judge.has_checkpoint else judge.sampler
        return cls(
            trainer_device="cuda" if on_gpu else "cpu",
            gpus={
                "trainer": recipe.trainer.num_ranks if on_gpu else 0,
                "sampler": sampler.num_workers * sampler.reserved_gpus,
                "judge": 0 if scorer is None else scorer.num_workers * scorer.reserved_gpus,
            },
        )

    def require(self, num_gpus: float, engines: Collection[str]) -> None:
        """Raises: BadInput where these engines together want more GPUs than there are: Ray would wait for ever."""
        wanted = {name: count for name, count in self.gpus.items() if name in engines and count}
        if num_gpus < sum(wanted.values()):
            each = ", ".join(f"{count:g} for the {name}" for name, count in wanted.items())
            raise BadInput(
                f"the run needs {sum(wanted.values()):g} GPUs at once ({each}) and Ray has {num_gpus:g}: lower "
                "trainer.ranks_per_node, sampler.num_workers or sampler.tensor_parallel_size, or set sampler.device=cpu"
            )
