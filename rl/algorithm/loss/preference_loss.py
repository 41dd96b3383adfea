"""The Bradley-Terry model of preferences: how likely one score beats another, and what a score should have been.

P(better wins) = sigmoid(s_better - s_worse) (Bradley & Terry, Biometrika 39, 1952), learnt by its negative
log-likelihood, the mean over an optimizer step's pairs (Ouyang et al., 2203.02155, equation 1).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rl.data.token_sequence import Floats, Ints


def preference_loss(scores: Floats, pairs: Ints) -> float:
    """Mean of -log sigmoid(s_better - s_worse). scores: [n]; pairs: [m, 2] places of the better and the worse."""
    return float(np.mean(np.logaddexp(0.0, -_margins(scores, pairs))))


def score_gradients(scores: Floats, pairs: Ints) -> Floats:
    """d ``preference_loss`` / d score, [n]. A score that stands in several pairs gathers them all.

    They make a loss that is linear in the scores, sum of gradient x score, with the same gradient for every weight
    as long as the weights are those that gave ``scores``: and a sum may be cut anywhere, which pairs may not.
    """
    from scipy.special import expit

    pull = expit(-_margins(scores, pairs)) / len(pairs)  # probability given to the wrong order
    gradients = np.zeros(len(scores))
    np.add.at(gradients, pairs[:, 0], -pull)
    np.add.at(gradients, pairs[:, 1], pull)
    return gradients.astype(np.float32)


def right_frac(scores: Floats, pairs: Ints) -> float:
    """How many pairs the scores order rightly; a tie counts half."""
    margins = _margins(scores, pairs)
    return float(np.mean((margins > 0) + 0.5 * (margins == 0)))


def _margins(scores: Floats, pairs: Ints) -> npt.NDArray[np.float64]:
    wide = scores.astype(np.float64)
    return wide[pairs[:, 0]] - wide[pairs[:, 1]]
