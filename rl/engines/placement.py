"""Which engine is on which devices, and whether there are so many."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rl.recipe.recipe import Recipe
from rl.recipe.trainer_config import TrainerConfig
from verifiers.counted import counted
from verifiers.errors import BadInput, HoneError

SMALLER = {
    "trainer": "trainer.ranks_per_node, and raise trainer.num_nodes",
    "sampler": "sampler.tensor_parallel_size",
    "judge": "judging.reward_model.sampler.tensor_parallel_size",
}  # what makes an engine's groups smaller
ROUNDING = 1e-6
RESERVED_WITHIN_S = 900.0  # nodes may have to start, or other jobs to end


@dataclass(frozen=True)
class Placement:
    """Sampler, trainer and judge each have devices of their own as long as they run. ``groups`` are what Ray reserves
    for each: (how many groups, GPUs of each). A group is on one node: the trainer's ranks of a node, a worker of the
    sampler or of the judge's reward model. ``within_one_machine``: the sampler's weights come through its memory."""

    trainer_device: Literal["cpu", "cuda"]
    groups: Mapping[str, tuple[int, float]]
    within_one_machine: bool = True

    @classmethod
    def of(cls, recipe: Recipe) -> Placement:
        """The trainer is where the sampler is, on CPUs or on GPUs."""
        sampler, trainer, judge = recipe.sampler, recipe.trainer, recipe.judging.reward_model
        on_gpu = sampler.device == "cuda"
        scorer = None if judge is None or not judge.has_checkpoint else judge.sampler
        return cls(
            trainer_device="cuda" if on_gpu else "cpu",
            groups={
                "trainer": (trainer.num_nodes, trainer.ranks_per_node if on_gpu else 0),
                "sampler": (sampler.num_workers, sampler.reserved_gpus),
                "judge": (0, 0) if scorer is None else (scorer.num_workers, scorer.reserved_gpus),
            },
            within_one_machine=sampler.weight_transfer_backend == "shared_memory",
        )

    @property
    def gpus(self) -> dict[str, float]:
        """Of each engine in all."""
        return {name: num * size for name, (num, size) in self.groups.items()}

    def require(self, node_gpus: Sequence[float], engines: Collection[str]) -> None:
        """``node_gpus`` are those of each node. Raises: BadInput where these engines together want more, or a group
        does not find its GPUs on one node: Ray would wait for ever; and where weights cannot reach the sampler."""
        on_cpu = self.trainer_device == "cpu"
        num_nodes = sum(on_cpu or gpus > 0 for gpus in node_gpus)  # that may be given an engine
        if self.within_one_machine and num_nodes > 1 and {"sampler", "trainer"} <= set(engines):
            raise BadInput(
                "sampler.weight_transfer_backend=shared_memory is within one machine, and Ray has "
                f"{num_nodes} nodes{'' if on_cpu else ' with GPUs'}, over which it scatters trainer and sampler: "
                f"{'use a Ray of one node' if on_cpu else 'set it to nccl'}"
            )
        wanted = {name: count for name, count in self.gpus.items() if name in engines and count}
        if sum(node_gpus) < sum(wanted.values()):
            each = ", ".join(f"{count:g} for the {name}" for name, count in wanted.items())
            raise BadInput(
                f"the run needs {sum(wanted.values()):g} GPUs at once ({each}) and Ray has {sum(node_gpus):g}: lower "
                "trainer.ranks_per_node, sampler.num_workers or sampler.tensor_parallel_size, or set sampler.device=cpu"
            )
        free = list(node_gpus)
        groups = [(self.groups[name][1], name) for name in wanted for _ in range(self.groups[name][0])]
        for size, name in sorted(groups, reverse=True):  # the largest first, where the least is left over
            room = min((gpus for gpus in free if gpus + ROUNDING >= size), default=None)
            if room is None:
                nodes = ", ".join(f"{gpus:g}" for gpus in node_gpus)
                raise BadInput(
                    f"the {name} needs {size:g} GPUs on one node, and beside larger groups no node has them (Ray's "
                    f"nodes have {nodes}): lower {SMALLER[name]}"
                )
            free[free.index(room)] -= size


def reserve_ranks(trainer: TrainerConfig, device: Literal["cpu", "cuda"]) -> list[Any]:
    """Ray's placement groups for the trainer's ranks, one a node. They come before the actors of other engines, which
    Ray scatters over nodes that the trainer needs whole.

    Raises: HoneError where Ray has no room for them in time.
    """
    from ray.util import placement_group

    bundle = {"CPU": 1.0} | ({"GPU": 1.0} if device == "cuda" else {})
    groups = [
        placement_group([bundle] * trainer.ranks_per_node, strategy="STRICT_PACK")
        for _ in range(trainer.num_nodes)
    ]
    deadline = time.monotonic() + RESERVED_WITHIN_S
    if all(group.wait(max(0.0, deadline - time.monotonic())) for group in groups):
        return groups
    release_ranks(groups)
    what = "GPUs and CPUs" if device == "cuda" else "CPUs"
    raise HoneError(
        f"Ray found no room in {RESERVED_WITHIN_S / 60:g} minutes for {counted(trainer.num_nodes, 'node')} of "
        f"{counted(trainer.ranks_per_node, 'trainer rank')}: do other jobs hold the {what}?"
    )


def release_ranks(groups: Sequence[Any]) -> None:
    """Give back what ``reserve_ranks`` reserved."""
    from ray.util import remove_placement_group

    for group in groups:
        remove_placement_group(group)
