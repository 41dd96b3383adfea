"""Prompts whose reward and KL rise together are drawn less: what a policy gains there it may gain from the judge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from rl.experience.experience import Experience
from rl.experience.selection.sum_tree import Floats, Indices
from rl.experience.selection.weighted_source import WeightedSource, require
from verifiers.errors import BadInput


@dataclass(eq=False)
class ThinningSource(WeightedSource):
    """Evenly of all prompts, those that are thinned out with the weight ``thinned_to``.

    A prompt is thinned out when from one time it was drawn to the next its mean reward rose by at least
    ``min_reward_rise`` and the KL of its responses to the reference, in nats a token, by at least ``min_kl_rise``, and
    that ``num_rises`` times in a row (Seed1.5-VL, 2505.07062, section 4.2: reward and KL that rise fast together). The
    first time that it does not, it is back.

    Raises: BadInput where the recipe asks no reference, so that no KL is known.
    """

    _: KW_ONLY
    min_reward_rise: float = 0.02
    min_kl_rise: float = 0.005
    num_rises: int = 2
    thinned_to: float = 0.25

    def __post_init__(self) -> None:
        require("num_rises", self.num_rises, self.num_rises >= 1, "at least 1")
        require("thinned_to", self.thinned_to, 0 < self.thinned_to <= 1, "above 0 and at most 1")
        loss = self.config.loss
        if not (loss.kl_coef_general or loss.kl_coef_verifiable):
            raise BadInput(
                "rl.prompt_source=thin goes by the KL to the reference, which this recipe does not ask: set "
                "rl.loss.kl_coef_general or rl.loss.kl_coef_verifiable above 0"
            )
        num = len(self.prompts)
        self._reward, self._kl = np.full(num, np.nan), np.full(num, np.nan)  # as drawn last
        self._rises = np.zeros(num, np.int64)
        self._now: dict[str, float] = {}  # mean rewards of the step whose KL is still to come
        super().__post_init__()

    def weights_of(self, indices: Indices) -> Floats:
        return np.where(self._rises[indices] >= self.num_rises, self.thinned_to, 1.0)

    def observe(self, experience: Experience) -> None:
        super().observe(experience)
        rewards: dict[str, list[float]] = defaultdict(list)
        for one in experience.counted:
            if one.reward.value is not None:
                rewards[one.prompt.prompt_id].append(one.reward.value)
        self._now = {name: sum(values) / len(values) for name, values in rewards.items()}

    def observe_kl(self, kl: Mapping[str, float]) -> None:
        known = [name for name in kl if name in self._now and name in self._index]
        indices = self._indices(known)
        reward, kls = np.array([self._now[name] for name in known]), np.array([kl[name] for name in known])
        rose = (reward - self._reward[indices] >= self.min_reward_rise) & (
            kls - self._kl[indices] >= self.min_kl_rise
        )  # not where it is the first time: NaN
        self._rises[indices] = np.where(rose, self._rises[indices] + 1, 0)
        self._reward[indices], self._kl[indices] = reward, kls
        self.reweigh(indices)

    def state(self) -> dict[str, Any]:
        seen = np.flatnonzero(~np.isnan(self._kl))
        columns = {"reward": self._reward, "kl": self._kl, "rises": self._rises}
        last = {name: column[seen].tolist() for name, column in columns.items()}
        return {**super().state(), "last": {"seen": seen.tolist(), **last}}

    def restore(self, state: Mapping[str, Any]) -> None:
        last = state["last"]
        for column, unseen in ((self._reward, np.nan), (self._kl, np.nan), (self._rises, 0)):
            column.fill(unseen)
        seen = np.array(last["seen"], np.int64)
        self._reward[seen], self._kl[seen], self._rises[seen] = last["reward"], last["kl"], last["rises"]
        super().restore(state)

    def __str__(self) -> str:
        return f"thinned out to {self.thinned_to:g} where reward and KL rise together"
