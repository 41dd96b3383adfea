"""What a reward model learns from its pairs and how it takes a step: all in which the two kinds differ in training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from reward_models.answer_comparison import Comparison
from rl.algorithm.losses import SFT_LOSS, LossSpec
from rl.data.answer_pairs import AnswerPairs
from rl.data.batch import TrainBatch, TrainSequence
from rl.data.preference_pairs import comparison_rows
from rl.data.sft_rows import PromptEncoder, epochs_of, sft_sequences
from rl.recipe.judging_config import RewardModelKind
from rl.stages.preference_step import preference_step
from rl.trainer.checkpoint import export_critic, export_policy
from verifiers.counted import counted
from verifiers.errors import BadInput

if TYPE_CHECKING:
    from rl.trainer.trainer import Trainer


class RewardObjective(Protocol):
    """``num_items``: what an epoch goes through and a batch is made of; ``num_dropped``: those that were too long."""

    @property
    def num_items(self) -> int: ...

    @property
    def num_dropped(self) -> int: ...

    def begin(self, trainer: Trainer, base: Path) -> None:
        """Make the trainer ready, which holds the policy at ``base``."""

    def draws(self, seed: str) -> Iterator[Any]:
        """Items without end, epoch after epoch, in an order that hangs on the seed alone."""

    def steps(
        self, trainer: Trainer, batches: Sequence[Sequence[Any]], rates: Sequence[float]
    ) -> list[dict[str, float]]:
        """One optimizer step a batch of items. Returns each step's metrics."""

    def export(self, trainer: Trainer, base: Path, target: Path) -> None:
        """Leave the model at ``target``, ready to be served."""


def reward_objective(
    kind: RewardModelKind, pairs: Sequence[Comparison], encoder: PromptEncoder, *, max_tokens: int
) -> RewardObjective:
    """From pairs whose first answer is the better one. Raises: BadInput where all are longer than ``max_tokens``."""
    objective: RewardObjective
    if kind == "scalar":
        objective = ScalarObjective(AnswerPairs.of(pairs, encoder, max_tokens=max_tokens))
    else:
        objective = PairwiseObjective(*sft_sequences(comparison_rows(pairs), encoder, max_tokens=max_tokens))
    if not objective.num_items:
        raise BadInput(
            f"all {counted(objective.num_dropped, 'comparison')} longer than the reward model's "
            f"sampler.max_model_len={max_tokens}: raise it"
        )
    return objective


def num_items_of(kind: RewardModelKind, num_pairs: int) -> int:
    """Items of so many pairs, before those that are too long are dropped."""
    return num_pairs if kind == "scalar" else 2 * num_pairs


@dataclass(frozen=True, eq=False)
class PairwiseObjective:
    """The likelihood of the right indicator token; items are comparisons in one of both orders. It makes a judge of
    the trainer's policy."""

    sequences: Sequence[TrainSequence]
    num_dropped: int

    @property
    def num_items(self) -> int:
        return len(self.sequences)

    def begin(self, trainer: Trainer, base: Path) -> None:
        pass

    def draws(self, seed: str) -> Iterator[TrainSequence]:
        return (self.sequences[place] for place in epochs_of(len(self.sequences), seed=seed))

    def steps(
        self, trainer: Trainer, batches: Sequence[Sequence[TrainSequence]], rates: Sequence[float]
    ) -> list[dict[str, float]]:
        return trainer.update([TrainBatch.of(batch) for batch in batches], rates, LossSpec(SFT_LOSS))

    def export(self, trainer: Trainer, base: Path, target: Path) -> None:
        export_policy(trainer, base, target)


@dataclass(frozen=True, eq=False)
class ScalarObjective:
    """The Bradley-Terry likelihood; items are pairs, those of one prompt together, so that an answer is read once for
    all of them (Ouyang et al., 2203.02155, section 3.5). It trains the trainer's critic; the policy stays."""

    pairs: AnswerPairs

    @property
    def num_items(self) -> int:
        return self.pairs.num_pairs

    @property
    def num_dropped(self) -> int:
        return self.pairs.num_dropped

    def begin(self, trainer: Trainer, base: Path) -> None:
        trainer.load_critic(base)

    def draws(self, seed: str) -> Iterator[tuple[int, int]]:
        for place in epochs_of(len(self.pairs.lists), seed=seed):
            yield from self.pairs.lists[place]

    def steps(
        self, trainer: Trainer, batches: Sequence[Sequence[tuple[int, int]]], rates: Sequence[float]
    ) -> list[dict[str, float]]:
        return [
            preference_step(trainer, *self.pairs.batch(batch), rate)
            for batch, rate in zip(batches, rates, strict=True)
        ]

    def export(self, trainer: Trainer, base: Path, target: Path) -> None:
        export_critic(trainer, base, target)
