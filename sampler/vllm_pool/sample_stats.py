"""What one `SamplerPool.sample` call did, counted as its groups are handed over."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields

from sampler.rollout import DroppedPrompt, RolloutGroup


@dataclass(frozen=True)
class SampleStats:
    """`seconds` runs until the last group was handed over, the caller's work between groups included."""

    num_groups: int
    num_rollouts: int
    response_tokens: int
    prompt_tokens: int
    seconds: float
    num_restarts: int
    dropped: tuple[DroppedPrompt, ...]

    @property
    def response_tokens_per_s(self) -> float:
        """0 before any time has passed."""
        return self.response_tokens / self.seconds if self.seconds > 0 else 0.0

    def joined(self, later: SampleStats) -> SampleStats:
        """Of this call and one after it."""
        return SampleStats(*(getattr(self, one.name) + getattr(later, one.name) for one in fields(self)))


@dataclass
class SampleTally:
    """Running totals of a call that is under way."""

    began: float = field(default_factory=time.perf_counter)
    ended: float | None = None
    num_groups: int = 0
    num_rollouts: int = 0
    response_tokens: int = 0
    prompt_tokens: int = 0
    num_restarts: int = 0
    dropped: list[DroppedPrompt] = field(default_factory=list)

    def count(self, group: RolloutGroup) -> None:
        """Add a finished group; the clock stops at the last one."""
        self.ended = time.perf_counter()
        self.num_groups += 1
        self.num_rollouts += len(group.rollouts)
        self.response_tokens += sum(rollout.num_response_tokens for rollout in group.rollouts)
        self.prompt_tokens += len(group.rollouts[0].prompt_token_ids)

    def stats(self) -> SampleStats:
        """The totals so far."""
        return SampleStats(
            num_groups=self.num_groups,
            num_rollouts=self.num_rollouts,
            response_tokens=self.response_tokens,
            prompt_tokens=self.prompt_tokens,
            seconds=(self.ended or time.perf_counter()) - self.began,
            num_restarts=self.num_restarts,
            dropped=tuple(self.dropped),
        )
