"""Prompts drawn by a weight that depends on what is known of each; a small share looks again at those of no weight."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from rl.experience.experience import Experience
from rl.experience.prompt_source import Past, PromptSource
from rl.experience.selection.pass_rates import PassRates
from rl.experience.selection.sum_tree import Floats, Indices, SumTree
from rl.experience.selection.turns import Turns
from rl.recipe.rl_config import RlConfig
from rl.run.run_record import RunRecord
from sampler.prompt import Prompt
from sampler.store.belief import HALF_LIFE
from verifiers.errors import BadInput


@dataclass(eq=False)
class WeightedSource(PromptSource):
    """Each step's prompts are drawn in proportion to their weights, none twice in a step, and in turn: what has come as
    often as its weight is worth waits for the others (`Turns`).

    ``weights_of`` is the rule. A prompt of weight 0 is set aside: ``review_frac`` of the draws are of those, evenly, so
    that one set aside by chance, or forgotten since, comes back. What is drawn depends on ``seed``, the step, and what
    was observed; a draw takes O(log N) for each prompt. A refill is drawn alike, without what the step has tried.

    ``half_life`` is in policy versions. ``runs`` are directories of earlier runs whose counts are begun from, beside
    those of this run's earlier stages.

    Raises: BadInput for a share or a half-life out of range, and where one of ``runs`` is no run.
    """

    prompts: Sequence[Prompt]
    config: RlConfig
    _: KW_ONLY
    seed: str
    half_life: float = HALF_LIFE
    review_frac: float = 0.02
    runs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require("review_frac", self.review_frac, 0 <= self.review_frac < 1, "at least 0 and below 1")
        require("half_life", self.half_life, self.half_life > 0, "above 0")
        for run in self.runs:
            RunRecord.open(run)
        self._index = {prompt.prompt_id: index for index, prompt in enumerate(self.prompts)}
        self._right_score = 0.5
        self.rates = PassRates(len(self.prompts), self.half_life)
        self._num_draws = self._num_refills = 0
        self._turns = Turns(np.zeros(len(self.prompts)), self.seed)
        self.reweigh_all()

    @abstractmethod
    def weights_of(self, indices: Indices) -> Floats:
        """The weights [M], 0 or more, of the prompts at ``indices`` [M], by what is known now."""

    def recall(self, past: Past) -> None:
        self._right_score = past.right_score
        known = past.evidence(self.rates.half_life, self.runs)
        found = [(self._index[name], *counts) for name, counts in known.items() if name in self._index]
        if found:
            indices, right, wrong = (np.array(column) for column in zip(*found, strict=True))
            self.rates.add(indices, right, wrong, past.policy_version)
            self.reweigh_all()

    def draw(self, num: int, *, without: Collection[str] = ()) -> list[Prompt]:
        """By the weights, without those of ``without``; each draw from a generator of its own step, so that a restored
        source draws alike. ``num`` counts rollouts where the recipe has ``rollouts_per_step``, and prompts in a
        refill."""
        if without:
            rng = self._rng(f"step {self._num_draws - 1} refill {self._num_refills}")
            self._num_refills += 1
        else:
            rng = self._rng(f"step {self._num_draws}")
            self._num_draws, self._num_refills = self._num_draws + 1, 0
        by_rollouts = self.config.rollouts_per_step is not None and not without
        most = max(self.config.samples_per_prompt, self.config.samples_per_general_prompt)
        drawn = list[Prompt]()
        tried = self._indices(without)
        total = 0
        while total < num:
            found = self._picked(-(-(num - total) // most) if by_rollouts else num - total, tried, rng)
            if not len(found):
                break
            tried = np.concatenate([tried, found])
            prompts = [self.prompts[index] for index in found]
            total += sum(self.config.num_samples_of(one.kind) if by_rollouts else 1 for one in prompts)
            drawn += prompts
        return drawn

    def _picked(self, num: int, tried: Indices, rng: np.random.Generator) -> Indices:
        """At most ``num`` of those not yet tried: the share of reviews by chance, the rest by weight; where one of both
        has not enough, more of the other."""
        num_reviews = int((rng.random(num) < self.review_frac).sum())
        with self._aside.without(tried):
            reviews = self._aside.sample(num_reviews, rng)
            active = self._turns.sample(num - len(reviews), tried, rng)
            with self._aside.without(reviews):
                more = self._aside.sample(num - len(reviews) - len(active), rng)
        return np.concatenate([active, reviews, more])

    def observe(self, experience: Experience) -> None:
        worths: dict[str, list[float]] = defaultdict(list)
        for one in experience.counted:
            worth = one.worth(self._right_score)
            if worth is not None and one.prompt.prompt_id in self._index:
                worths[one.prompt.prompt_id].append(worth)
        if worths:
            indices = self._indices(worths)
            right = np.array([sum(values) for values in worths.values()])
            num = np.array([len(values) for values in worths.values()])
            self.rates.add(indices, right, num - right, experience.policy_versions[1])
            self.reweigh(indices)

    def reweigh(self, indices: Indices) -> None:
        """Once something new is known of the prompts at ``indices``."""
        weights = self.weights_of(indices)
        self._turns.set(indices, weights)
        self._aside.set(indices, (weights == 0).astype(np.float64))

    def reweigh_all(self) -> None:
        """Once something new is known of every prompt; O(N)."""
        weights = self.weights_of(np.arange(len(self.prompts)))
        self._turns.weigh_all(weights)
        self._aside = SumTree((weights == 0).astype(np.float64))

    def state(self) -> dict[str, Any]:
        return {"num_draws": self._num_draws, "rates": self.rates.state(), "turns": self._turns.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._num_draws = state["num_draws"]
        self.rates.restore(state["rates"])
        self.reweigh_all()
        self._turns.restore(state["turns"])

    def _indices(self, prompt_ids: Iterable[str]) -> Indices:
        return np.array([self._index[name] for name in prompt_ids], np.int64)

    def _rng(self, of: str) -> np.random.Generator:
        return np.random.default_rng(list(f"{self.seed} {of}".encode()))


def require(name: str, value: object, holds: bool, what: str) -> None:
    if not holds:
        raise BadInput(f"rl.prompt_source_options.{name} is {what}, got {value}")
