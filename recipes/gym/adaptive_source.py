"""Prompts as hard as the policy can bear: the difficulty of each question type follows its pass rate."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from statistics import mean
from typing import Any

from rl.experience.experience import Experience
from rl.experience.prompt_source import PromptSource
from rl.recipe.rl_config import RlConfig
from sampler.prompt import Prompt
from verifiers.errors import BadInput

TARGET = 0.5  # where a group of rollouts says most: the variance of its rewards is largest
GAIN = 0.2  # of the level a step, times how far the pass rate is from the target
WINDOW = 0.2  # of a type's prompts, drawn from around the level
LEAST_WINDOW = 8  # prompts


class AdaptiveSource(PromptSource):
    """Question types in turn; of each, prompts whose difficulty is around the type's level.

    A prompt's type is its first tag, its difficulty a number in its second. The level is a share of the type's prompts
    in order of difficulty: it starts at 0, the easiest, and each step moves it by ``GAIN * (pass rate - TARGET)``;
    the pass rate is the mean reward of the type's rollouts of that step. What is drawn depends on ``seed``, the step
    and the levels; these are the state.

    Raises: BadInput for a prompt without a difficulty.
    """

    def __init__(self, prompts: Sequence[Prompt], config: RlConfig, *, seed: str) -> None:
        self._prompts, self._config, self._seed = prompts, config, seed
        ranked: dict[str, list[tuple[float, int]]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            ranked[prompt.question_type].append((difficulty_of(prompt), index))
        self._ranked = {name: [index for _, index in sorted(ranked[name])] for name in sorted(ranked)}
        self.levels = dict.fromkeys(self._ranked, 0.0)
        self._num_draws = self._num_refills = 0

    def draw(self, num: int, *, without: Collection[str] = ()) -> list[Prompt]:
        """Question types in turn, of each a prompt near its level; a refill has its step's own random numbers."""
        if without:
            rng = random.Random(f"{self._seed} step {self._num_draws - 1} refill {self._num_refills}")
            self._num_refills += 1
        else:
            rng = random.Random(f"{self._seed} step {self._num_draws}")
            self._num_draws, self._num_refills = self._num_draws + 1, 0
        names = rng.sample(list(self._ranked), len(self._ranked))
        drawn: dict[str, Prompt] = {}
        total = turn = 0
        while total < num and names:
            name = names[turn % len(names)]
            prompt = self._near_level(name, rng, {*without, *drawn})
            if prompt is None:
                names.remove(name)
                continue
            drawn[prompt.prompt_id] = prompt
            by_rollouts = self._config.rollouts_per_step is not None and not without
            total += self._config.num_samples_of(prompt.kind) if by_rollouts else 1
            turn += 1
        return list(drawn.values())

    def _near_level(self, name: str, rng: random.Random, tried: Collection[str]) -> Prompt | None:
        """One of the type's prompts in the window, else the nearest beyond it; None where all are tried."""
        ranked = self._ranked[name]
        size = min(len(ranked), max(LEAST_WINDOW, round(WINDOW * len(ranked))))
        start = round(self.levels[name] * (len(ranked) - size))
        window = rng.sample(range(start, start + size), size)
        beyond = (rank for step in range(len(ranked)) for rank in (start - 1 - step, start + size + step))
        found = (self._prompts[ranked[rank]] for rank in chain(window, beyond) if 0 <= rank < len(ranked))
        return next((prompt for prompt in found if prompt.prompt_id not in tried), None)

    def observe(self, experience: Experience) -> None:
        rewards: dict[str, list[float]] = defaultdict(list)
        for one in experience.rollouts:
            if one.reward.value is not None:
                rewards[one.prompt.question_type].append(one.reward.value)
        for name, values in rewards.items():
            level = self.levels[name] + GAIN * (mean(values) - TARGET)
            self.levels[name] = min(1.0, max(0.0, level))

    def state(self) -> dict[str, Any]:
        return {"num_draws": self._num_draws, "levels": dict(self.levels)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._num_draws, self.levels = state["num_draws"], dict(state["levels"])


def difficulty_of(prompt: Prompt) -> float:
    """Raises: BadInput."""
    try:
        return float(prompt.tags[1])
    except (IndexError, ValueError):
        raise BadInput(
            f"prompt {prompt.prompt_id} has the tags {list(prompt.tags)}: an adaptive prompt source needs the question "
            "type and then a difficulty, such as ['clock', '0.40']"
        ) from None
