"""What one `SamplerPool.sample` call did, counted as its groups are handed over."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sampler.rollout import DroppedPrompt, RolloutGroup


@dataclass
class SampleStats:
    """`seconds` runs until the last group was handed over, the caller's work between groups included."""

    num_groups: int = 0
    num_rollouts: int = 0
    response_tokens: int = 0
    seconds: float = 0.0
    num_restarts: int = 0
    dropped: tuple[DroppedPrompt, ...] = ()

    @property
    def response_tokens_per_s(self) -> float:
        """0 before any time has passed."""
        return self.response_tokens / self.seconds if self.seconds > 0 else 0.0

    def count(self, group: RolloutGroup, seconds: float) -> None:
        """Add a group that was finished so many seconds after the call began."""
        self.seconds = seconds
        self.num_groups += 1
        self.num_rollouts += len(group.rollouts)
        self.response_tokens += sum(rollout.num_response_tokens for rollout in group.rollouts)

    def joined(self, later: SampleStats) -> SampleStats:
        """Of this call and one after it."""
        return SampleStats(*(getattr(self, one.name) + getattr(later, one.name) for one in fields(self)))
