"""What the controller hands to a trainer rank: how to build it, and its part of the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rl.data.batch import Batch, StepCounts
from rl.recipe.trainer_config import ModelConfig, TrainerConfig
from sampler.vision_input import VisionInput


@dataclass(frozen=True)
class TrainerSetup:
    """What a rank needs to build its engine."""

    model_path: str
    model: ModelConfig
    trainer: TrainerConfig
    log_dir: str
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class RankStep:
    """A rank's micro-batches of an optimizer step (an empty one is None), the whole step's counts, its rate."""

    micro_batches: Sequence[Batch | None]
    counts: StepCounts
    rate: float = 0.0


@dataclass(frozen=True, eq=False)
class RankWork:
    """A rank's part of some optimizer steps; ``vision_inputs`` are those of all of them, once per prompt."""

    steps: Sequence[RankStep]
    vision_inputs: Mapping[str, tuple[VisionInput, ...]] = field(default_factory=dict)
    filler: Batch | None = None
