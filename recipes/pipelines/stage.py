"""What every stage of a pipeline is: prompts in; those it keeps, and a reason for every other one, out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from rl.recipe.profile_config import ProfileConfig
from rl.recipe.section import Section
from sampler.prompt import Prompt


@dataclass(frozen=True)
class Outcome:
    """``kept`` in order, ``dropped`` by prompt id with the reason. ``rewritten`` says by a prompt's id which one
    it became, where what is asked or expected changed; ``notes`` are lines for a person."""

    kept: Sequence[Prompt]
    dropped: Mapping[str, str] = field(default_factory=dict)
    rewritten: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def reasons(self) -> dict[str, int]:
        """How many were dropped for which reason, most first."""
        return dict(Counter(self.dropped.values()).most_common())


class Profiler(Protocol):
    """Samples the policy: of each prompt a row as `hone prompts profile` leaves it, by prompt id."""

    def __call__(
        self, prompts: Sequence[Prompt], config: ProfileConfig
    ) -> Mapping[str, Mapping[str, Any]]: ...


class PipelineStage(Section, ABC):
    """Its fields are the options that a pipeline's YAML may give."""

    samples_policy: ClassVar[bool] = False

    @abstractmethod
    def apply(self, prompts: Sequence[Prompt], profiler: Profiler) -> Outcome:
        """The same prompts give the same outcome; ``profiler`` is for those that sample."""

    @property
    def profile(self) -> ProfileConfig | None:
        """How the policy is sampled; none of a stage that does not."""
        return None

    def work(self) -> str:
        """What it does, in a few words."""
        return " ".join((type(self).__doc__ or "").split(". ")[0].split()).rstrip(".")


def sifted(prompts: Iterable[Prompt], reason_of: Callable[[Prompt], str | None]) -> Outcome:
    """Those without a reason to drop them."""
    kept, dropped = [], {}
    for prompt in prompts:
        if (reason := reason_of(prompt)) is None:
            kept.append(prompt)
        else:
            dropped[prompt.prompt_id] = reason
    return Outcome(kept, dropped)
