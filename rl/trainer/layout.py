"""Which rank holds which part of the model and of the data: the degrees of parallelism and their product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from rl.recipe.trainer_config import TrainerConfig

PartT = TypeVar("PartT")


@dataclass(frozen=True)
class ParallelLayout:
    """``data`` replicas see different sequences; the ``sequence`` ranks of a replica share the tokens of each sequence
    (Ulysses, 2309.14509), and are neighbours; ``expert`` ranks, within or across replicas, share out the experts.

    >>> layout = ParallelLayout(data=2, sequence=2)
    >>> layout.num_ranks, layout.of_ranks(["a", "b"]), layout.of_replicas([1, 1, 2, 2])
    (4, ['a', 'a', 'b', 'b'], [1, 2])
    """

    data: int
    sequence: int = 1
    expert: int = 1

    @classmethod
    def of(cls, config: TrainerConfig) -> ParallelLayout:
        """Today all ranks are replicas: sequences and experts are whole on each."""
        return cls(data=config.data_parallel)

    @property
    def num_ranks(self) -> int:
        return self.data * self.sequence

    def of_ranks(self, of_replicas: list[PartT]) -> list[PartT]:
        """What each replica gets, for each rank."""
        return [of_replicas[rank // self.sequence] for rank in range(self.num_ranks)]

    def of_replicas(self, of_ranks: list[PartT]) -> list[PartT]:
        """What each replica gives, of the ranks that all give the same for it."""
        return of_ranks[:: self.sequence]
