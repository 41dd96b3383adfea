"""Which prompts come next: a source draws them, observes what became of them, and can go on after a kill."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from rl.data.epochs import epochs_of
from rl.experience.experience import Experience
from rl.recipe.rl_config import RlConfig
from sampler.data.data_builder import named_function
from sampler.prompt import Prompt
from verifiers.errors import BadInput


class PromptSource(ABC):
    """Prompts in an order that hangs on a seed and on what was observed, never on the clock."""

    @abstractmethod
    def draw(self, num: int, *, without: Collection[str] = ()) -> list[Prompt] | None:
        """The prompts of the next step, ``num`` of them or what the source counts instead, each once; None at the end.

        With ``without``, the ids of those that this step has tried: a refill of ``num`` others, empty where all are
        tried.
        """

    def observe(self, experience: Experience) -> None:  # noqa: B027  a source may be blind
        """What became of the prompts, in the order of the steps."""

    def state(self) -> dict[str, Any]:
        """Plain JSON: what ``restore`` needs in order to go on."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Go on where ``state`` was taken, in a source made with the same arguments."""


def prompt_source_of(prompts: Sequence[Prompt], config: RlConfig, *, seed: str) -> PromptSource:
    """The recipe's own, called as `function(prompts, config, seed=...)`, else a `UniformSource`. Raises: BadInput where
    it is not there, or does not take these prompts."""
    if config.prompt_source is None:
        return UniformSource.of(prompts, config, seed=seed)
    source = named_function("rl.prompt_source", config.prompt_source)(prompts, config, seed=seed)
    if not isinstance(source, PromptSource):
        raise BadInput(
            f"rl.prompt_source {config.prompt_source!r} makes a {type(source).__name__}, no PromptSource"
        )
    return source


class FixedSource(PromptSource):
    """One list, drawn whole, once."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self._prompts: list[Prompt] | None = list(prompts)

    def draw(self, num: int, *, without: Collection[str] = ()) -> list[Prompt] | None:
        drawn, self._prompts = self._prompts, None
        return drawn


class UniformSource(PromptSource):
    """Epochs without end in a seeded order. A draw is full when its prompts' costs reach what was asked for.

    A refill has an order of its own, which hangs on the step: it moves no prompt of a later step.
    """

    def __init__(
        self, prompts: Sequence[Prompt], *, seed: str, cost: Callable[[Prompt], int] = lambda _: 1
    ) -> None:
        self._prompts = prompts
        self._seed = seed
        self._cost = cost
        self._num_draws = self._num_refills = self._num_taken = 0
        self._order = self._epochs()

    @classmethod
    def of(cls, prompts: Sequence[Prompt], config: RlConfig, *, seed: str) -> UniformSource:
        """A draw asks for prompts, or for rollouts where the recipe counts these."""
        if config.rollouts_per_step is None:
            return cls(prompts, seed=seed)
        return cls(prompts, seed=seed, cost=lambda prompt: config.num_samples_of(prompt.kind))

    def draw(self, num: int, *, without: Collection[str] = ()) -> list[Prompt]:
        if without:
            seed = f"{self._seed} step {self._num_draws - 1} refill {self._num_refills}"
            self._num_refills += 1
            return self._distinct(epochs_of(len(self._prompts), seed=seed), num, without, lambda _: 1)
        self._num_draws += 1
        self._num_refills = 0
        return self._distinct(self._order, num, (), self._cost)

    def _distinct(
        self, order: Iterator[int], num: int, without: Collection[str], cost: Callable[[Prompt], int]
    ) -> list[Prompt]:
        drawn: dict[str, Prompt] = {}
        total = 0
        while total < num and len(drawn) < len(self._prompts) - len(without):
            prompt = self._prompts[next(order)]
            # A draw that spans two epochs may meet a prompt again.
            if prompt.prompt_id not in without and prompt.prompt_id not in drawn:
                drawn[prompt.prompt_id] = prompt
                total += cost(prompt)
        return list(drawn.values())

    def state(self) -> dict[str, Any]:
        return {"num_draws": self._num_draws, "num_taken": self._num_taken}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._num_draws, self._num_taken = state["num_draws"], state["num_taken"]
        self._order = self._epochs()

    def _epochs(self) -> Iterator[int]:
        for index in epochs_of(len(self._prompts), seed=self._seed, start=self._num_taken):
            self._num_taken += 1
            yield index
