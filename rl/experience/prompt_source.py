"""Which prompts come next: a source draws them, observes what became of them, and can go on after a kill."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from rl.data.epochs import epochs_of
from rl.experience.experience import Experience
from rl.recipe.rl_config import RlConfig
from sampler.data.data_builder import checked_options, named_function
from sampler.prompt import Prompt
from verifiers.errors import BadInput, near_name

UNIFORM = "uniform"
# By the name that a recipe may give instead of a path. They stand in a room above this one.
SOURCES = {
    "band": "rl.experience.selection.band_source:BandSource",
    "posterior": "rl.experience.selection.posterior_source:PosteriorSource",
    "retire": "rl.experience.selection.retiring_source:RetiringSource",
    "thin": "rl.experience.selection.thinning_source:ThinningSource",
}


class Past(Protocol):
    """What was seen of prompts before a stage begins, in stages and runs that are over."""

    @property
    def right_score(self) -> float:
        """From which score a response is right."""

    @property
    def policy_version(self) -> int:
        """Of the policy that the stage begins with."""

    def evidence(self, half_life: float, runs: Sequence[str]) -> Mapping[str, tuple[float, float]]:
        """By prompt id the right and the wrong samples, older ones weighed less; ``runs`` are counted in too."""


class PromptSource(ABC):
    """Prompts in an order that depends on a seed and on what was observed, never on the clock."""

    @abstractmethod
    def draw(self, num: int, *, without: Collection[str] = ()) -> list[Prompt] | None:
        """The prompts of the next step, ``num`` of them or what the source counts instead, each once; None at the end.

        With ``without``, the ids of those that this step has tried: a refill of ``num`` others, empty where all are
        tried.
        """

    def recall(self, past: Past) -> None:  # noqa: B027  a source may have no memory
        """What is known before the first draw; a source that is restored afterwards has it in its state."""

    def observe(self, experience: Experience) -> None:  # noqa: B027  a source may be blind
        """What became of the prompts, in the order of the steps."""

    def observe_kl(self, kl: Mapping[str, float]) -> None:  # noqa: B027
        """By prompt id the mean KL of its responses to the reference in nats a token, of those prompts of which it was
        asked; after ``observe`` of the same step."""

    def state(self) -> dict[str, Any]:
        """Plain JSON: what ``restore`` needs in order to go on."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Go on where ``state`` was taken, in a source made with the same arguments."""


def prompt_source_of(prompts: Sequence[Prompt], config: RlConfig, *, seed: str) -> PromptSource:
    """The recipe's own, called as `function(prompts, config, seed=..., **options)`, else a `UniformSource`.

    Raises: BadInput where it is not there, has no such option, or does not take these prompts."""
    named = _named_source(config, seed)
    if named is None:
        return UniformSource.of(prompts, config, seed=seed)
    function, options = named
    source = function(prompts, config, **options)
    if not isinstance(source, PromptSource):
        raise BadInput(
            f"rl.prompt_source {config.prompt_source!r} makes a {type(source).__name__}, no PromptSource"
        )
    return source


def check_source(config: RlConfig) -> None:
    """As far as the recipe alone tells. Raises: BadInput as ``prompt_source_of``."""
    named = _named_source(config, "")
    if named is not None and config.prompt_source in SOURCES:
        function, options = named
        function((), config, **options)


def _named_source(config: RlConfig, seed: str) -> tuple[Callable[..., Any], dict[str, Any]] | None:
    """What the recipe names, and the checked keyword arguments; None for epochs in a seeded order."""
    name, options = config.prompt_source, config.prompt_source_options
    if name in (None, UNIFORM):
        if options:
            raise BadInput(
                "rl.prompt_source_options: epochs in a seeded order have none; set rl.prompt_source to one of "
                f"{', '.join(SOURCES)}"
            )
        return None
    if ":" not in name and name not in SOURCES:
        known = [UNIFORM, *SOURCES]
        raise BadInput(
            f"rl.prompt_source {name!r} is none of {', '.join(known)}, and not of the form package.module:Class"
            f"{near_name(name, known)}"
        )
    function = named_function("rl.prompt_source", SOURCES.get(name, name))
    given = {"seed": seed, **options}
    return function, checked_options(function, given, key="rl.prompt_source", path=name)


def told_source(config: RlConfig) -> str:
    """The recipe's prompt source in words, for a plan; nothing where it is the usual one."""
    if config.prompt_source in (None, UNIFORM):
        return ""
    options = ", ".join(f"{name}={value}" for name, value in config.prompt_source_options.items())
    return f"{config.prompt_source} ({options})" if options else str(config.prompt_source)


class FixedSource(PromptSource):
    """One list, drawn whole, once."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self._prompts: list[Prompt] | None = list(prompts)

    def draw(self, num: int, *, without: Collection[str] = ()) -> list[Prompt] | None:
        drawn, self._prompts = self._prompts, None
        return drawn


class UniformSource(PromptSource):
    """Epochs without end in a seeded order. A draw is full when its prompts' costs reach what was asked for.

    A refill has an order of its own, which depends on the step: it moves no prompt of a later step.
    """

    def __str__(self) -> str:
        return "epochs in a seeded order"

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
