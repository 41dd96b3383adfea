"""What is believed of each prompt's pass rate while a policy learns: weighed counts that forget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl.experience.selection.sum_tree import Floats, Indices
from sampler.store.belief import Belief


class PassRates:
    """Right and wrong samples of N prompts. A prompt's older ones count half with every ``half_life`` policy versions
    that passed until it was tried again: what was seen is weighed against what is seen, never against nothing."""

    def __init__(self, num_prompts: int, half_life: float) -> None:
        self.half_life = half_life
        self.right, self.wrong = np.zeros(num_prompts), np.zeros(num_prompts)
        self.version = np.zeros(num_prompts, np.int64)  # the policy that tried it last

    def add(self, indices: Indices, right: Floats, wrong: Floats, version: int) -> None:
        """Samples [M] of the prompts at ``indices`` [M], each named once, by the policy of ``version``."""
        faded = 0.5 ** (np.maximum(0, version - self.version[indices]) / self.half_life)
        self.right[indices] = faded * self.right[indices] + right
        self.wrong[indices] = faded * self.wrong[indices] + wrong
        self.version[indices] = version

    def of(self, indices: Indices) -> Belief:
        return Belief(self.right[indices], self.wrong[indices])

    def state(self) -> dict[str, Any]:
        """Plain JSON, of the prompts that were tried."""
        tried = np.flatnonzero(self.right + self.wrong > 0)
        return {
            "tried": tried.tolist(),
            "right": self.right[tried].tolist(),
            "wrong": self.wrong[tried].tolist(),
            "version": self.version[tried].tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """As it was when ``state`` was taken, to the last bit."""
        for column in (self.right, self.wrong, self.version):
            column.fill(0)
        tried = np.array(state["tried"], np.int64)
        self.right[tried], self.wrong[tried] = state["right"], state["wrong"]
        self.version[tried] = state["version"]
