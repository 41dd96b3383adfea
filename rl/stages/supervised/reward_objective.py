"""What a reward model learns from its pairs and how it takes a step: all in which the two kinds differ in training."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from reward_models.answer_comparison import AnswerComparison
from rl.algorithm.loss.losses import LINEAR_LOSS, SFT_LOSS, LossSpec
from rl.algorithm.loss.preference_loss import preference_loss, right_frac, score_gradients
from rl.data.batch import Batch
from rl.data.epochs import epochs_of
from rl.data.preference_pairs import AnswerPairs, comparison_rows
from rl.data.prompt_encoder import PromptEncoder
from rl.data.sft_batches import sft_sequences
from rl.data.token_sequence import Ints, TokenSequence
from rl.recipe.judging_config import RewardModelKind
from rl.trainer.export import export_critic, export_policy
from sampler.data.sft_row import SftRow
from verifiers.counted import counted
from verifiers.errors import BadInput

if TYPE_CHECKING:
    from rl.trainer.trainer import Trainer


SCALAR_METRICS = ("pair_accuracy_frac", "score_mean", "score_std")  # of a step, beside loss and gradient norm


class RewardObjective(Protocol):
    """``num_items``: what an epoch goes through and a batch is made of; ``num_dropped``: those that were too long."""

    @property
    def num_items(self) -> int: ...

    @property
    def num_dropped(self) -> int: ...

    def begin(self, trainer: Trainer, base: Path) -> None:
        """Make the trainer ready, which holds the policy at ``base``."""

    def draws(self, seed: str) -> Iterator[Any]:
        """Items without end, epoch after epoch, in an order that depends on the seed alone."""

    def steps(
        self, trainer: Trainer, batches: Sequence[Sequence[Any]], rates: Sequence[float]
    ) -> list[dict[str, float]]:
        """One optimizer step a batch of items. Returns each step's metrics."""

    def export(self, trainer: Trainer, base: Path, target: Path) -> None:
        """Leave the model at ``target``, ready to be served."""


def reward_objective(
    kind: RewardModelKind,
    pairs: Sequence[AnswerComparison],
    encoder: PromptEncoder,
    *,
    max_tokens: int,
    rows: Sequence[SftRow] = (),
) -> RewardObjective:
    """From pairs whose first answer is the better one, or of a rubric from ``rows``, its questions with the right
    replies. Raises: BadInput where there are none, or all are longer than ``max_tokens``."""
    objective: RewardObjective
    if kind == "scalar":
        objective = ScalarObjective.of(pairs, encoder, max_tokens=max_tokens)
    else:
        asked = rows if kind == "rubric" else comparison_rows(pairs)
        objective = PairwiseObjective(*sft_sequences(asked, encoder, max_tokens=max_tokens))
    if kind == "rubric" and not rows:
        raise BadInput(
            "no answer of the preferences says what it meets: a rubric learns from their column `met`"
        )
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

    sequences: Sequence[TokenSequence]
    num_dropped: int

    @property
    def num_items(self) -> int:
        return len(self.sequences)

    def begin(self, trainer: Trainer, base: Path) -> None:
        trainer.drop_critic()

    def draws(self, seed: str) -> Iterator[TokenSequence]:
        return (self.sequences[index] for index in epochs_of(len(self.sequences), seed=seed))

    def steps(
        self, trainer: Trainer, batches: Sequence[Sequence[TokenSequence]], rates: Sequence[float]
    ) -> list[dict[str, float]]:
        return trainer.update([Batch.of(batch) for batch in batches], rates, LossSpec(SFT_LOSS))

    def export(self, trainer: Trainer, base: Path, target: Path) -> None:
        export_policy(trainer, base, target)


class ScalarObjective(AnswerPairs):
    """The Bradley-Terry likelihood; items are pairs, those of one prompt together, so that an answer is read once for
    all of them (Ouyang et al., 2203.02155, section 3.5). It trains the trainer's critic; the policy stays."""

    @property
    def num_items(self) -> int:
        return self.num_pairs

    def begin(self, trainer: Trainer, base: Path) -> None:
        trainer.load_critic(base)

    def draws(self, seed: str) -> Iterator[tuple[int, int]]:
        for index in epochs_of(len(self.lists), seed=seed):
            yield from self.lists[index]

    def steps(
        self, trainer: Trainer, batches: Sequence[Sequence[tuple[int, int]]], rates: Sequence[float]
    ) -> list[dict[str, float]]:
        return [
            preference_step(trainer, *self.batch(batch), rate)
            for batch, rate in zip(batches, rates, strict=True)
        ]

    def export(self, trainer: Trainer, base: Path, target: Path) -> None:
        export_critic(trainer, base, target)


def preference_step(trainer: Trainer, batch: Batch, pairs: Ints, rate: float) -> dict[str, float]:
    """A step on the Bradley-Terry loss of ``pairs`` [m, 2], indices into ``batch``, whose sequences have one token each
    to learn from (see ``answer_sequence``). Returns the step's metrics.

    In two passes, for a pair may be cut apart: the trainer deals sequences out to micro-batches and ranks as they fit.
    The first finds the scores, from which the loss's gradient by each score is known; the second has the sum of
    gradient x score as its loss, with the same weights, so its gradient is that of the Bradley-Terry loss.
    """
    started = time.perf_counter()
    held = trainer.hold(batch)
    scores = held.values()
    assert len(scores) == len(batch), "one score a sequence"
    coefficients = score_gradients(scores, pairs)
    (metrics,) = held.update(batch.with_columns(coefficients=coefficients), [rate], LossSpec(LINEAR_LOSS))
    return {
        **metrics,
        "loss": preference_loss(scores, pairs),
        "pair_accuracy_frac": right_frac(scores, pairs),
        "score_mean": float(scores.mean()),
        "score_std": float(scores.std()),
        "seconds": time.perf_counter() - started,
    }
