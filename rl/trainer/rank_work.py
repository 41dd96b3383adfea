"""What the controller hands to a trainer rank: how to build it, and its part of the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rl.data.batch import Batch, StepCounts
from rl.data.token_sequence import Floats
from rl.recipe.trainer_config import ModelConfig, TrainerConfig


@dataclass(frozen=True)
class TrainerSetup:
    """What a rank needs to build its engine."""

    model_path: str
    model: ModelConfig
    trainer: TrainerConfig
    log_dir: str
    device: str = "cpu"

    @property
    def is_partitioned(self) -> bool:
        """ZeRO-3: a rank holds a part of each parameter, and every use of one is a collective."""
        return self.trainer.zero_stage == 3


@dataclass(frozen=True)
class RankStep:
    """A rank's micro-batches of a forward pass or an optimizer step, as indices into what it holds: one without any has
    nothing to compute, but its collectives must run. ``frozen`` names for each the frozen policy that is asked about
    it, empty for none. ``counts`` and ``rate`` are the whole optimizer step's."""

    micro_batches: Sequence[Sequence[int]]
    frozen: Sequence[str]
    counts: StepCounts
    rate: float


@dataclass(frozen=True, eq=False)
class RankWork:
    """Steps on the batch of that ``key``, and what of it the rank has not had yet: first its part of the batch with
    its pictures; later the columns (at the tokens learnt from) and scalars that are new."""

    key: int
    steps: Sequence[RankStep]
    batch: Batch | None = None
    columns: Mapping[str, Floats] = field(default_factory=dict)
    scalars: Mapping[str, Floats] = field(default_factory=dict)


class HeldPart:
    """A rank's part of a batch, from the first call that works on it until another batch comes."""

    def __init__(self) -> None:
        self._key: int | None = None
        self._batch: Batch | None = None

    def receive(self, work: RankWork) -> None:
        """Take what came along with the work."""
        if work.batch is not None:
            self._key, self._batch = work.key, work.batch
        assert self._key == work.key and self._batch is not None, "another batch has come in between"
        self._batch = self._batch.with_columns(**work.columns).with_scalars(**work.scalars)

    def micro_batch(self, indices: Sequence[int]) -> Batch:
        """These sequences; without any the shortest, to have something to run."""
        assert self._batch is not None
        return self._batch.select(indices or [int(np.argmin(self._batch.lengths))])
