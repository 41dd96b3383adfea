"""One optimizer step of a scalar reward model, on the trainer's critic: scores, their gradient, then the weights'."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rl.algorithm.losses import LINEAR_LOSS, LossSpec
from rl.algorithm.preference_loss import preference_loss, right_frac, score_gradients
from rl.data.batch import Ints, TrainBatch

SCALAR_METRICS = ("pair_accuracy_frac", "score_mean", "score_std")  # of a step, beside loss and gradient norm

if TYPE_CHECKING:
    from rl.trainer.trainer import Trainer


def preference_step(trainer: Trainer, batch: TrainBatch, pairs: Ints, rate: float) -> dict[str, float]:
    """A step on the Bradley-Terry loss of ``pairs`` [m, 2], places in ``batch``, whose sequences have one response
    token each (see ``answer_sequence``). Returns the step's metrics.

    In two passes, for a pair may be cut apart: the trainer deals sequences out to micro-batches and ranks as they fit.
    The first finds the scores, from which the loss's gradient by each score is known; the second has the sum of
    gradient x score as its loss, with the same weights, so its gradient is that of the Bradley-Terry loss.
    """
    started = time.perf_counter()
    scores = trainer.values(batch)
    assert len(scores) == len(batch), "one score a sequence"
    coefficients = score_gradients(scores, pairs)
    (metrics,) = trainer.update([batch.replace(advantages=coefficients)], [rate], LossSpec(LINEAR_LOSS))
    return {
        **metrics,
        "loss": preference_loss(scores, pairs),
        "pair_accuracy_frac": right_frac(scores, pairs),
        "score_mean": float(scores.mean()),
        "score_std": float(scores.std()),
        "seconds": time.perf_counter() - started,
    }
