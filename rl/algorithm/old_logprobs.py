"""Whose log-probabilities are those of the policy before its update, and on which rollouts that is checked."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from rl.recipe.rl_config import RlConfig

Source = Literal["trainer", "update", "sampler"]

CHECKED_EVERY = 8  # of so many rollouts one shows, step by step, that sampler and trainer agree
SAME = 1e-4  # nats: float32 rounds a log-probability by at most 4e-5


def old_logprobs_source(config: RlConfig, *, in_float32: bool) -> Source:
    """trainer: a pass of its own before the update. update: the update's own forward pass, since with one mini-batch
    no weight has moved before it. sampler: those with which the tokens were drawn.

    ``in_float32``: sampler and trainer both. A KL in the reward is of the old policy and comes before the update.

    >>> old_logprobs_source(RlConfig(num_mini_batches=4), in_float32=True)
    'sampler'
    """
    if config.old_log_probs != "auto":
        return "sampler" if config.old_log_probs == "sampler" else "trainer"
    if config.num_mini_batches == 1 and config.loss.kl_in == "loss":
        return "update"
    comparable = config.top_p == 1.0 and config.loss.importance == "none"
    return "sampler" if in_float32 and comparable else "trainer"


def checked_rollouts(num_rollouts: int, step: int) -> npt.NDArray[np.bool_]:
    """[n]: every eighth rollout, beginning with another one each step; whatever its reward is, so that figures of
    these are figures of all."""
    checked = np.zeros(num_rollouts, bool)
    checked[step % min(CHECKED_EVERY, num_rollouts) :: CHECKED_EVERY] = True
    return checked
