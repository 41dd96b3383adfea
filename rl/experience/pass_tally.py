"""Counts of right and wrong samples, prompt by prompt, as passes over a prompt set add to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rl.experience.judge import JudgedRollout
from sampler.prompt import Prompt
from sampler.store.belief import Belief, standing_of
from sampler.store.prompt_store import EVEN
from sampler.store.stopping_rule import StoppingRule

Places = npt.NDArray[np.int64]


class PassTally:
    """Of P prompts how many of their samples were right, wrong or not judged; a tie of a reward model is half right."""

    COLUMNS: ClassVar = ["prompt_id", "verifier", "reward"]  # of a rollout log

    def __init__(self, prompts: Sequence[Prompt], pass_score: float) -> None:
        self.prompts = prompts
        self.pass_score = pass_score
        num = len(prompts)
        self._place = {prompt.prompt_id: place for place, prompt in enumerate(prompts)}
        self.right, self.wrong, self.unjudged = (np.zeros(num) for _ in range(3))
        self.reward_sum, self.reward_max = np.zeros(num), np.full(num, -np.inf)
        self.dropped = np.zeros(num, bool)  # by the sampler: too long

    @property
    def num_drawn(self) -> Places:
        """Samples of each prompt [P]."""
        return (self.right + self.wrong + self.unjudged).round().astype(np.int64)

    @property
    def num_rollouts(self) -> int:
        return int(self.num_drawn.sum())

    @property
    def num_unjudged(self) -> int:
        return int(self.unjudged.sum())

    @property
    def num_dropped(self) -> int:
        return int(self.dropped.sum())

    def count(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Of a shard that an earlier process has logged, its ``COLUMNS``."""
        for row in rows:
            self._add(row["prompt_id"], row["verifier"], row["reward"])

    def count_judged(self, judged: Iterable[JudgedRollout]) -> None:
        """Of samples that were just judged."""
        for one in judged:
            self._add(one.prompt.prompt_id, one.prompt.verifier, one.reward.value)

    def _add(self, prompt_id: str, verifier: str | None, reward: float | None) -> None:
        place = self._place[prompt_id]
        if reward is None:
            self.unjudged[place] += 1
            return
        if verifier is None:
            worth = 0.5 if abs(reward - 0.5) <= EVEN else float(reward > 0.5)
        else:
            worth = float(reward >= self.pass_score)
        self.right[place] += worth
        self.wrong[place] += 1 - worth
        self.reward_sum[place] += reward
        self.reward_max[place] = max(self.reward_max[place], reward)

    def drop_unseen(self, places: Sequence[int]) -> None:
        """Prompts of a shard that have no sample: the sampler has left them out, and would again."""
        asked = np.asarray(places)
        self.dropped[asked[self.num_drawn[asked] == 0]] = True

    def undecided(self, rule: StoppingRule) -> Places:
        """Places of the prompts that need more samples."""
        left = rule.num_samples - self.num_drawn
        decisions = rule.decide(self.right, self.wrong, left)
        return np.flatnonzero((decisions == "undecided") & (left > 0) & ~self.dropped)

    def num_settled(self, rule: StoppingRule, going: Places) -> int:
        """Samples that are drawn or not needed, where the prompts ``going`` may need all."""
        num_drawn = self.num_drawn
        return rule.num_samples * (len(num_drawn) - len(going)) + int(num_drawn[going].sum())

    def table(self, rule: StoppingRule) -> pa.Table:
        """One row a prompt: counts, the belief of its pass rate, its decision, the best reward minus the mean."""
        belief, num_judged = Belief(self.right, self.wrong), self.right + self.wrong
        decisions = rule.decide(self.right, self.wrong, rule.num_samples - self.num_drawn)
        (low, high), judged = belief.interval(), num_judged > 0
        spread = np.where(judged, self.reward_max - self.reward_sum / np.maximum(1, num_judged), np.nan)
        return pa.table(
            {
                "prompt_id": [prompt.prompt_id for prompt in self.prompts],
                "question_type": [prompt.question_type for prompt in self.prompts],
                "n": num_judged.round().astype(np.int64),
                "num_right": self.right,
                "unjudged": self.unjudged.astype(np.int64),
                "mean": belief.mean,
                "low": low,
                "high": high,
                "decision": pa.array(decisions.astype(object), pa.string()),
                "standing": pa.array(standing_of(low, high).astype(object), pa.string()),
                "spread": pa.array(spread, mask=~judged),
                "dropped": self.dropped,
            }
        )
